/** Repeating, rolling, turning and combining tensors, and their diagonals. */
import { apply } from '../apply.ts';
import { fromData, scalar } from '../creation.ts';
import { scalarDType } from '../dtype.ts';
import { ShapeError, ValueError } from '../errors.ts';
import type { Operand } from '../ops/record.ts';
import { checkArray, normalizeAxis } from '../shape.ts';
import { Tensor } from '../tensor.ts';
import { within } from './within.ts';

const concat = (tensors: readonly Tensor[], axis: number): Tensor => apply('concat', tensors, { axis });

function checkCounts(op: string, counts: readonly number[], x: Tensor): void {
  for (const count of counts)
    if (!Number.isInteger(count) || count < 0)
      throw new ValueError(op, `counts must be integers ≥ 0, got ${count}`, { operands: [x] });
}

function checkOffset(op: string, offset: number, x: Tensor): void {
  if (!Number.isInteger(offset))
    throw new ValueError(op, `the offset must be an integer, got ${offset}`, { operands: [x] });
}

/** x end to end with itself, `counts[i]` times along axis i of as many axes; missing ones lead. */
function tiled(x: Tensor, counts: readonly number[]): Tensor {
  const shape = [...new Array<number>(Math.max(0, counts.length - x.rank)).fill(1), ...x.shape];
  const times = [...new Array<number>(Math.max(0, x.rank - counts.length)).fill(1), ...counts];
  return x
    .reshape(shape.flatMap((n) => [1, n]))
    .expand(shape.flatMap((n, i) => [times[i]!, n]))
    .reshape(shape.map((n, i) => n * times[i]!));
}

/** The places of a line of which place i is to come `counts[i]` times. */
function repeatedPlaces(counts: readonly number[], x: Tensor): Tensor {
  const places = counts.flatMap((count, i) => new Array<number>(count).fill(i));
  return fromData(Int32Array.from(places), [places.length], { backend: x.backend });
}

export interface DiffOptions {
  /** What stands before x along the axis, a number or a tensor of x's shape but for that axis. Default nothing. */
  readonly prepend?: Operand;
  /** What stands after x. Default nothing. */
  readonly append?: Operand;
}

export const rearrangingMethods = {
  /**
   * Elements moved along axes by `shifts` places, those that leave at one end coming back at the other. Without axes all elements
   * count as one line.
   * @throws ShapeError where shifts and axes differ in number
   */
  roll: (x: Tensor, shifts: number | readonly number[], axes?: number | readonly number[]): Tensor => {
    const list = [shifts].flat();
    for (const shift of list)
      if (!Number.isInteger(shift))
        throw new ValueError('roll', `shifts must be integers, got ${shift}`, { operands: [x] });
    if (axes === undefined) {
      if (list.length !== 1)
        throw new ShapeError('roll', `${list.length} shifts without axes`, { operands: [x] });
      return x.reshape([-1]).roll(list, 0).reshape(x.shape);
    }
    const along = [axes].flat();
    if (along.length !== list.length)
      throw new ShapeError('roll', `${list.length} shifts for ${along.length} axes`, { operands: [x] });
    return along.reduce((y, axis, i) => {
      const at = normalizeAxis('roll', axis, x);
      const size = x.shape[at]!;
      const start = size === 0 ? 0 : (((size - list[i]!) % size) + size) % size;
      if (start === 0) return y;
      return concat([y.narrow(at, start, size - start), y.narrow(at, 0, start)], at);
    }, x);
  },

  /** x end to end with itself, `counts[i]` times along axis i. The shorter of shape and counts is filled up with ones in front. */
  tile: (x: Tensor, counts: number | readonly number[]): Tensor => {
    const list = [counts].flat();
    checkCounts('tile', list, x);
    return tiled(x, list);
  },

  /**
   * As `tile`, with a count for each axis and for each new one in front (PyTorch). The function `repeat` takes a pattern.
   * @throws ShapeError where there are fewer counts than axes
   */
  repeat: (x: Tensor, counts: readonly number[]): Tensor => {
    checkCounts('repeat', counts, x);
    if (counts.length < x.rank)
      throw new ShapeError('repeat', `${counts.length} counts for rank ${x.rank}`, {
        operands: [x],
        hint: 'tile() takes missing counts for 1',
      });
    return tiled(x, counts);
  },

  /**
   * Each element along an axis that many times in a row: one number for all, or one for each. Without an axis all elements count
   * as one line.
   * @throws ShapeError where there is not one count, nor one for each element
   */
  repeatInterleave: (x: Tensor, counts: number | readonly number[], axis?: number): Tensor => {
    const line = axis === undefined ? x.reshape([-1]) : x;
    const at = axis === undefined ? 0 : normalizeAxis('repeatInterleave', axis, x);
    const list = [counts].flat();
    checkCounts('repeatInterleave', list, x);
    if (typeof counts === 'number') {
      const wide = line.shape.toSpliced(at + 1, 0, counts);
      return line
        .unsqueeze(at + 1)
        .expand(wide)
        .reshape(line.shape.with(at, line.shape[at]! * counts));
    }
    if (list.length !== line.shape[at])
      throw new ShapeError(
        'repeatInterleave',
        `${list.length} counts for ${line.shape[at]} elements (axis ${at})`,
        { operands: [x] },
      );
    return line.indexSelect(at, repeatedPlaces(list, x));
  },

  /** The matrix with a vector on its diagonal `offset` above the main one, or the diagonal of a matrix. */
  diag: (x: Tensor, offset = 0): Tensor => {
    checkOffset('diag', offset, x);
    if (x.rank !== 1 && x.rank !== 2)
      throw new ShapeError('diag', 'needs a vector or a matrix', {
        operands: [x],
        hint: 'diagonal() and diagEmbed() take more axes',
      });
    return x.rank === 1 ? x.diagEmbed(offset) : x.diagonal(offset);
  },

  /** Zeros but for the diagonal `offset` above the main one of two new axes (the last two unless told), which holds x's last axis. */
  diagEmbed: (x: Tensor, offset = 0, axis1 = -2, axis2 = -1): Tensor => {
    if (x.rank === 0) throw new ShapeError('diagEmbed', 'needs at least one axis', { operands: [x] });
    checkOffset('diagEmbed', offset, x);
    const whole = { shape: [...x.shape, 1], dtype: x.dtype };
    const [a, b] = [normalizeAxis('diagEmbed', axis1, whole), normalizeAxis('diagEmbed', axis2, whole)];
    if (a === b) throw new ValueError('diagEmbed', `needs two axes, got ${a} twice`, { operands: [x] });
    const lead = x.shape.slice(0, -1);
    const n = x.shape.at(-1)! + Math.abs(offset);
    const start = offset >= 0 ? offset : -offset * n;
    const matrices = x
      .unslice([...lead, n * n], [...lead.map(() => 0), start], [...lead.map(() => 1), n + 1])
      .reshape([...lead, n, n]);
    const order = whole.shape.map((_, i) => i).filter((i) => i !== a && i !== b);
    const places = [...order, a, b];
    return matrices.permute(places.map((_, i) => places.indexOf(i)));
  },

  /** The sum along the main diagonal of the last two axes. */
  trace: (x: Tensor): Tensor => {
    if (x.rank < 2) throw new ShapeError('trace', 'needs two axes', { operands: [x] });
    return x.diagonal(0, -2, -1).sum(-1);
  },

  /** All products of an element of one vector and one of another, [m] and [n] to [m, n]. */
  outer: (x: Tensor, y: Tensor): Tensor => {
    if (x.rank !== 1 || y.rank !== 1)
      throw new ShapeError('outer', 'needs two vectors', { operands: [x, y] });
    return x.unsqueeze(1).mul(y);
  },

  /** Kronecker product: every element of x times the whole of y, in blocks. The lower rank is filled up with axes of size 1 in front. */
  kron: (x: Tensor, y: Tensor): Tensor => {
    const rank = Math.max(x.rank, y.rank);
    const filled = (t: Tensor): number[] => [...new Array<number>(rank - t.rank).fill(1), ...t.shape];
    const [a, b] = [filled(x), filled(y)];
    const blocks = x.reshape(a.flatMap((n) => [n, 1])).mul(y.reshape(b.flatMap((n) => [1, n])));
    return blocks.reshape(a.map((n, i) => n * b[i]!));
  },

  /** Turned by k quarters from the first axis toward the second (the first two of x unless told). */
  rot90: (x: Tensor, k = 1, axes: readonly [number, number] = [0, 1]): Tensor => {
    if (!Number.isInteger(k))
      throw new ValueError('rot90', `k must be an integer, got ${k}`, { operands: [x] });
    const [a, b] = axes.map((axis) => normalizeAxis('rot90', axis, x)) as [number, number];
    if (axes.length !== 2 || a === b)
      throw new ValueError('rot90', `needs two axes, got [${axes.join(', ')}]`, { operands: [x] });
    const quarters = ((k % 4) + 4) % 4;
    if (quarters === 0) return x;
    if (quarters === 2) return x.flip([a, b]);
    return quarters === 1 ? x.flip(b).transpose(a, b) : x.transpose(a, b).flip(b);
  },

  /** Backwards along the second axis. */
  fliplr: (x: Tensor): Tensor => {
    if (x.rank < 2) throw new ShapeError('fliplr', 'needs two axes', { operands: [x] });
    return x.flip(1);
  },

  /** Backwards along the first axis. */
  flipud: (x: Tensor): Tensor => {
    if (x.rank < 1) throw new ShapeError('flipud', 'needs an axis', { operands: [x] });
    return x.flip(0);
  },

  /**
   * Differences of neighbours along an axis (the last unless told), taken n times.
   * @throws ValueError where n is no integer ≥ 0
   * @throws ShapeError where what is put before or after does not fit
   */
  diff: (x: Tensor, n = 1, axis = -1, { prepend, append }: DiffOptions = {}): Tensor => {
    const at = normalizeAxis('diff', axis, x);
    if (!Number.isInteger(n) || n < 0)
      throw new ValueError('diff', `n must be an integer ≥ 0, got ${n}`, { operands: [x] });
    const beside = (end: Operand | undefined): Tensor[] =>
      end === undefined
        ? []
        : [
            end instanceof Tensor
              ? end
              : scalar(end, scalarDType(end, x.dtype), x.backend).expand(x.shape.with(at, 1)),
          ];
    const parts = [...beside(prepend), x, ...beside(append)];
    let y = within('diff', parts, () => (parts.length > 1 ? concat(parts, at) : x));
    for (let i = 0; i < n; i++) {
      const size = Math.max(0, y.shape[at]! - 1);
      y = y.narrow(at, Math.min(1, y.shape[at]!), size).sub(y.narrow(at, 0, size));
    }
    return y;
  },
};

export interface MeshgridOptions {
  /** `ij`: the first vector runs along the first axis. `xy`: the first two change places. Default `ij`. */
  readonly indexing?: 'ij' | 'xy';
}

/**
 * Vectors (or numbers) spread over the grid that they span: the i-th result holds the i-th coordinate of every point. Views, without a copy.
 * @throws ShapeError where one has more than one axis
 */
export function meshgrid(vectors: readonly Tensor[], { indexing = 'ij' }: MeshgridOptions = {}): Tensor[] {
  checkArray('meshgrid', 'vectors', vectors);
  if (vectors.length === 0) throw new ValueError('meshgrid', 'needs at least one vector');
  if (indexing !== 'ij' && indexing !== 'xy')
    throw new ValueError('meshgrid', `indexing must be 'ij' or 'xy', got '${String(indexing)}'`);
  for (const x of vectors)
    if (x.rank > 1) throw new ShapeError('meshgrid', 'needs vectors', { operands: vectors });
  const sizes = vectors.map((x) => x.size);
  const grids = vectors.map((x, i) => x.reshape(sizes.map((n, k) => (k === i ? n : 1))).expand(sizes));
  return indexing === 'xy' && vectors.length > 1 ? grids.map((grid) => grid.transpose(0, 1)) : grids;
}

/**
 * All ways to choose an element of each vector, one a row: [n₁], …, [nₖ] to [n₁ … nₖ, k], the last running fastest. Of one vector: the
 * vector.
 */
export function cartesianProd(vectors: readonly Tensor[]): Tensor {
  checkArray('cartesianProd', 'vectors', vectors);
  if (vectors.length === 0) throw new ValueError('cartesianProd', 'needs at least one vector');
  for (const x of vectors)
    if (x.rank !== 1) throw new ShapeError('cartesianProd', 'needs vectors', { operands: vectors });
  if (vectors.length === 1) return vectors[0]!;
  const columns = meshgrid(vectors).map((grid) => grid.reshape([-1, 1]));
  return concat(columns, 1);
}
