/** Settings of the wasm backend: threads and memory. */
import { backendNames, getBackend } from './backends/registry.ts';
import { WasmBackend, type ThreadStats } from './backends/wasm/backend.ts';
import { BackendError, ValueError } from './errors.ts';

function wasm(): WasmBackend | null {
  const backend = backendNames().includes('wasm') ? getBackend('wasm') : null;
  return backend instanceof WasmBackend ? backend : null;
}

/**
 * Sets how many threads the wasm backend computes with, the calling one included; by default as many as there are
 * processors, 8 at most. Results do not depend on it.
 * @returns how it is now: where threads cannot be had (no shared memory, say), one, and why
 */
export function setThreads(count: number): ThreadStats {
  if (!Number.isInteger(count) || count < 1)
    throw new ValueError('setThreads', `needs an integer ≥ 1, got ${count}`);
  wasm()?.setThreads(count);
  return threadStats();
}

/**
 * Starts the helper threads, and resolves when all are up, or after five seconds with those that are. Otherwise the first
 * large work starts them, and goes on alone until they are up; in a page that can be only when the event loop turns.
 */
export async function threadsReady(): Promise<ThreadStats> {
  wasm()?.startThreads();
  const { setTimeout: later } = globalThis as unknown as { setTimeout(f: () => void, ms: number): unknown };
  for (let waits = 0; waits < 1000; waits++) {
    const { count, helpersReady } = threadStats();
    if (helpersReady >= count - 1) break;
    await new Promise<void>((resolve) => later(resolve, 5));
  }
  return threadStats();
}

/** Threads in use. */
export function threadStats(): ThreadStats {
  return wasm()?.threads ?? { count: 1, helpersReady: 0, lack: 'this host has no WebAssembly with SIMD' };
}

/**
 * Sets how many bytes of tensors the wasm heap may hold at most; 4 GiB is what there can be. What is old is moved out to
 * JavaScript memory before that. An allocation that finds no room throws a BackendError and changes nothing.
 * @throws ValueError unless `bytes` is a number > 0; BackendError where there is no wasm backend
 */
export function setMemoryLimit(bytes: number): void {
  if (!(bytes > 0)) throw new ValueError('setMemoryLimit', `needs a number of bytes > 0, got ${bytes}`);
  const backend = wasm();
  if (!backend) throw new BackendError('setMemoryLimit', 'there is no wasm backend here');
  backend.memoryLimit = bytes;
}

/**
 * Says whether ops for which the wasm backend has no kernel (in some dtype or layout) may run on the reference's, over the same
 * memory: right, and slower. With `forbid` they throw a BackendError. By default they may, and are counted.
 */
export function setFallback(policy: 'allow' | 'forbid'): void {
  if (policy !== 'allow' && policy !== 'forbid')
    throw new ValueError('setFallback', `'${String(policy)}' is neither 'allow' nor 'forbid'`);
  const backend = wasm();
  if (backend) backend.fallback = policy;
}

/** How often ops have run on the reference's kernels for want of one of the wasm backend's, by op. */
export function fallbackStats(): Readonly<Record<string, number>> {
  return Object.fromEntries(wasm()?.fallbacks ?? []);
}
