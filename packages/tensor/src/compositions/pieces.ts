/** Tensors taken apart along an axis, and axes split. */
import { ShapeError, ValueError } from '../errors.ts';
import { checkArray, normalizeAxis, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';

export const pieceMethods = {
  /**
   * At most `count` pieces along an axis (the first unless told), all of one size but for a shorter last one, as in PyTorch: 5 elements in
   * 4 pieces are 2, 2 and 1. `split` takes sizes.
   * @throws ValueError where the count is no integer ≥ 1
   */
  chunk: (x: Tensor, count: number, axis = 0): Tensor[] => {
    const at = normalizeAxis('chunk', axis, x);
    if (!Number.isInteger(count) || count < 1)
      throw new ValueError('chunk', `needs a count ≥ 1, got ${count}`, { operands: [x] });
    const size = x.shape[at]!;
    return size === 0 ? new Array<Tensor>(count).fill(x) : x.split(Math.ceil(size / count), at);
  },

  /** All slices along an axis (the first unless told), without it. `stack` is the way back. */
  unbind: (x: Tensor, axis = 0): Tensor[] => {
    const at = normalizeAxis('unbind', axis, x);
    return Array.from({ length: x.shape[at]! }, (_, i) => x.select(at, i));
  },

  /**
   * One axis as several, of which one size may be -1: undoes `flatten`.
   * @throws ShapeError where the sizes do not multiply to that of the axis
   */
  unflatten: (x: Tensor, axis: number, sizes: readonly number[]): Tensor => {
    const at = normalizeAxis('unflatten', axis, x);
    checkArray('unflatten', 'the sizes', sizes, x);
    const size = x.shape[at]!;
    const known = sizeOf(sizes.filter((n) => n !== -1));
    const found = sizes.map((n) => (n === -1 ? size / known : n));
    const whole = found.every((n) => Number.isInteger(n) && n >= 0);
    if (!whole || sizes.filter((n) => n === -1).length > 1 || sizeOf(found) !== size)
      throw new ShapeError('unflatten', `axis ${at} of size ${size} is not [${sizes.join(', ')}]`, {
        operands: [x],
      });
    return x.reshape([...x.shape.slice(0, at), ...found, ...x.shape.slice(at + 1)]);
  },
};
