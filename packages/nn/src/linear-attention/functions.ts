/** The family of linear attention: recurrences over a matrix S per head, each in three forms that give the same. */
import { concat, fromData, ones, ShapeError, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import { chunkwise } from './chunkwise.ts';
import {
  problemOf,
  type Gates,
  type Problem,
  type RecurrenceOptions,
  type RecurrenceOutput,
} from './problem.ts';
import { recurrent } from './recurrent.ts';

/** Up to so many tokens, token by token is the fastest: measured at d = 64. */
const fewTokens = ({ decay, beta }: Problem): number => (beta || (decay && decay.shape[3] !== 1) ? 8 : 3);

function solved(
  problem: Problem,
  { form = 'auto', chunkSize = 64 }: RecurrenceOptions,
): { output: Tensor; state: Tensor } {
  const { q, beta } = problem;
  const length = q.shape[2]!;
  if (form === 'recurrent' || (form === 'auto' && length <= fewTokens(problem))) return recurrent(problem);
  if (form !== 'parallel') return chunkwise(problem, chunkSize);
  if (!beta || length <= 64 || q.dtype === 'f64') return chunkwise(problem, Infinity);
  // What the delta rule has overwritten is still in the sums over all pairs: too much for f32.
  const wide = Object.fromEntries(
    Object.entries(problem as object as Record<string, Tensor | null>).map(([name, x]) => [
      name,
      x && x.cast('f64'),
    ]),
  ) as object as Problem;
  const { output, state } = chunkwise(wide, Infinity);
  return { output: output.cast(q.dtype), state: state.cast(q.dtype) };
}

function withoutNormalizer(
  op: string,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  gates: Gates,
  options: RecurrenceOptions,
): RecurrenceOutput {
  const { output, state } = solved(problemOf(op, q, k, v, gates, options), options);
  return {
    output: output.dtype === q.dtype ? output : output.cast(q.dtype),
    state: { matrix: state },
  };
}

export interface LinearAttentionOptions extends RecurrenceOptions {
  /**
   * Divide by the sum of the weights, φ(q_t)·z_t with z_t = z_{t-1} + φ(k_t): outputs are means of values. Default true.
   * Without it an output norm has to keep the scale (arXiv 2210.10340).
   */
  readonly normalize?: boolean;
  /** The sum of the weights is taken for at least this. Default 1e-6. */
  readonly eps?: number;
}

/**
 * Linear attention (arXiv 2006.16236, eq. 16 … 20): S_t = S_{t-1} + k_tᵀ v_t, o_t = q_t S_t / q_t z_t.
 * @param q φ(q), [batch, heads, T, d_key]: features, made by `featureMap`
 * @param k φ(k), of q's shape
 * @param v [batch, heads, T, d_value]
 * @returns output [batch, heads, T, d_value], and the state after the last token
 * @throws ShapeError, DTypeError, ValueError where sizes, dtypes or options do not fit
 */
export function linearAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: LinearAttentionOptions = {},
): RecurrenceOutput {
  const op = 'linearAttention';
  const { normalize = true, eps = 1e-6, initialState } = options;
  if (!(eps >= 0 && eps < Infinity)) throw new ValueError(op, `eps must be a number ≥ 0, got ${eps}`);
  if (!normalize) return withoutNormalizer(op, q, k, v, {}, options);
  // The normaliser is one more value, always 1. The scale has no part in it: it would cancel.
  const problem = problemOf(op, q, k, v, {}, { ...options, scale: 1 });
  const { dtype } = problem.v;
  const one = (shape: readonly number[]): Tensor =>
    ones(shape, { dtype: dtype as 'f32' | 'f64', backend: v.backend });
  const [batch, heads, length, dv] = v.shape as readonly [number, number, number, number];
  let { state } = problem;
  if (state) {
    const z =
      initialState?.normalizer?.cast(dtype) ??
      zeros(state.shape.slice(0, 3), { dtype: dtype as 'f32' | 'f64', backend: v.backend });
    state = concat([state, z.unsqueeze(-1)], -1);
  }
  const values = concat([problem.v, one([batch, heads, length, 1])], -1);
  const all = solved({ ...problem, v: values, state }, options);
  const weight = all.output.narrow(-1, dv, 1).maximum(eps);
  const output = all.output.narrow(-1, 0, dv).div(weight);
  return {
    output: output.dtype === q.dtype ? output : output.cast(q.dtype),
    state: { matrix: all.state.narrow(-1, 0, dv), normalizer: all.state.select(-1, dv) },
  };
}

/** RetNet's decays: γ_h = 1 - 2^{-5-h} for h = 0 … heads - 1 (arXiv 2307.08621, section 3.1). */
export function retentionDecays(heads: number): number[] {
  return Array.from({ length: heads }, (_, h) => 1 - 2 ** (-5 - h));
}

export interface RetentionOptions extends RecurrenceOptions {
  /** γ of each head, in (0, 1]. Default `retentionDecays(heads)`. */
  readonly decays?: readonly number[];
}

/**
 * Retention (arXiv 2307.08621, eq. 3 … 7): S_t = γ S_{t-1} + k_tᵀ v_t, o_t = q_t S_t, with one γ a head.
 * @param q [batch, heads, T, d_key]
 * @param k of q's shape
 * @param v [batch, heads, T, d_value]
 * @throws ShapeError, DTypeError, ValueError where sizes, dtypes or options do not fit
 */
export function retention(q: Tensor, k: Tensor, v: Tensor, options: RetentionOptions = {}): RecurrenceOutput {
  const op = 'retention';
  if (q.rank !== 4 || q.size === 0)
    throw new ShapeError(op, 'needs q and k [batch, heads, T, d_key] and v [batch, heads, T, d_value]', {
      operands: [q, k, v],
    });
  const [, heads, length] = q.shape as readonly [number, number, number];
  const { decays = retentionDecays(heads) } = options;
  if (decays.length !== heads || !decays.every((gamma) => gamma > 0 && gamma <= 1))
    throw new ValueError(op, `needs ${heads} decays in (0, 1], got [${decays.join(', ')}]`);
  const log = fromData(Float64Array.from(decays, Math.log), [1, heads, 1], {
    dtype: q.dtype === 'f64' ? 'f64' : 'f32',
    backend: q.backend,
  });
  return withoutNormalizer(op, q, k, v, { decay: log.expand([1, heads, length]) }, options);
}

/**
 * Gated linear attention (arXiv 2312.06635, eq. 3): S_t = diag(α_t) S_{t-1} + k_tᵀ v_t, o_t = q_t S_t.
 * @param q [batch, heads, T, d_key]
 * @param k of q's shape
 * @param v [batch, heads, T, d_value]
 * @param logGates log α ≤ 0: [batch, heads, T, d_key], or [batch, heads, T] for one gate a token (Mamba-2's case)
 * @throws ShapeError, DTypeError, ValueError where sizes, dtypes or options do not fit
 */
export function gatedLinearAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  logGates: Tensor,
  options: RecurrenceOptions = {},
): RecurrenceOutput {
  return withoutNormalizer('gatedLinearAttention', q, k, v, { decay: logGates }, options);
}

/**
 * The delta rule (arXiv 2102.11174, eq. 24; in parallel: arXiv 2406.06484): S_t = S_{t-1} + k_tᵀ β_t (v_t - k_t S_{t-1}),
 * o_t = q_t S_t. What the key stood for before is replaced by the share β.
 * @param q [batch, heads, T, d_key]
 * @param k of q's shape; of length 1, or the state may grow without bound
 * @param v [batch, heads, T, d_value]
 * @param betas [batch, heads, T], in (0, 1), or up to 2 for negative eigenvalues
 * @throws ShapeError, DTypeError, ValueError where sizes, dtypes or options do not fit
 */
export function deltaRule(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  betas: Tensor,
  options: RecurrenceOptions = {},
): RecurrenceOutput {
  return withoutNormalizer('deltaRule', q, k, v, { beta: betas }, options);
}

/**
 * The gated delta rule (arXiv 2412.06464, eq. 10): the state fades by α_t, then the delta rule.
 * @param logGates log α ≤ 0, [batch, heads, T]; the others as in `deltaRule`
 * @throws ShapeError, DTypeError, ValueError where sizes, dtypes or options do not fit
 */
export function gatedDeltaRule(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  betas: Tensor,
  logGates: Tensor,
  options: RecurrenceOptions = {},
): RecurrenceOutput {
  if (logGates.rank !== 3)
    throw new ShapeError('gatedDeltaRule', 'gates must be [batch, heads, T]', { operands: [q, logGates] });
  return withoutNormalizer('gatedDeltaRule', q, k, v, { beta: betas, decay: logGates }, options);
}
