/** Vectors of a token parted into heads, and heads of queries into groups that share keys and values. */
import type { Tensor } from '@infinigrad/tensor';

/** [batch, T, heads · d] → [batch, heads, T, d]. */
export function splitHeads(x: Tensor, heads: number): Tensor {
  const [batch, length, width] = x.shape as readonly [number, number, number];
  return x.reshape([batch, length, heads, width / heads]).permute([0, 2, 1, 3]);
}

/** [batch, T, heads · d] → [batch, kvHeads, group, T, d]: the query heads of a group meet their keys by broadcasting. */
export function groupedHeads(x: Tensor, heads: number, kvHeads: number): Tensor {
  const [batch, length, width] = x.shape as readonly [number, number, number];
  return x.reshape([batch, length, kvHeads, heads / kvHeads, width / heads]).permute([0, 2, 3, 1, 4]);
}

/** [batch, kvHeads, group, T, d] → [batch, T, heads · d]. */
export function joinedHeads(x: Tensor): Tensor {
  const [batch, kvHeads, group, length, width] = x.shape as readonly [number, number, number, number, number];
  return x.permute([0, 3, 1, 2, 4]).reshape([batch, length, kvHeads * group * width]);
}

/** What broadcasts to [batch, heads, T, S], as it broadcasts to [batch, kvHeads, group, T, S]. */
export function grouped(x: Tensor, heads: number, kvHeads: number): Tensor {
  if (x.rank < 3) return x;
  if (x.shape.at(-3) === 1) return x.unsqueeze(-3);
  const [queries, keys] = x.shape.slice(-2) as [number, number];
  return x.reshape([...x.shape.slice(0, -3), kvHeads, heads / kvHeads, queries, keys]);
}
