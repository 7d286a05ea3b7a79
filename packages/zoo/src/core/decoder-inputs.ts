/** What a decoder hands to the attention of its layers, made from what it was called with. */
import { KeyValueCache, type Cache, type MultiHeadAttentionInputs } from '@infinigrad/nn';
import { ShapeError, ValueError, type Tensor } from '@infinigrad/tensor';
import { attentionInputs } from './attention-inputs.ts';
import type { CausalLMOptions } from './causal-lm.ts';

/** @throws ShapeError unless tokens have two axes and at least one position */
export function checkedTokens(op: string, inputIds: Tensor): void {
  if (inputIds.rank !== 2 || inputIds.size === 0)
    throw new ShapeError(op, 'tokens must be [batch, length], not empty', { operands: [inputIds] });
}

/**
 * The inputs of each layer's attention.
 * @returns a function of the number of the layer
 * @throws ShapeError, DTypeError, ValueError for a mask, positions, a cache or a number of logits that do not fit
 */
export function decoderInputs(
  op: string,
  inputIds: Tensor,
  layers: number,
  { attentionMask, positionIds, cache, lastLogits, prefix, key }: CausalLMOptions,
): (layer: number) => MultiHeadAttentionInputs {
  const [batch, length] = inputIds.shape as readonly [number, number];
  const seen = (cache?.length ?? 0) + length;
  if (lastLogits !== undefined && !(Number.isInteger(lastLogits) && lastLogits >= 0 && lastLogits <= length))
    throw new ValueError(op, `lastLogits must be an integer from 0 to ${length}, got ${lastLogits}`);
  if (cache && cache.layers.length !== layers)
    throw new ValueError(op, `the cache is for ${cache.layers.length} layers, not ${layers}`, {
      hint: 'newCache() makes one that fits',
    });
  const shared = {
    ...attentionInputs(op, attentionMask, batch, seen),
    ...(positionIds && { positions: positionIds }),
    ...(prefix && { prefix }),
  };
  return (layer) => ({
    ...shared,
    cache: keyValueCache(op, cache?.layers[layer]),
    ...(key && { key: key.foldIn(layer) }),
  });
}

function keyValueCache(op: string, cache: Cache | undefined): KeyValueCache | null {
  if (cache === undefined || cache instanceof KeyValueCache) return cache ?? null;
  throw new ValueError(op, `cannot go on from a ${cache.constructor.name}`, {
    hint: 'newCache() makes one that fits',
  });
}
