/** Kernels: ops that write elements at indexed places, and searches in sorted rows. */
import { isFloat, type TypedArray } from '../../../dtype.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { gatherPlaces, sliceOf } from './indexing.ts';
import { arrayOf, copy, positions, withoutAxis } from './walk.ts';

/** Writes at each place what an element there and one of the source make. */
const scattering =
  (combine: (call: KernelCall) => (there: number, given: number) => number) =>
  (call: KernelCall): void => {
    const { inputs, output } = call;
    const places = gatherPlaces(call, output);
    copy(inputs[0]!, output);
    const [source, target] = [arrayOf(inputs[2]!), arrayOf(output)];
    const from = positions(inputs[2]!);
    const both = combine(call);
    for (let i = 0; i < places.length; i++) target[places[i]!] = both(target[places[i]!]!, source[from[i]!]!);
  };

function sliceScatter({ inputs, output, attrs }: KernelCall): void {
  const [x, source] = inputs as [BufferView, BufferView];
  copy(x, output);
  copy(source, sliceOf(output, source.shape, attrs));
}

/** In an order in which a NaN counts as largest. */
const less = (a: number, b: number): boolean => a < b || (b !== b && a === a);

/** How many of `n` ascending elements (from `at` on, `step` apart) are less than a value, or not greater. */
function rankOf(
  array: TypedArray,
  at: number,
  step: number,
  n: number,
  value: number,
  orEqual: boolean,
): number {
  let [low, high] = [0, n];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const element = array[at + middle * step]!;
    if (orEqual ? !less(value, element) : less(element, value)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function searchSorted({ inputs, output, attrs }: KernelCall): void {
  const [x, values] = inputs as [KernelCall['output'], KernelCall['output']];
  const last = x.shape.length - 1;
  const [n, step] = [x.shape[last]!, x.strides[last]!];
  const lines = positions(withoutAxis(x, last));
  const each = last === 0 ? Infinity : values.shape[last]!;
  const [array, wanted, target] = [arrayOf(x), arrayOf(values), arrayOf(output)];
  const orEqual = attrs['side'] === 'right';
  const from = positions(values);
  for (let i = 0; i < from.length; i++) {
    const line = lines[Math.floor(i / each)]!;
    target[output.offset + i] = rankOf(array, line, step, n, wanted[from[i]!]!, orEqual);
  }
}

export const scattersKernels = {
  scatterAdd: scattering(() => (there, given) => there + given),
  scatterSet: scattering(() => (_, given) => given),
  scatterMul: scattering(({ output }) => (isFloat(output.dtype) ? (a, b) => a * b : Math.imul)),
  scatterMax: scattering(() => Math.max),
  scatterMin: scattering(() => Math.min),
  sliceScatter,
  searchSorted,
};
