/** Kernels along one axis. Each takes a line of elements (a start and a step) and writes a line or one value. */
import type { TypedArray } from '../../../dtype.ts';
import type { KernelCall } from '../../backend.ts';
import { arrayOf, positions, withoutAxis } from './walk.ts';

type LineKernel = (
  x: TypedArray,
  p: number,
  step: number,
  n: number,
  out: TypedArray,
  q: number,
  outStep: number,
) => void;

/** Runs a kernel on every line; `keeps` says whether the output still has the axis. */
function lines(kernel: LineKernel, keeps: boolean): (call: KernelCall) => void {
  return ({ inputs, output, attrs }) => {
    const x = inputs[0]!;
    const axis = attrs['axis'] as number;
    const from = positions(withoutAxis(x, axis));
    const to = positions(keeps || attrs['keepDims'] === true ? withoutAxis(output, axis) : output);
    const [source, target] = [arrayOf(x), arrayOf(output)];
    const outStep = keeps ? output.strides[axis]! : 0;
    for (let i = 0; i < from.length; i++)
      kernel(source, from[i]!, x.strides[axis]!, x.shape[axis]!, target, to[i]!, outStep);
  };
}

function largest(x: TypedArray, p: number, step: number, n: number): number {
  let top = -Infinity;
  for (let i = 0; i < n; i++) top = Math.max(top, x[p + i * step]!);
  return top;
}

/** Σ e^(x - top); `top` ±Infinity is handled by the callers. */
function sumExp(x: TypedArray, p: number, step: number, n: number, top: number): number {
  let total = 0;
  for (let i = 0; i < n; i++) total += Math.exp(x[p + i * step]! - top);
  return total;
}

export const softmax = lines((x, p, step, n, out, q, outStep) => {
  const top = largest(x, p, step, n);
  const total = sumExp(x, p, step, n, top);
  for (let i = 0; i < n; i++) out[q + i * outStep] = Math.exp(x[p + i * step]! - top) / total;
}, true);

export const logSoftmax = lines((x, p, step, n, out, q, outStep) => {
  const top = largest(x, p, step, n);
  const log = Math.log(sumExp(x, p, step, n, top));
  for (let i = 0; i < n; i++) out[q + i * outStep] = x[p + i * step]! - top - log;
}, true);

export const logSumExp = lines((x, p, step, n, out, q) => {
  const top = largest(x, p, step, n);
  out[q] = Math.abs(top) === Infinity ? top : top + Math.log(sumExp(x, p, step, n, top));
}, false);

export const cumsum = lines((x, p, step, n, out, q, outStep) => {
  let total = 0;
  for (let i = 0; i < n; i++) out[q + i * outStep] = total += x[p + i * step]!;
}, true);

const extreme = (better: (a: number, b: number) => boolean): ((call: KernelCall) => void) =>
  lines((x, p, step, n, out, q) => {
    let at = 0;
    for (let i = 1; i < n && x[p + at * step] === x[p + at * step]; i++) {
      const value = x[p + i * step]!;
      if (better(value, x[p + at * step]!) || value !== value) at = i;
    }
    out[q] = at;
  }, false);

export const argMax = extreme((a, b) => a > b);
export const argMin = extreme((a, b) => a < b);
