/** Discrete Fourier transforms of one line of complex numbers, in f64. */

/**
 * A transform of one length with its buffers: write a line into `re` and `im`, run it, read the result from `re` and `im`
 * (which may be other arrays then). With the two swapped, before and after, it is the inverse without its factor 1/n.
 */
export interface Transform {
  readonly re: Float64Array;
  readonly im: Float64Array;
  run(): void;
}

/** e^(-2πi·k/n), exact at the eighths of a turn. */
export function rootOfUnity(k: number, n: number): [re: number, im: number] {
  // The angle brought into the first eighth of a turn, where sine and cosine are most exact.
  const eighths = Math.round((4 * k) / n);
  const angle = (Math.PI / 2) * ((4 * k - eighths * n) / n);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const quarter = ((eighths % 4) + 4) % 4;
  if (quarter === 0) return [cos, -sin];
  if (quarter === 1) return [-sin, -cos];
  if (quarter === 2) return [-cos, sin];
  return [sin, cos];
}

/** One pass: n/(p·step) groups of p, each transformed and turned, to where the next pass reads them. */
interface Pass {
  readonly radix: number;
  /** Elements of one sub-transform after this pass. */
  readonly groups: number;
  readonly step: number;
  /** For each group its turns of places 1 … p - 1: real and imaginary part. */
  readonly turns: Float64Array;
}

/** Beyond this prime, a transform of a longer length that is a power of two is faster. */
const largestRadix = 50;

/** Fours first, then the other primes in ascending order; the last one tells whether all are small. */
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
    [this.re, this.im, this.#otherRe, this.#otherIm] = [0, 0, 0, 0].map(() => new Float64Array(n)) as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    let length = n;
    this.#passes = factors.map((radix) => {
      const groups = length / radix;
      const turns = new Float64Array(2 * groups * (radix - 1));
      for (let q = 0, at = 0; q < groups; q++)
        for (let j = 1; j < radix; j++, at += 2) [turns[at], turns[at + 1]] = rootOfUnity(q * j, length);
      const pass = { radix, groups, step: n / length, turns };
      length = groups;
      return pass;
    });
  }

  run(): void {
    for (const pass of this.#passes) {
      const kernel = pass.radix === 4 ? byFour : pass.radix === 2 ? byTwo : byOdd;
      kernel(pass, this.re, this.im, this.#otherRe, this.#otherIm);
      [this.re, this.#otherRe] = [this.#otherRe, this.re];
      [this.im, this.#otherIm] = [this.#otherIm, this.im];
    }
  }
}

type PassKernel = (
  pass: Pass,
  re: Float64Array,
  im: Float64Array,
  outRe: Float64Array,
  outIm: Float64Array,
) => void;

const byTwo: PassKernel = ({ groups, step, turns }, re, im, outRe, outIm) => {
  const half = groups * step;
  for (let q = 0; q < groups; q++) {
    const [wr, wi] = [turns[2 * q]!, turns[2 * q + 1]!];
    for (let k = 0; k < step; k++) {
      const a = k + step * q;
      const b = a + half;
      const y = k + step * 2 * q;
      const [r, i] = [re[a]! - re[b]!, im[a]! - im[b]!];
      outRe[y] = re[a]! + re[b]!;
      outIm[y] = im[a]! + im[b]!;
      outRe[y + step] = r * wr - i * wi;
      outIm[y + step] = r * wi + i * wr;
    }
  }
};

const byFour: PassKernel = ({ groups, step, turns }, re, im, outRe, outIm) => {
  const quarter = groups * step;
  for (let q = 0; q < groups; q++) {
    const w1r = turns[6 * q]!;
    const w1i = turns[6 * q + 1]!;
    const w2r = turns[6 * q + 2]!;
    const w2i = turns[6 * q + 3]!;
    const w3r = turns[6 * q + 4]!;
    const w3i = turns[6 * q + 5]!;
    const end = step * (q + 1);
    let y = step * 4 * q;
    for (let a = step * q; a < end; a++, y++) {
      const b = a + quarter;
      const c = b + quarter;
      const d = c + quarter;
      const sumR = re[a]! + re[c]!;
      const sumI = im[a]! + im[c]!;
      const differenceR = re[a]! - re[c]!;
      const differenceI = im[a]! - im[c]!;
      const otherR = re[b]! + re[d]!;
      const otherI = im[b]! + im[d]!;
      // i·(b - d)
      const turnedR = im[d]! - im[b]!;
      const turnedI = re[b]! - re[d]!;
      outRe[y] = sumR + otherR;
      outIm[y] = sumI + otherI;
      const r1 = differenceR - turnedR;
      const i1 = differenceI - turnedI;
      outRe[y + step] = r1 * w1r - i1 * w1i;
      outIm[y + step] = r1 * w1i + i1 * w1r;
      const r2 = sumR - otherR;
      const i2 = sumI - otherI;
      outRe[y + 2 * step] = r2 * w2r - i2 * w2i;
      outIm[y + 2 * step] = r2 * w2i + i2 * w2r;
      const r3 = differenceR + turnedR;
      const i3 = differenceI + turnedI;
      outRe[y + 3 * step] = r3 * w3r - i3 * w3i;
      outIm[y + 3 * step] = r3 * w3i + i3 * w3r;
    }
  }
};

/** Any odd radix p: sums and differences of opposite places share their products. */
const byOdd: PassKernel = ({ radix, groups, step, turns }, re, im, outRe, outIm) => {
  const pairs = (radix - 1) / 2;
  const part = groups * step;
  const roots = Array.from({ length: radix }, (_, j) => rootOfUnity(j, radix));
  const cos = Float64Array.from(roots, ([c]) => c);
  const sin = Float64Array.from(roots, ([, s]) => -s);
  const [sumR, sumI, differenceR, differenceI] = [0, 0, 0, 0].map(() => new Float64Array(pairs + 1)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  for (let q = 0; q < groups; q++) {
    const turn = 2 * q * (radix - 1) - 2;
    for (let k = 0; k < step; k++) {
      const a = k + step * q;
      const y = k + step * radix * q;
      const [firstR, firstI] = [re[a]!, im[a]!];
      let [totalR, totalI] = [firstR, firstI];
      for (let j = 1; j <= pairs; j++) {
        const b = a + j * part;
        const c = a + (radix - j) * part;
        totalR += sumR[j] = re[b]! + re[c]!;
        totalI += sumI[j] = im[b]! + im[c]!;
        differenceR[j] = re[b]! - re[c]!;
        differenceI[j] = im[b]! - im[c]!;
      }
      outRe[y] = totalR;
      outIm[y] = totalI;
      for (let r = 1; r <= pairs; r++) {
        let [evenR, evenI, oddR, oddI] = [firstR, firstI, 0, 0];
        for (let j = 1, at = r; j <= pairs; j++) {
          evenR += sumR[j]! * cos[at]!;
          evenI += sumI[j]! * cos[at]!;
          oddR += differenceI[j]! * sin[at]!;
          oddI -= differenceR[j]! * sin[at]!;
          at += r;
          if (at >= radix) at -= radix;
        }
        for (const [place, x, z] of [
          [r, evenR + oddR, evenI + oddI],
          [radix - r, evenR - oddR, evenI - oddI],
        ] as const) {
          const [wr, wi] = [turns[turn + 2 * place]!, turns[turn + 2 * place + 1]!];
          outRe[y + place * step] = x * wr - z * wi;
          outIm[y + place * step] = x * wi + z * wr;
        }
      }
    }
  }
};

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
