/** Kernels: discrete Fourier transforms of complex numbers held as pairs. */
import { rootOfUnity } from '../../../math/fourier-passes.ts';
import { transformOf } from '../../../math/fourier.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { arrayOf, positions, withoutAxis } from './walk.ts';

/** Where the lines along an axis start, and the step from one element to the next; of pairs, the axis of the parts is left out. */
function linesOf(x: BufferView, axis: number, pairs: boolean): { starts: Int32Array; step: number } {
  const layout = pairs ? withoutAxis(x, x.shape.length - 1) : x;
  return { starts: positions(withoutAxis(layout, axis)), step: x.strides[axis]! };
}

function fft({ inputs, output, attrs }: KernelCall): void {
  const x = inputs[0]!;
  const axis = attrs['axis'] as number;
  const n = x.shape[axis]!;
  const transform = transformOf(n);
  const from = linesOf(x, axis, true);
  const to = linesOf(output, axis, true);
  const [source, target] = [arrayOf(x), arrayOf(output)];
  const [part, outPart] = [x.strides.at(-1)!, output.strides.at(-1)!];
  const swapped = attrs['inverse'] === true;
  for (let line = 0; line < from.starts.length; line++) {
    const [re, im] = swapped ? [transform.im, transform.re] : [transform.re, transform.im];
    for (let k = 0, p = from.starts[line]!; k < n; k++, p += from.step) {
      re[k] = source[p]!;
      im[k] = source[p + part]!;
    }
    transform.run();
    const [outRe, outIm] = swapped ? [transform.im, transform.re] : [transform.re, transform.im];
    for (let k = 0, q = to.starts[line]!; k < n; k++, q += to.step) {
      target[q] = outRe[k]!;
      target[q + outPart] = outIm[k]!;
    }
  }
}

/** Real lines of even length as complex ones of half the length: even places in `re`, odd ones in `im`. */
function rfft({ inputs, output, attrs }: KernelCall): void {
  const x = inputs[0]!;
  const axis = attrs['axis'] as number;
  const n = x.shape[axis]!;
  const even = n % 2 === 0;
  const half = even ? n / 2 : n;
  const transform = transformOf(half);
  const turns = Array.from({ length: even ? half + 1 : 0 }, (_, k) => rootOfUnity(k, n));
  const [turnRe, turnIm] = [turns.map(([re]) => re), turns.map(([, im]) => im)];
  const from = linesOf(x, axis, false);
  const to = linesOf(output, axis, true);
  const [source, target] = [arrayOf(x), arrayOf(output)];
  const outPart = output.strides.at(-1)!;
  const count = output.shape[axis]!;
  for (let line = 0; line < from.starts.length; line++) {
    let p = from.starts[line]!;
    for (let k = 0; k < half; k++) {
      transform.re[k] = source[p]!;
      transform.im[k] = even ? source[p + from.step]! : 0;
      p += even ? 2 * from.step : from.step;
    }
    transform.run();
    const { re, im } = transform;
    let q = to.starts[line]!;
    for (let k = 0; k < count; k++, q += to.step) {
      if (!even) {
        target[q] = re[k]!;
        target[q + outPart] = im[k]!;
        continue;
      }
      const [a, b] = [k === half ? 0 : k, k === 0 ? 0 : half - k];
      // Those of the even and of the odd places
      const evenR = (re[a]! + re[b]!) / 2;
      const evenI = (im[a]! - im[b]!) / 2;
      const oddR = (im[a]! + im[b]!) / 2;
      const oddI = (re[b]! - re[a]!) / 2;
      target[q] = evenR + oddR * turnRe[k]! - oddI * turnIm[k]!;
      target[q + outPart] = evenI + oddR * turnIm[k]! + oddI * turnRe[k]!;
    }
  }
}

/** Of the half that stands for a spectrum with the symmetry of real signals; parts that must be real count as such. */
function irfft({ inputs, output, attrs }: KernelCall): void {
  const x = inputs[0]!;
  const axis = attrs['axis'] as number;
  const n = attrs['n'] as number;
  const even = n % 2 === 0;
  const half = even ? n / 2 : n;
  const transform = transformOf(half);
  const turns = Array.from({ length: even ? half : 0 }, (_, k) => rootOfUnity(k, n));
  const [turnRe, turnIm] = [turns.map(([re]) => re), turns.map(([, im]) => -im)];
  const from = linesOf(x, axis, true);
  const to = linesOf(output, axis, false);
  const [source, target] = [arrayOf(x), arrayOf(output)];
  const part = x.strides.at(-1)!;
  for (let line = 0; line < from.starts.length; line++) {
    const start = from.starts[line]!;
    // Swapped, as it is the inverse.
    const { im: re, re: im } = transform;
    if (even) {
      const [first, last] = [source[start]!, source[start + half * from.step]!];
      re[0] = first + last;
      im[0] = first - last;
      for (let k = 1; k < half; k++) {
        const [a, b] = [start + k * from.step, start + (half - k) * from.step];
        const oddR = source[a]! - source[b]!;
        const oddI = source[a + part]! + source[b + part]!;
        const turnedR = oddR * turnRe[k]! - oddI * turnIm[k]!;
        const turnedI = oddR * turnIm[k]! + oddI * turnRe[k]!;
        re[k] = source[a]! + source[b]! - turnedI;
        im[k] = source[a + part]! - source[b + part]! + turnedR;
      }
    } else {
      re[0] = source[start]!;
      im[0] = 0;
      for (let k = 1; 2 * k < n; k++) {
        const a = start + k * from.step;
        re[k] = re[n - k] = source[a]!;
        im[k] = source[a + part]!;
        im[n - k] = -im[k]!;
      }
    }
    transform.run();
    let q = to.starts[line]!;
    for (let k = 0; k < half; k++) {
      target[q] = transform.im[k]!;
      q += to.step;
      if (!even) continue;
      target[q] = transform.re[k]!;
      q += to.step;
    }
  }
}

export const fourierKernels = { fft, rfft, irfft };
