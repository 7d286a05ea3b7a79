/** What callers say of tokens that are not there, as attention takes it. */
import { AttentionMask, type MultiHeadAttentionInputs } from '@infinigrad/nn';
import { DTypeError, isFloat, ShapeError, type Tensor } from '@infinigrad/tensor';

/** A mask, or bool or integers [batch, keys], 0 for padding. */
export type AttentionMaskLike = Tensor | AttentionMask;

/**
 * @param keys tokens that may be seen: those read before, and those of the call
 * @throws ShapeError, DTypeError for a tensor that is no such mask
 */
export function attentionInputs(
  op: string,
  mask: AttentionMaskLike | null | undefined,
  batch: number,
  keys: number,
): Pick<MultiHeadAttentionInputs, 'mask' | 'keyMask'> {
  if (!mask) return {};
  if (mask instanceof AttentionMask) return { mask };
  if (isFloat(mask.dtype))
    throw new DTypeError(op, 'the attention mask must be bool or integers', {
      operands: [mask],
      hint: 'true or 1 for tokens that are there',
    });
  if (mask.rank !== 2 || mask.shape[0] !== batch || mask.shape[1] !== keys)
    throw new ShapeError(op, `the attention mask must be [${batch}, ${keys}]`, { operands: [mask] });
  return { keyMask: mask.dtype === 'bool' ? mask : mask.ne(0) };
}
