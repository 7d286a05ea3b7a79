/** Readable printing: columns aligned, long axes shortened in the middle. */
import type { DType, TypedArray } from './dtype.ts';
import { isFloat } from './dtype.ts';
import { sizeOf, type Shape } from './shape.ts';

const edge = 3;
const summarizeAbove = 1000;

/** `data` in row-major order; null where it is not in this process's memory. */
export function formatElements(shape: Shape, dtype: DType, data: TypedArray | null): string {
  const head = `Tensor ${dtype} [${shape.join(', ')}]`;
  if (data === null) return `${head} (on a device: await data())`;
  const size = sizeOf(shape);
  if (size === 0) return `${head} []`;
  const short = size > summarizeAbove;
  const shown = (axis: number): (number | null)[] => {
    const n = shape[axis]!;
    const all = Array.from({ length: n }, (_, i) => i);
    return short && n > 2 * edge ? [...all.slice(0, edge), null, ...all.slice(-edge)] : all;
  };
  const offsets: number[] = [];
  const collect = (axis: number, at: number): void => {
    if (axis === shape.length) offsets.push(at);
    else for (const i of shown(axis)) if (i !== null) collect(axis + 1, at * shape[axis]! + i);
  };
  collect(0, 0);
  const print = printer(
    dtype,
    offsets.map((at) => data[at]!),
  );
  const width = Math.max(...offsets.map((at) => print(data[at]!).length));
  const body = (axis: number, at: number): string => {
    if (axis === shape.length) return print(data[at]!).padStart(width);
    const parts = shown(axis).map((i) => (i === null ? '…' : body(axis + 1, at * shape[axis]! + i)));
    const inner = axis === shape.length - 1;
    return `[${parts.join(inner ? ', ' : `,${'\n'.repeat(Math.max(1, shape.length - axis - 1))}${' '.repeat(axis + 1)}`)}]`;
  };
  const text = body(0, 0);
  return shape.length === 0 ? `${head} ${text}` : `${head}\n${text}`;
}

/** One notation for all elements shown: integers plain, floats to 4 digits after the point or in exponent form. */
function printer(dtype: DType, values: readonly number[]): (value: number) => string {
  if (dtype === 'bool') return (value) => (value !== 0 ? 'true' : 'false');
  if (!isFloat(dtype)) return String;
  const finite = values.filter(Number.isFinite).map(Math.abs);
  const special = (value: number): string => String(value).replace('Infinity', 'inf');
  if (finite.every(Number.isInteger) && finite.every((v) => v < 1e6))
    return (v) => (Number.isFinite(v) ? `${Object.is(v, -0) ? '-0' : v}.` : special(v));
  const largest = Math.max(...finite, 0);
  const smallest = Math.min(...finite.filter((v) => v > 0), Infinity);
  const exponent = largest >= 1e6 || (smallest < 1e-4 && largest < 1e-2) || largest / smallest > 1e6;
  return (v) => (Number.isFinite(v) ? (exponent ? v.toExponential(4) : v.toFixed(4)) : special(v));
}
