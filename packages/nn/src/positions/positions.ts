/** Where the tokens of a call stand in their sequences. */
import {
  arange,
  DTypeError,
  fromData,
  ShapeError,
  ValueError,
  type Backend,
  type Tensor,
} from '@infinigrad/tensor';

/**
 * Of T tokens: the position of the first, or in a batch whose rows begin with padding of the first of each row (padding
 * itself counts below 0 and stands at 0), or every position, i32 [T] or [batch, T].
 */
export type Positions = number | readonly number[] | Tensor;

/** @throws ValueError for starts that are no integers (one for all: ≥ 0), ShapeError and DTypeError for a tensor that tells no positions */
export function checkPositions(op: string, positions: Positions, length: number, batch: number | null): void {
  if (typeof positions === 'number') {
    if (!Number.isInteger(positions) || positions < 0)
      throw new ValueError(op, `the offset must be an integer ≥ 0, got ${positions}`);
    return;
  }
  if (isStarts(positions)) {
    if (positions.length !== batch)
      throw new ShapeError(op, `${positions.length} starts for a batch of ${batch ?? 'none'}`);
    for (const start of positions)
      if (!Number.isInteger(start)) throw new ValueError(op, `starts must be integers, got ${start}`);
    return;
  }
  if (positions.dtype !== 'i32')
    throw new DTypeError(op, 'positions must be integers', {
      operands: [positions],
      hint: "cast('i32') converts",
    });
  const fits =
    positions.shape.at(-1) === length &&
    (positions.rank === 1 || (positions.rank === 2 && positions.shape[0] === batch));
  if (!fits)
    throw new ShapeError(
      op,
      `positions must be [${length}]${batch === null ? '' : ` or [${batch}, ${length}]`}`,
      {
        operands: [positions],
      },
    );
}

const isStarts = (positions: Positions): positions is readonly number[] => Array.isArray(positions);

/** The positions as numbers, [T] or [batch, T] row by row; null for a tensor that cannot be read at once. */
export function knownPositions(
  positions: Positions,
  length: number,
): { readonly numbers: Int32Array; readonly shape: readonly number[] } | null {
  if (typeof positions === 'number')
    return { numbers: Int32Array.from({ length }, (_, i) => positions + i), shape: [length] };
  if (isStarts(positions))
    return {
      numbers: Int32Array.from(
        positions.flatMap((start) => Array.from({ length }, (_, i) => Math.max(0, start + i))),
      ),
      shape: [positions.length, length],
    };
  if (!positions.backend.synchronous) return null;
  return { numbers: Int32Array.from(positions.dataSync()), shape: positions.shape };
}

/** Positions as a tensor, i32 [T] or [batch, T]. */
export function positionIds(positions: Positions, length: number, backend: Backend): Tensor {
  if (typeof positions === 'number')
    return arange(positions, positions + length, 1, { dtype: 'i32', backend });
  if (!isStarts(positions)) return positions;
  const { numbers, shape } = knownPositions(positions, length)!;
  return fromData(numbers, shape, { backend });
}
