/** Causal scaled-dot-product attention, in one fused op. */
import type { Tensor } from '@infinigrad/tensor';
import { checkMask, checkOperands, fusedAttention } from './operands.ts';

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
  checkOperands('causalAttention', [q, k, v], true);
  if (mask) checkMask('causalAttention', mask);
  return fusedAttention(q, k, v, { mask, scale, causal: true });
}
