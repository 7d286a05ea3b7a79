/** What a function that is called again in the backward pass must find around it, as it was when it was called first. */

/** Puts things as they were, runs the body, and puts them back. */
export type Surrounding = <T>(body: () => T) => T;

let current: readonly Surrounding[] = [];

/**
 * Runs `body` in a surrounding. What `checkpoint` and `customGradient` call again later, in a backward pass after this has ended,
 * is called in it again.
 */
export function surrounded<T>(surrounding: Surrounding, body: () => T): T {
  const before = current;
  current = [...before, surrounding];
  try {
    return surrounding(body);
  } finally {
    current = before;
  }
}

/** `f`, called wherever and whenever in the surroundings that there are now. */
export function inSurroundings<A extends readonly unknown[], T>(f: (...args: A) => T): (...args: A) => T {
  const then = current;
  if (then.length === 0) return f;
  return (...args) => {
    const before = current;
    current = then;
    try {
      return then.reduceRight<() => T>(
        (inner, surrounding) => () => surrounding(inner),
        () => f(...args),
      )();
    } finally {
      current = before;
    }
  };
}
