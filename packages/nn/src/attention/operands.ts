/** What functions of attention ask of queries, keys, values and masks. */
import { DTypeError, ShapeError, type Tensor } from '@infinigrad/tensor';

/**
 * @param ordered whether queries see no later keys: then there are no more of them
 * @throws ShapeError for tensors that do not fit together
 */
export function checkOperands(
  op: string,
  operands: readonly [q: Tensor, k: Tensor, v: Tensor],
  ordered: boolean,
): void {
  const [q, k, v] = operands;
  if (operands.some((x) => x.rank < 2))
    throw new ShapeError(op, 'needs queries, keys and values [..., T, d]', { operands });
  const [queries, keys] = [q.shape.at(-2)!, k.shape.at(-2)!];
  if (k.shape.at(-1) !== q.shape.at(-1))
    throw new ShapeError(op, 'queries and keys differ in size', { operands });
  if (v.shape.at(-2) !== keys) throw new ShapeError(op, 'keys and values differ in number', { operands });
  if (ordered && queries > keys)
    throw new ShapeError(op, `${queries} queries for ${keys} keys`, {
      operands,
      hint: 'the last query stands beside the last key',
    });
}

/** @throws DTypeError for a mask that is not bool */
export function checkMask(op: string, mask: Tensor, hint = 'true where a query may see a key'): void {
  if (mask.dtype !== 'bool') throw new DTypeError(op, 'the mask must be bool', { operands: [mask], hint });
}

/** In one op, which never holds the T_q × T_k matrix. */
export function fusedAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  attrs: Parameters<Tensor['attention']>[2],
): Tensor {
  // The op also gives the log-sum-exp of each query's scores, in a last column.
  return q.attention(k, v, attrs).narrow(-1, 0, v.shape.at(-1)!);
}
