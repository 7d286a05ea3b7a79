/** Products of vectors and of many matrices, and matrices of powers. */
import { apply } from '../../apply.ts';
import { arange } from '../../creation.ts';
import { ShapeError, ValueError } from '../../errors.ts';
import { broadcastShapes, normalizeAxis } from '../../shape.ts';
import type { Tensor } from '../../tensor.ts';
import { within } from './support.ts';

export const products = {
  /**
   * The cross product of vectors of three, along an axis (the last unless told); the other axes broadcast.
   * @throws ShapeError where the axis has not size 3, or shapes do not broadcast
   */
  cross: (x: Tensor, y: Tensor, axis = -1): Tensor =>
    within('cross', [x, y], () => {
      const shape = broadcastShapes('cross', [x, y]);
      const at = normalizeAxis('cross', axis, { shape, dtype: x.dtype });
      const behind = at - shape.length;
      for (const operand of [x, y])
        if (operand.shape.at(behind) !== 3 || operand.rank < -behind)
          throw new ShapeError('cross', `needs vectors of 3 along axis ${axis}`, { operands: [x, y] });
      const [a, b] = [x, y].map((v) => v.split(1, behind)) as [Tensor[], Tensor[]];
      const minor = (i: number, j: number): Tensor => a[i]!.mul(b[j]!).sub(a[j]!.mul(b[i]!));
      return apply('concat', [minor(1, 2), minor(2, 0), minor(0, 1)], { axis: at });
    }),

  /**
   * Vandermonde's matrix: the powers 0 … count - 1 of each element, along a new last axis.
   * @param count default the size of the last axis
   * @throws ShapeError for a single number
   * @throws ValueError where the count is no integer ≥ 0
   */
  vander: (x: Tensor, count?: number): Tensor =>
    within('vander', [x], () => {
      if (x.rank === 0) throw new ShapeError('vander', 'needs an axis', { operands: [x] });
      const powers = count ?? x.shape.at(-1)!;
      if (!Number.isInteger(powers) || powers < 0)
        throw new ValueError('vander', `needs a count ≥ 0, got ${powers}`, { operands: [x] });
      return x.unsqueeze(-1).pow(arange(powers, undefined, 1, { backend: x.backend }));
    }),
};

/**
 * The product of matrices, multiplied in the order that takes the fewest operations. The first and the last may be vectors.
 * @throws ValueError for fewer than two
 * @throws ShapeError where inner sizes differ, or something is neither a matrix nor a vector at an end
 */
export function multiDot(tensors: readonly Tensor[]): Tensor {
  if (tensors.length < 2)
    throw new ValueError('multiDot', `needs two tensors or more, got ${tensors.length}`);
  const last = tensors.length - 1;
  const matrices = tensors.map((x, i) => {
    const vector = x.rank === 1 && (i === 0 || i === last);
    if (x.rank !== 2 && !vector)
      throw new ShapeError('multiDot', 'needs matrices, and vectors only at the ends', { operands: tensors });
    return vector ? x.unsqueeze(i === 0 ? 0 : 1) : x;
  });
  return within('multiDot', tensors, () => {
    const product = chain(matrices);
    const [first, end] = [tensors[0]!.rank === 1, tensors[last]!.rank === 1];
    const rows = first ? product.squeeze(0) : product;
    return end ? rows.squeeze(-1) : rows;
  });
}

/** Where to cut products i … j, for all of them, shorter ones first. */
function chain(matrices: readonly Tensor[]): Tensor {
  const count = matrices.length;
  const sizes = [matrices[0]!.shape[0]!, ...matrices.map((x) => x.shape[1]!)];
  const cost = matrices.map(() => new Array<number>(count).fill(0));
  const cuts = matrices.map(() => new Array<number>(count).fill(0));
  for (let length = 1; length < count; length++)
    for (let i = 0; i + length < count; i++) {
      const j = i + length;
      cost[i]![j] = Infinity;
      for (let k = i; k < j; k++) {
        const whole = cost[i]![k]! + cost[k + 1]![j]! + sizes[i]! * sizes[k + 1]! * sizes[j + 1]!;
        if (whole < cost[i]![j]!) [cost[i]![j], cuts[i]![j]] = [whole, k];
      }
    }
  const multiply = (i: number, j: number): Tensor =>
    i === j ? matrices[i]! : multiply(i, cuts[i]![j]!).matmul(multiply(cuts[i]![j]! + 1, j));
  return multiply(0, count - 1);
}
