/** Readable printing: columns aligned, long axes shortened in the middle. */
import type { DType, TypedArray } from './dtype.ts';
import { isFloat } from './dtype.ts';
import { sizeOf, type Layout, type Shape } from './shape.ts';

const edge = 3;
const summarizeAbove = 1000;

/** Whether an axis of this size is shortened in a tensor of this shape. */
const shortens = (shape: Shape, n: number): boolean => sizeOf(shape) > summarizeAbove && n > 2 * edge;

/** Where the elements lie that are shown: of a long axis its two ends, as one axis of two and one of `edge`. */
export function shownLayout({ shape, strides, offset }: Layout): Layout {
  const parts = shape.map((n, i): [number[], number[]] =>
    shortens(shape, n)
      ? [
          [2, edge],
          [(n - edge) * strides[i]!, strides[i]!],
        ]
      : [[n], [strides[i]!]],
  );
  return { shape: parts.flatMap(([sizes]) => sizes), strides: parts.flatMap(([, steps]) => steps), offset };
}

/** `shown`: the elements of `shownLayout` in row-major order; null where they are not in this process's memory. */
export function formatElements(shape: Shape, dtype: DType, shown: TypedArray | null): string {
  const head = `Tensor ${dtype} [${shape.join(', ')}]`;
  if (shown === null) return `${head} (on a device: await data())`;
  if (sizeOf(shape) === 0) return `${head} []`;
  const print = printer(dtype, shown);
  let width = 0;
  for (const value of shown) width = Math.max(width, print(value).length);
  let at = 0;
  const body = (axis: number): string => {
    if (axis === shape.length) return print(shown[at++]!).padStart(width);
    const n = shape[axis]!;
    const short = shortens(shape, n);
    const parts = Array.from({ length: short ? 2 * edge : n }, () => body(axis + 1));
    if (short) parts.splice(edge, 0, '…');
    const inner = axis === shape.length - 1;
    return `[${parts.join(inner ? ', ' : `,${'\n'.repeat(Math.max(1, shape.length - axis - 1))}${' '.repeat(axis + 1)}`)}]`;
  };
  const text = body(0);
  return shape.length === 0 ? `${head} ${text}` : `${head}\n${text}`;
}

/** One notation for all elements shown: integers plain, floats to 4 digits after the point or in exponent form. */
function printer(dtype: DType, values: TypedArray): (value: number) => string {
  if (dtype === 'bool') return (value) => (value !== 0 ? 'true' : 'false');
  if (!isFloat(dtype)) return String;
  const finite = Array.from(values).filter(Number.isFinite).map(Math.abs);
  const special = (value: number): string => String(value).replace('Infinity', 'inf');
  if (finite.every(Number.isInteger) && finite.every((v) => v < 1e6))
    return (v) => (Number.isFinite(v) ? `${Object.is(v, -0) ? '-0' : v}.` : special(v));
  const largest = Math.max(...finite, 0);
  const smallest = Math.min(...finite.filter((v) => v > 0), Infinity);
  const exponent = largest >= 1e6 || (smallest < 1e-4 && largest < 1e-2) || largest / smallest > 1e6;
  return (v) => (Number.isFinite(v) ? (exponent ? v.toExponential(4) : v.toFixed(4)) : special(v));
}
