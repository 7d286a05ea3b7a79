/** Positions that enter attention through its scores. */
import type { Tensor } from '@infinigrad/tensor';

/** What attention asks of positions that enter through the scores; the last query stands beside the last key. */
export interface ScorePositions {
  /**
   * What is added to the scaled scores.
   * @param q queries [batch, heads, T_q, d]
   * @param keys their number, T_k ≥ T_q
   * @param scale the factor of the scores, for terms that are scores themselves
   * @returns broadcasts to [batch, heads, T_q, T_k]
   */
  bias(q: Tensor, keys: number, scale: number): Tensor;
  /** The queries [batch, heads, T_q, d] that meet the keys. Default: as they are. */
  queries?(q: Tensor): Tensor;
}
