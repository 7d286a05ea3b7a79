/** The ways of training whose memory is watched; each is a process of its own, so that peaks are apart. */

/**
 * - `scoped`: `optimizer.minimize`, a scope, as one trains;
 * - `yielding`: forward, backward and step by hand, outside every scope; the event loop turns after each step;
 * - `synchronous`: the same in a loop that never yields.
 */
export const memoryWays = ['scoped', 'yielding', 'synchronous'] as const;
export type MemoryWay = (typeof memoryWays)[number];
