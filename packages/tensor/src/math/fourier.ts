/** Discrete Fourier transforms of one line of complex numbers, in f64. */
import { passOf, rootOfUnity, type Pass } from './fourier-passes.ts';

/**
 * A transform of one length with its buffers: write a line into `re` and `im`, run it, read the result from `re` and `im`
 * (which may be other arrays then). With the two swapped, before and after, it is the inverse without its factor 1/n.
 */
export interface Transform {
  readonly re: Float64Array;
  readonly im: Float64Array;
  run(): void;
}

/** Beyond this prime, a transform of a longer length that is a power of two is faster. */
const largestRadix = 50;

/** The factors of n: fours first, then primes in ascending order. */
function radices(n: number): number[] {
  const out: number[] = [];
  for (; n % 4 === 0; n /= 4) out.push(4);
  for (let p = 2; p * p <= n; p += p === 2 ? 1 : 2) for (; n % p === 0; n /= p) out.push(p);
  if (n > 1) out.push(n);
  return out;
}

/** By the self-sorting algorithm of Stockham, with mixed radices. */
class Stockham implements Transform {
  re: Float64Array;
  im: Float64Array;
  #otherRe: Float64Array;
  #otherIm: Float64Array;
  readonly #passes: readonly Pass[];

  constructor(n: number, factors: readonly number[]) {
    // One buffer, with gaps: arrays a power of two apart would fall into the same lines of the cache.
    const gap = 128;
    const whole = new ArrayBuffer(8 * 4 * (n + gap));
    const part = (i: number): Float64Array => new Float64Array(whole, 8 * i * (n + gap), n);
    [this.re, this.im, this.#otherRe, this.#otherIm] = [part(0), part(1), part(2), part(3)];
    let length = n;
    this.#passes = factors.map((radix) => {
      const groups = length / radix;
      // Fours make the second and third turn from the first: a smaller table is read faster.
      const last = radix === 4 ? 1 : radix - 1;
      const turns = new Float64Array(2 * groups * last);
      for (let q = 0, at = 0; q < groups; q++)
        for (let j = 1; j <= last; j++, at += 2) [turns[at], turns[at + 1]] = rootOfUnity(q * j, length);
      const pass = { radix, groups, step: n / length, turns };
      length = groups;
      return pass;
    });
  }

  run(): void {
    for (const pass of this.#passes) {
      passOf(pass.radix)(pass, this.re, this.im, this.#otherRe, this.#otherIm);
      [this.re, this.#otherRe] = [this.#otherRe, this.re];
      [this.im, this.#otherIm] = [this.#otherIm, this.im];
    }
  }
}

/**
 * A length with a large prime factor: jk = (j² + k² - (k - j)²)/2 makes the transform a convolution with a chirp, done by
 * transforms of a power of two (L. Bluestein, 1970).
 */
class Bluestein implements Transform {
  readonly re: Float64Array;
  readonly im: Float64Array;
  readonly #inner: Transform;
  readonly #chirpRe: Float64Array;
  readonly #chirpIm: Float64Array;
  readonly #filterRe: Float64Array;
  readonly #filterIm: Float64Array;

  constructor(n: number) {
    this.re = new Float64Array(n);
    this.im = new Float64Array(n);
    this.#chirpRe = new Float64Array(n);
    this.#chirpIm = new Float64Array(n);
    const length = 2 ** Math.ceil(Math.log2(2 * n - 1));
    const inner = stockham(length);
    this.#inner = inner;
    inner.re.fill(0);
    inner.im.fill(0);
    // k² mod 2n from the one before, so that it stays exact
    for (let k = 0, square = 0; k < n; k++) {
      const [re, im] = rootOfUnity(square, 2 * n);
      this.#chirpRe[k] = re;
      this.#chirpIm[k] = im;
      for (const at of [k, (length - k) % length]) {
        inner.re[at] = re;
        inner.im[at] = -im;
      }
      square = (square + 2 * k + 1) % (2 * n);
    }
    inner.run();
    this.#filterRe = inner.re.map((x) => x / length);
    this.#filterIm = inner.im.map((x) => x / length);
  }

  run(): void {
    const { re, im } = this;
    const inner = this.#inner;
    const [chirpRe, chirpIm] = [this.#chirpRe, this.#chirpIm];
    const [filterRe, filterIm] = [this.#filterRe, this.#filterIm];
    inner.re.fill(0, re.length);
    inner.im.fill(0, re.length);
    for (let k = 0; k < re.length; k++) {
      inner.re[k] = re[k]! * chirpRe[k]! - im[k]! * chirpIm[k]!;
      inner.im[k] = re[k]! * chirpIm[k]! + im[k]! * chirpRe[k]!;
    }
    inner.run();
    // Swapped: the inverse follows.
    for (let k = 0; k < filterRe.length; k++) {
      const [r, i] = [inner.re[k]!, inner.im[k]!];
      inner.im[k] = r * filterRe[k]! - i * filterIm[k]!;
      inner.re[k] = r * filterIm[k]! + i * filterRe[k]!;
    }
    inner.run();
    for (let k = 0; k < re.length; k++) {
      const [r, i] = [inner.im[k]!, inner.re[k]!];
      re[k] = r * chirpRe[k]! - i * chirpIm[k]!;
      im[k] = r * chirpIm[k]! + i * chirpRe[k]!;
    }
  }
}

const stockham = (n: number): Transform => new Stockham(n, radices(n));

/** The transforms used last, by length. */
const known = new Map<number, Transform>();
const mostKnown = 32;

/** The transform of a length n ≥ 1. Its buffers are shared by all who ask for that length. */
export function transformOf(n: number): Transform {
  let transform = known.get(n);
  if (transform) known.delete(n);
  else {
    const factors = radices(n);
    transform = Math.max(1, ...factors) > largestRadix ? new Bluestein(n) : new Stockham(n, factors);
    if (known.size >= mostKnown) known.delete(known.keys().next().value!);
  }
  known.set(n, transform);
  return transform;
}
