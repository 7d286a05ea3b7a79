/** Numbers that every peer gets alike: each is decided by a seed and its place alone. */

/** Uniform in [0, 1), f32 (mulberry32 over a counter). */
export function uniform(seed: number, length: number): Float32Array {
  const out = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let t = (seed + Math.imul(i + 1, 0x6d2b79f5)) | 0;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    out[i] = ((t ^ (t >>> 14)) >>> 8) / 0x1000000;
  }
  return out;
}

/** Uniform in [-bound, bound), f32. */
export function symmetric(seed: number, length: number, bound: number): Float32Array {
  return uniform(seed, length).map((u) => (u - 0.5) * (2 * bound));
}

/** Integers from 0 to `below` - 1. */
export function integers(seed: number, length: number, below: number): Int32Array {
  return Int32Array.from(uniform(seed, length), (u) => u * below);
}
