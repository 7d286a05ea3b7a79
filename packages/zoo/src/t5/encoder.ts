/** T5's encoder, alone (for embeddings of texts) or as a part of the whole model. */
import { Embedding } from '@infinigrad/nn';
import { ShapeError, type Key, type Tensor } from '@infinigrad/tensor';
import { attentionInputs, type AttentionMaskLike } from '../core/attention-inputs.ts';
import { PretrainedModel, type ModelInit, type ModelMeta } from '../core/pretrained.ts';
import { t5Config, t5Schema, type T5Config, type T5Options } from './config.ts';
import { t5Keys, t5Tables } from './keys.ts';
import { T5Stack, type StackOutput } from './stack.ts';

export interface T5EncodeOptions {
  /** bool or integers [batch, S], 0 for padding; or a mask. */
  readonly attentionMask?: AttentionMaskLike | undefined;
  /** Give the hidden states too. Default false. */
  readonly outputHiddenStates?: boolean | undefined;
  /** Give the weights of attention too. Default false. */
  readonly outputAttentions?: boolean | undefined;
  /** For dropout, in training. */
  readonly key?: Key | undefined;
}

/** [batch, T] of ids. @throws ShapeError */
export function checkIds(ids: Tensor, name: string): readonly [number, number] {
  if (ids.rank !== 2 || ids.size === 0)
    throw new ShapeError('T5', `${name} must be [batch, T], not empty`, { operands: [ids] });
  return ids.shape as readonly [number, number];
}

/** What both models do. */
export function encode(
  { shared, encoder }: { readonly shared: Embedding; readonly encoder: T5Stack },
  inputIds: Tensor,
  { attentionMask, ...call }: T5EncodeOptions,
): StackOutput {
  const [batch, length] = checkIds(inputIds, 'inputIds');
  const self = attentionInputs('T5', attentionMask, batch, length);
  return encoder.forward(shared.forward(inputIds), { self, ...call });
}

/** The encoder without a decoder; loads files of whole models too. */
export class T5EncoderModel extends PretrainedModel<T5Config> {
  static readonly meta: ModelMeta<T5Config> = {
    architecture: 'T5EncoderModel',
    config: t5Schema,
    basePrefix: '',
    keyMap: t5Keys,
    ignored: [/^decoder\./, /^lm_head\.weight$/],
    tied: () => [t5Tables],
    shape: ({ numLayers, numHeads, dKv }) => ({
      layers: numLayers,
      heads: numHeads,
      kvHeads: 0,
      keyDim: dKv,
      valueDim: dKv,
      tiedHead: 0,
    }),
  };

  /** [vocabSize, dModel]. */
  readonly shared: Embedding;
  readonly encoder: T5Stack;

  /** @param key decides the initial weights */
  constructor(options: T5Options, key: Key, { dtype = 'f32' }: ModelInit = {}) {
    super(t5Config(options));
    const { vocabSize, dModel, initializerFactor: std } = this.config;
    const [table, stack] = key.split(2) as [Key, Key];
    this.shared = new Embedding(vocabSize, dModel, { key: table, std, dtype });
    this.encoder = new T5Stack(this.config, false, stack, dtype);
  }

  /**
   * @param inputIds [batch, S], i32
   * @throws ShapeError, DTypeError, IndexError for ids and masks that do not fit
   */
  forward(inputIds: Tensor, options: T5EncodeOptions = {}): StackOutput {
    return encode(this, inputIds, options);
  }

  get gradientCheckpointing(): boolean {
    return this.encoder.gradientCheckpointing;
  }

  set gradientCheckpointing(on: boolean) {
    this.encoder.gradientCheckpointing = on;
  }
}
