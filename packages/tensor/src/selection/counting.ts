/** Which elements there are, and how many of each. */
import { fromData, scalar, tensor } from '../creation.ts';
import { isFloat, promote } from '../dtype.ts';
import { DTypeError, ShapeError, ValueError } from '../errors.ts';
import { sameShape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { readNow, truePlaces } from './places.ts';

/** The elements of a tensor, each once. */
export interface Unique {
  /** In ascending order, [count]. */
  readonly values: Tensor;
  /** For each element of the tensor its place among the values, i32, of the tensor's shape. */
  readonly inverse: Tensor;
  /** How often each value is there, i32 [count]. */
  readonly counts: Tensor;
}

export interface HistogramOptions {
  /** What each element counts, in the shape of x. Default 1. */
  readonly weights?: Tensor;
  /** Whether the counts are divided so that the area of all bins is 1. Default false. */
  readonly density?: boolean;
}

/** How many elements fall into each bin. */
export interface Histogram {
  /** i32 [bins]; with weights in their dtype, as a density in that of the edges. */
  readonly counts: Tensor;
  /** [bins + 1], in x's dtype where that is a float, else in f64. */
  readonly edges: Tensor;
}

export function nonzero(x: Tensor): Tensor {
  const places = truePlaces('nonzero', x);
  const { rank, shape } = x;
  const data = new Int32Array(places.length * rank);
  for (let i = 0; i < places.length; i++)
    for (let axis = rank - 1, rest = places[i]!; axis >= 0; axis--) {
      const before = Math.floor(rest / shape[axis]!);
      data[i * rank + axis] = rest - before * shape[axis]!;
      rest = before;
    }
  return fromData(data, [places.length, rank], { backend: x.backend });
}

export function unique(x: Tensor): Unique {
  const line = x.reshape([-1]);
  const { backend } = x;
  const data = readNow('unique', line);
  const order = line.argSort().dataSync();
  const inverse = new Int32Array(data.length);
  const firsts: number[] = [];
  const counts: number[] = [];
  for (let i = 0; i < data.length; i++) {
    const at = order[i]!;
    // No NaN is another's equal.
    if (i === 0 || data[at] !== data[order[i - 1]!]) {
      firsts.push(at);
      counts.push(0);
    }
    counts[counts.length - 1]!++;
    inverse[at] = firsts.length - 1;
  }
  const vector = (values: readonly number[]): Tensor => tensor(values, { dtype: 'i32', backend });
  return {
    values: line.indexSelect(0, vector(firsts)),
    inverse: fromData(inverse, x.shape, { backend }),
    counts: vector(counts),
  };
}

export function bincount(x: Tensor, minLength = 0, weights?: Tensor): Tensor {
  if (x.dtype !== 'i32' && x.dtype !== 'u8')
    throw new DTypeError('bincount', 'needs integers', { operands: [x] });
  if (x.rank !== 1) throw new ShapeError('bincount', 'needs a vector', { operands: [x] });
  if (!Number.isInteger(minLength) || minLength < 0)
    throw new ValueError('bincount', `needs minLength ≥ 0, got ${minLength}`, { operands: [x] });
  if (weights && (weights.rank !== 1 || weights.size !== x.size))
    throw new ShapeError('bincount', 'needs one weight for each element', { operands: [x, weights] });
  let length = minLength;
  for (const value of readNow('bincount', x)) {
    if (value < 0) throw new ValueError('bincount', `needs integers ≥ 0, got ${value}`, { operands: [x] });
    length = Math.max(length, value + 1);
  }
  const dtype = weights ? promote(weights.dtype, 'i32') : 'i32';
  const all = weights ? weights.cast(dtype) : scalar(1, dtype, x.backend).expand(x.shape);
  return scalar(0, dtype, x.backend).expand([length]).indexAdd(0, x, all);
}

export function histogram(
  x: Tensor,
  bins: number | readonly number[] = 10,
  range?: readonly [low: number, high: number],
  { weights, density = false }: HistogramOptions = {},
): Histogram {
  const { backend } = x;
  if (weights && !sameShape(weights.shape, x.shape))
    throw new ShapeError('histogram', 'needs one weight for each element', { operands: [x, weights] });
  const dtype = isFloat(x.dtype) ? x.dtype : 'f64';
  const edges = tensor(typeof bins === 'number' ? evenEdges(x, bins, range) : givenEdges(x, bins), {
    dtype,
    backend,
  });
  const count = edges.size - 1;
  const line = x.reshape([-1]).cast(dtype);
  // Slot 0 is for what lies below the edges, slot count + 1 for what lies above and for NaN.
  const slots = edges.searchSorted(line, { side: 'right' });
  const inside = line.eq(edges.select(0, count)).where(count, slots);
  const all = weights ? promote(weights.dtype, 'i32') : 'i32';
  const each = weights ? weights.reshape([-1]).cast(all) : scalar(1, all, backend).expand(inside.shape);
  const counts = scalar(0, all, backend)
    .expand([count + 2])
    .indexAdd(0, inside, each)
    .narrow(0, 1, count);
  if (!density) return { counts, edges };
  return { counts: counts.cast(dtype).div(edges.diff()).div(counts.sum()).cast(dtype), edges };
}

function evenEdges(x: Tensor, bins: number, range: readonly [number, number] | undefined): number[] {
  if (!Number.isInteger(bins) || bins < 1)
    throw new ValueError('histogram', `needs bins ≥ 1, got ${bins}`, { operands: [x] });
  let [low, high] = range ?? extent(x);
  if (!(Number.isFinite(low) && Number.isFinite(high) && low <= high))
    throw new ValueError('histogram', `no finite range: ${low} … ${high}`, {
      operands: [x],
      hint: 'range [low, high] says where the bins lie',
    });
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const edges = Array.from({ length: bins + 1 }, (_, i) => low + ((high - low) * i) / bins);
  return edges.with(bins, high);
}

function extent(x: Tensor): [number, number] {
  if (x.size === 0) return [0, 1];
  let [low, high] = [Infinity, -Infinity];
  for (const value of readNow('histogram', x)) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

function givenEdges(x: Tensor, edges: readonly number[]): readonly number[] {
  if (edges.length < 2 || edges.some((edge, i) => !(i === 0 || edge >= edges[i - 1]!)))
    throw new ValueError('histogram', `edges must ascend, two at least, got [${edges.join(', ')}]`, {
      operands: [x],
    });
  return edges;
}
