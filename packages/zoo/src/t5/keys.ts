/** How T5's parameters are called in files. */
import type { KeyRule } from '../core/key-map.ts';

/** The encoder's feed-forward is its blocks' second part, the decoder's their third. */
const stackRules = (stack: string, feedForward: number): KeyRule[] => {
  const block = `${stack}.block.{i}.layer`;
  const ours = `${stack}.blocks.{i}`;
  return [
    {
      from: `${stack}.relativeAttentionBias.weight`,
      to: `${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`,
    },
    { from: `${ours}.selfAttention.{p}Proj.weight`, to: `${block}.0.SelfAttention.{p}.weight` },
    { from: `${ours}.selfNorm.weight`, to: `${block}.0.layer_norm.weight` },
    { from: `${ours}.crossAttention.{p}Proj.weight`, to: `${block}.1.EncDecAttention.{p}.weight` },
    { from: `${ours}.crossNorm.weight`, to: `${block}.1.layer_norm.weight` },
    { from: `${ours}.feedForward.wi0.weight`, to: `${block}.${feedForward}.DenseReluDense.wi_0.weight` },
    { from: `${ours}.feedForward.wi1.weight`, to: `${block}.${feedForward}.DenseReluDense.wi_1.weight` },
    { from: `${ours}.feedForward.{w}.weight`, to: `${block}.${feedForward}.DenseReluDense.{w}.weight` },
    { from: `${ours}.feedForwardNorm.weight`, to: `${block}.${feedForward}.layer_norm.weight` },
  ];
};

export const t5Keys: readonly KeyRule[] = [...stackRules('encoder', 1), ...stackRules('decoder', 2)];

/** The tables of the embedding, which are one; the first is saved. */
export const t5Tables = [
  'shared.weight',
  'encoder.embed_tokens.weight',
  'decoder.embed_tokens.weight',
] as const;
