/** The walk of a decoder through its blocks. */
import { checkpoint } from '@infinigrad/autograd';
import type { LayerNorm, MultiHeadAttentionInputs, RMSNorm, WeightedAttention } from '@infinigrad/nn';
import type { Tensor } from '@infinigrad/tensor';

export interface DecoderBlock {
  forward(x: Tensor, inputs: MultiHeadAttentionInputs): Tensor;
  /** The same, and the weights of attention. */
  forwardWithWeights(x: Tensor, inputs: MultiHeadAttentionInputs): WeightedAttention;
}

export interface BlocksOptions {
  readonly outputHiddenStates?: boolean | undefined;
  readonly outputAttentions?: boolean | undefined;
  /** Keep what goes between blocks alone, and call them again in the backward pass. Not where weights of attention are given. */
  readonly saving: boolean;
}

export interface BlocksOutput {
  /** [batch, length, hiddenSize], after the last norm. */
  readonly lastHiddenState: Tensor;
  readonly hiddenStates?: readonly Tensor[];
  readonly attentions?: readonly Tensor[];
}

/** @param inputs of the attention of each block */
export function throughBlocks(
  embedded: Tensor,
  blocks: readonly DecoderBlock[],
  norm: RMSNorm | LayerNorm,
  inputs: (block: number) => MultiHeadAttentionInputs,
  { outputHiddenStates = false, outputAttentions = false, saving }: BlocksOptions,
): BlocksOutput {
  const hiddenStates: Tensor[] = [];
  const attentions: Tensor[] = [];
  let x = embedded;
  blocks.forEach((block, i) => {
    if (outputHiddenStates) hiddenStates.push(x);
    if (outputAttentions) {
      const { output, weights } = block.forwardWithWeights(x, inputs(i));
      attentions.push(weights);
      x = output;
    } else
      x = saving ? checkpoint((y: Tensor) => block.forward(y, inputs(i)))(x) : block.forward(x, inputs(i));
  });
  const lastHiddenState = norm.forward(x);
  return {
    lastHiddenState,
    ...(outputHiddenStates && { hiddenStates: [...hiddenStates, lastHiddenState] }),
    ...(outputAttentions && { attentions }),
  };
}
