/** Lengths of vectors made 1, angles and distances between them. */
import { ShapeError, ValueError } from '../errors.ts';
import { normalizeAxis } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { asFloat } from './linalg/support.ts';
import { within } from './within.ts';

export interface NormalizeOptions {
  /** The order of the norm, as in `vectorNorm`. Default 2. */
  readonly order?: number;
  /** What a shorter vector is divided by. Default 1e-12. */
  readonly eps?: number;
}

function checkEps(op: string, eps: number): void {
  if (!(eps >= 0)) throw new ValueError(op, `needs eps ≥ 0, got ${eps}`);
}

export const distanceMethods = {
  /**
   * Vectors along an axis (the last unless told) divided by their norms, or by `eps` where that is more.
   * @throws ValueError for an eps that is negative or NaN
   */
  normalize: (x: Tensor, axis = -1, { order = 2, eps = 1e-12 }: NormalizeOptions = {}): Tensor => {
    const at = normalizeAxis('normalize', axis, x);
    checkEps('normalize', eps);
    const y = asFloat(x);
    return y.div(within('normalize', [x], () => y.vectorNorm(order, at, true)).maximum(eps));
  },

  /**
   * The cosines of the angles between vectors along an axis (the last unless told; PyTorch: the second); the other axes broadcast.
   * Norms below `eps` (1e-8 unless told) count as eps.
   * @throws ShapeError where shapes do not broadcast
   * @throws ValueError for an eps that is negative or NaN
   */
  cosineSimilarity: (x: Tensor, y: Tensor, axis = -1, { eps = 1e-8 }: { eps?: number } = {}): Tensor => {
    checkEps('cosineSimilarity', eps);
    return within('cosineSimilarity', [x, y], () =>
      x.normalize(axis, { eps }).mul(y.normalize(axis, { eps })).sum(axis),
    );
  },

  /**
   * The distances between the n points of x and the m points of y, [..., n, d] and [..., m, d] to [..., n, m]; leading axes
   * broadcast. From differences, not products, so that close points keep their digits; these take n · m · d elements on the way.
   * @param order of the norm, as in `vectorNorm`. Default 2
   * @throws ShapeError where the shapes do not fit
   */
  cdist: (x: Tensor, y: Tensor, order = 2): Tensor => {
    if (x.rank < 2 || y.rank < 2 || x.shape.at(-1) !== y.shape.at(-1))
      throw new ShapeError('cdist', 'needs points [n, d] and [m, d]', { operands: [x, y] });
    return within('cdist', [x, y], () =>
      asFloat(x).unsqueeze(-2).sub(asFloat(y).unsqueeze(-3)).vectorNorm(order, -1),
    );
  },
};
