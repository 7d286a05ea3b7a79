/** The passes of a Fourier transform: many short transforms at once, of 2, 3, 4, 5 or any odd number of points. */

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
export interface Pass {
  readonly radix: number;
  /** Elements of one sub-transform after this pass. */
  readonly groups: number;
  readonly step: number;
  /** For each group its turns of places 1 … p - 1 (of fours: of 1): real and imaginary part. */
  readonly turns: Float64Array;
}

export type PassKernel = (
  pass: Pass,
  re: Float64Array,
  im: Float64Array,
  outRe: Float64Array,
  outIm: Float64Array,
) => void;

const byTwo: PassKernel = ({ groups, step, turns }, re, im, outRe, outIm) => {
  const half = groups * step;
  for (let q = 0; q < groups; q++) {
    const wr = turns[2 * q]!;
    const wi = turns[2 * q + 1]!;
    for (let k = 0; k < step; k++) {
      const a = k + step * q;
      const b = a + half;
      const y = k + step * 2 * q;
      const r = re[a]! - re[b]!;
      const i = im[a]! - im[b]!;
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
    const w1r = turns[2 * q]!;
    const w1i = turns[2 * q + 1]!;
    const w2r = w1r * w1r - w1i * w1i;
    const w2i = 2 * w1r * w1i;
    const w3r = w1r * w2r - w1i * w2i;
    const w3i = w1r * w2i + w1i * w2r;
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

const byThree: PassKernel = ({ groups, step, turns }, re, im, outRe, outIm) => {
  const part = groups * step;
  const height = Math.sqrt(3) / 2;
  for (let q = 0; q < groups; q++) {
    const w1r = turns[4 * q]!;
    const w1i = turns[4 * q + 1]!;
    const w2r = turns[4 * q + 2]!;
    const w2i = turns[4 * q + 3]!;
    const end = step * (q + 1);
    let y = step * 3 * q;
    for (let a = step * q; a < end; a++, y++) {
      const b = a + part;
      const c = b + part;
      const sumR = re[b]! + re[c]!;
      const sumI = im[b]! + im[c]!;
      const evenR = re[a]! - 0.5 * sumR;
      const evenI = im[a]! - 0.5 * sumI;
      const oddR = height * (im[b]! - im[c]!);
      const oddI = height * (re[c]! - re[b]!);
      outRe[y] = re[a]! + sumR;
      outIm[y] = im[a]! + sumI;
      const r1 = evenR + oddR;
      const i1 = evenI + oddI;
      outRe[y + step] = r1 * w1r - i1 * w1i;
      outIm[y + step] = r1 * w1i + i1 * w1r;
      const r2 = evenR - oddR;
      const i2 = evenI - oddI;
      outRe[y + 2 * step] = r2 * w2r - i2 * w2i;
      outIm[y + 2 * step] = r2 * w2i + i2 * w2r;
    }
  }
};

const byFive: PassKernel = ({ groups, step, turns }, re, im, outRe, outIm) => {
  const part = groups * step;
  const [c1, c2] = [Math.cos((2 * Math.PI) / 5), Math.cos((4 * Math.PI) / 5)];
  const [s1, s2] = [Math.sin((2 * Math.PI) / 5), Math.sin((4 * Math.PI) / 5)];
  for (let q = 0; q < groups; q++) {
    const turn = 8 * q;
    const end = step * (q + 1);
    let y = step * 5 * q;
    for (let a = step * q; a < end; a++, y++) {
      const [b, c] = [a + part, a + 2 * part];
      const [d, e] = [a + 3 * part, a + 4 * part];
      const outerR = re[b]! + re[e]!;
      const outerI = im[b]! + im[e]!;
      const innerR = re[c]! + re[d]!;
      const innerI = im[c]! + im[d]!;
      const acrossR = im[b]! - im[e]!;
      const acrossI = re[e]! - re[b]!;
      const besideR = im[c]! - im[d]!;
      const besideI = re[d]! - re[c]!;
      outRe[y] = re[a]! + outerR + innerR;
      outIm[y] = im[a]! + outerI + innerI;
      const even1R = re[a]! + c1 * outerR + c2 * innerR;
      const even1I = im[a]! + c1 * outerI + c2 * innerI;
      const odd1R = s1 * acrossR + s2 * besideR;
      const odd1I = s1 * acrossI + s2 * besideI;
      const even2R = re[a]! + c2 * outerR + c1 * innerR;
      const even2I = im[a]! + c2 * outerI + c1 * innerI;
      const odd2R = s2 * acrossR - s1 * besideR;
      const odd2I = s2 * acrossI - s1 * besideI;
      turned(even1R + odd1R, even1I + odd1I, turns, turn, outRe, outIm, y + step);
      turned(even2R + odd2R, even2I + odd2I, turns, turn + 2, outRe, outIm, y + 2 * step);
      turned(even2R - odd2R, even2I - odd2I, turns, turn + 4, outRe, outIm, y + 3 * step);
      turned(even1R - odd1R, even1I - odd1I, turns, turn + 6, outRe, outIm, y + 4 * step);
    }
  }
};

/** Writes a number times the turn at a place of the table. */
function turned(
  r: number,
  i: number,
  turns: Float64Array,
  turn: number,
  outRe: Float64Array,
  outIm: Float64Array,
  y: number,
): void {
  const wr = turns[turn]!;
  const wi = turns[turn + 1]!;
  outRe[y] = r * wr - i * wi;
  outIm[y] = r * wi + i * wr;
}

/** Any odd radix p: sums and differences of opposite places share their products. */
const byOdd: PassKernel = ({ radix, groups, step, turns }, re, im, outRe, outIm) => {
  const pairs = (radix - 1) / 2;
  const part = groups * step;
  const cos = new Float64Array(radix);
  const sin = new Float64Array(radix);
  for (let j = 0; j < radix; j++) [cos[j], sin[j]] = rootOfUnity(j, radix);
  const sumR = new Float64Array(pairs + 1);
  const sumI = new Float64Array(pairs + 1);
  const differenceR = new Float64Array(pairs + 1);
  const differenceI = new Float64Array(pairs + 1);
  for (let q = 0; q < groups; q++) {
    const turn = 2 * q * (radix - 1) - 2;
    for (let k = 0; k < step; k++) {
      const a = k + step * q;
      const y = k + step * radix * q;
      const firstR = re[a]!;
      const firstI = im[a]!;
      let totalR = firstR;
      let totalI = firstI;
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
        let evenR = firstR;
        let evenI = firstI;
        let oddR = 0;
        let oddI = 0;
        for (let j = 1, at = r; j <= pairs; j++) {
          evenR += sumR[j]! * cos[at]!;
          evenI += sumI[j]! * cos[at]!;
          // The table holds -sin.
          oddR -= differenceI[j]! * sin[at]!;
          oddI += differenceR[j]! * sin[at]!;
          at += r;
          if (at >= radix) at -= radix;
        }
        const mirror = radix - r;
        turned(evenR + oddR, evenI + oddI, turns, turn + 2 * r, outRe, outIm, y + r * step);
        turned(evenR - oddR, evenI - oddI, turns, turn + 2 * mirror, outRe, outIm, y + mirror * step);
      }
    }
  }
};

/** The passes with code of their own. */
const kernels: Readonly<Record<number, PassKernel>> = { 2: byTwo, 3: byThree, 4: byFour, 5: byFive };

/** The code of a pass of some radix. */
export const passOf = (radix: number): PassKernel => kernels[radix] ?? byOdd;
