/** Transforms that look at a parameter as a whole: its norms, its rows and columns, its singular values. */
import { scope, ValueError, type Shape, type Tensor } from '@infinigrad/tensor';
import { times } from '../wide.ts';
import { checkNotNegative } from './momentum.ts';
import type { GradientTransform } from './transform.ts';

export interface TrustRatioOptions {
  /** Where either norm is 0 the update stays as it is; norms of the parameter above this count as it. Default Infinity. */
  readonly mostNorm?: number;
}

/** The update times ‖parameter‖ / ‖update‖ (LAMB, arXiv 1904.00962, Algorithm 2; LARS without its coefficient). */
export function scaleByTrustRatio({ mostNorm = Infinity }: TrustRatioOptions = {}): GradientTransform {
  if (!(mostNorm > 0)) throw new ValueError('scaleByTrustRatio', `mostNorm must be > 0, got ${mostNorm}`);
  const norm = (x: Tensor): Tensor => x.square().sum().sqrt();
  return {
    name: 'scaleByTrustRatio',
    apply: (update, { parameter }) => {
      const own = mostNorm === Infinity ? norm(parameter) : norm(parameter).minimum(mostNorm);
      const other = norm(update);
      const known = own.gt(0).logicalAnd(other.gt(0));
      return { update: update.mul(known.where(own.div(known.where(other, 1)), 1)) };
    },
  };
}

export interface FactoredOptions {
  /** A gradient's square counts tᵖ with p = -decayPower at the t-th update. Default 0.8. */
  readonly decayPower?: number;
  /** Squares count at least eps², as does the mean of the rows' (eps). Default: the dtype's, 1.2e-7 in f32. */
  readonly eps?: number;
}

const epsOf = (x: Tensor): number => (x.dtype === 'f64' ? 2 ** -52 : 2 ** -23);
const rows = (shape: Shape): Shape => [...shape.slice(0, -1), 1];
const columns = (shape: Shape): Shape => [...shape.slice(0, -2), 1, shape.at(-1)!];

/**
 * g / √v, where of the running mean of g² only the means of rows and columns are kept (Adafactor, arXiv 1804.04235,
 * Algorithm 4), over the last two axes; of vectors all is kept. As in PyTorch.
 */
export function scaleByFactoredRms({ decayPower = 0.8, eps }: FactoredOptions = {}): GradientTransform {
  checkNotNegative('scaleByFactoredRms', 'decayPower', decayPower);
  if (eps !== undefined) checkNotNegative('scaleByFactoredRms', 'eps', eps);
  return {
    name: 'scaleByFactoredRms',
    slots: ({ shape, dtype }) =>
      shape.length > 1
        ? { rowMeans: { shape: rows(shape), dtype }, columnMeans: { shape: columns(shape), dtype } }
        : { meanSquare: { shape, dtype } },
    apply: (g, { steps, state }) => {
      const weight = steps ** -decayPower;
      const least = eps ?? epsOf(g);
      const towards = (before: Tensor, now: Tensor): Tensor =>
        times(before, 1 - weight).add(times(now, weight));
      const divided = (v: Tensor): Tensor => g.div(v.maximum(least * least).sqrt());
      const square = g.square();
      if (g.rank < 2) {
        const meanSquare = towards(state['meanSquare']!, square);
        return { update: divided(meanSquare), state: { meanSquare } };
      }
      const rowMeans = towards(state['rowMeans']!, square.mean(-1, true));
      const columnMeans = towards(state['columnMeans']!, square.mean(-2, true));
      const v = rowMeans.div(rowMeans.mean(-2, true).maximum(least)).mul(columnMeans);
      return { update: divided(v), state: { rowMeans, columnMeans } };
    },
  };
}

const rms = (x: Tensor): Tensor => x.square().mean().sqrt();

/** Each parameter's update scaled down where its root mean square is above `limit` (Adafactor, Algorithm 4, line 8). */
export function clipByRms(limit: number): GradientTransform {
  if (!(limit > 0)) throw new ValueError('clipByRms', `limit must be > 0, got ${limit}`);
  return {
    name: 'clipByRms',
    apply: (update) => ({
      update: update.div(
        rms(update)
          .mul(1 / limit)
          .maximum(1),
      ),
    }),
  };
}

/** The update times the parameter's root mean square, at least `least` (Adafactor's relative step sizes). */
export function scaleByParameterRms(least = 1e-3): GradientTransform {
  checkNotNegative('scaleByParameterRms', 'least', least);
  return {
    name: 'scaleByParameterRms',
    apply: (update, { parameter }) => ({ update: update.mul(rms(parameter).maximum(least)) }),
  };
}

export interface OrthogonalizeOptions {
  /** Steps of the iteration. Default 5. */
  readonly iterations?: number;
  /** a, b, c of X ← a X + (b A + c A²) X, A = X Xᵀ. Default those of Keller Jordan: 3.4445, -4.775, 2.0315. */
  readonly coefficients?: readonly [number, number, number];
  /** The update's norm counts at least this. Default 1e-7. */
  readonly eps?: number;
}

/**
 * A matrix's singular values brought near 1 by a Newton–Schulz iteration (Muon, kellerjordan.github.io/posts/muon). Higher ranks
 * are matrices with all axes but the first in one, as filters of convolutions are; updates of lower rank stay as they are.
 */
export function orthogonalize(options: OrthogonalizeOptions = {}): GradientTransform {
  const { iterations = 5, coefficients = [3.4445, -4.775, 2.0315], eps = 1e-7 } = options;
  if (!Number.isInteger(iterations) || iterations < 0)
    throw new ValueError('orthogonalize', `iterations must be an integer ≥ 0, got ${iterations}`);
  if (coefficients.length !== 3 || !coefficients.every(Number.isFinite))
    throw new ValueError(
      'orthogonalize',
      `coefficients must be three numbers, got ${coefficients.join(', ')}`,
    );
  checkNotNegative('orthogonalize', 'eps', eps);
  const [a, b, c] = coefficients;
  return {
    name: 'orthogonalize',
    apply: (update) => {
      if (update.rank < 2) return { update };
      const matrix = update.reshape([update.shape[0]!, -1]);
      const tall = matrix.shape[0]! > matrix.shape[1]!;
      let x = tall ? matrix.transpose(0, 1) : matrix;
      x = x.div(x.square().sum().sqrt().maximum(eps));
      const next = (before: Tensor): Tensor => {
        const gram = before.matmul(before.transpose(0, 1));
        return before.mul(a).add(gram.mul(b).add(gram.matmul(gram).mul(c)).matmul(before));
      };
      // What an iteration makes on the way is given back before the next.
      for (let i = 0; i < iterations; i++) {
        const before = x;
        x = scope(() => next(before), { fuse: true });
      }
      return { update: (tall ? x.transpose(0, 1) : x).reshape(update.shape) };
    },
  };
}

/** How the rate of an orthogonalized update depends on the shape of its matrix. */
export type MuonAdjustment = 'original' | 'matchRmsAdamW' | 'none';

/** √max(1, rows / columns) ('original'), or 0.2 √max(rows, columns) ('matchRmsAdamW', arXiv 2502.16982). */
export function scaleByShape(adjustment: MuonAdjustment = 'original'): GradientTransform {
  if (!['original', 'matchRmsAdamW', 'none'].includes(adjustment))
    throw new ValueError('scaleByShape', `there is no adjustment '${String(adjustment)}'`, {
      hint: "one of 'original', 'matchRmsAdamW', 'none'",
    });
  const factor = (n: number, m: number): number =>
    adjustment === 'none'
      ? 1
      : adjustment === 'original'
        ? Math.sqrt(Math.max(1, n / m))
        : 0.2 * Math.sqrt(Math.max(n, m));
  return {
    name: 'scaleByShape',
    apply: (update) => {
      if (update.rank < 2) return { update };
      const n = update.shape[0]!;
      return { update: update.mul(factor(n, update.size / n)) };
    },
  };
}
