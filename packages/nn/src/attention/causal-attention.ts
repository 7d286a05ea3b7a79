/** Causal scaled-dot-product attention, in one fused op. */
import { DTypeError, ShapeError, type Tensor } from '@infinigrad/tensor';

export interface CausalAttentionOptions {
  /**
   * bool, broadcasts to [..., T_q, T_k]; false where a query must not see a key. A query that sees no key at all
   * gets zeros, and gives none of its gradient on.
   */
  readonly mask?: Tensor;
  /** Factor of the scores. Default 1/√d. */
  readonly scale?: number;
}

/**
 * softmax(scale · q kᵀ, over the keys not later than the query) v.
 * @param q [..., T_q, d]
 * @param k [..., T_k, d], T_k ≥ T_q: the last query stands beside the last key
 * @param v [..., T_k, d_v]; leading axes of all three broadcast
 * @returns [..., T_q, d_v]
 */
export function causalAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { mask, scale }: CausalAttentionOptions = {},
): Tensor {
  const operands = [q, k, v];
  if (operands.some((x) => x.rank < 2))
    throw new ShapeError('causalAttention', 'needs queries, keys and values [..., T, d]', { operands });
  const [queries, d] = q.shape.slice(-2) as [number, number];
  const keys = k.shape.at(-2)!;
  if (k.shape.at(-1) !== d)
    throw new ShapeError('causalAttention', 'queries and keys differ in size', { operands });
  if (v.shape.at(-2) !== keys)
    throw new ShapeError('causalAttention', 'keys and values differ in number', { operands });
  if (queries > keys)
    throw new ShapeError('causalAttention', `${queries} queries for ${keys} keys`, {
      operands,
      hint: 'the last query stands beside the last key',
    });
  if (mask && mask.dtype !== 'bool')
    throw new DTypeError('causalAttention', 'the mask must be bool', {
      operands: [mask],
      hint: 'true where a query may see a key',
    });
  // The op also gives the log-sum-exp of each query's scores, in a last column.
  return q.attention(k, v, { mask, scale, causal: true }).narrow(-1, 0, v.shape.at(-1)!);
}
