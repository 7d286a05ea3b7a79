/**
 * T5 (arXiv 1910.10683): v1.0, v1.1 and Flan.
 *
 * - Encoder and decoder of pre-norm blocks; RMSNorm; no biases anywhere.
 * - Relative positions: a number for each head and bucket of distances, one table for all blocks of a stack.
 * - Scores are not divided by √d: the initial queries are smaller instead.
 * - Feed-forward relu(x W) W (v1.0) or gated (gelu(x W) · x V) W (v1.1).
 * - v1.0 shares one table between encoder, decoder and head, and scales what the head sees by dModel^-½; v1.1 has a head of its own.
 */
import { Embedding, Linear } from '@infinigrad/nn';
import { full, concat, ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import { attentionInputs, type AttentionMaskLike } from '../core/attention-inputs.ts';
import { footprints } from '../core/counting.ts';
import type { ModelCacheOptions } from '../core/model-cache.ts';
import { PretrainedModel, type ModelInit, type ModelMeta } from '../core/pretrained.ts';
import { encoderDecoderCache, type EncoderDecoderCache } from './cache.ts';
import { t5Config, t5Schema, type T5Config, type T5Options } from './config.ts';
import { checkIds, encode, type T5EncodeOptions } from './encoder.ts';
import { t5Keys, t5Tables } from './keys.ts';
import { T5Stack, type StackOutput } from './stack.ts';

const op = 'T5';

export interface T5ForwardOptions extends T5EncodeOptions {
  /** [batch, T], i32: the start token and what has been decoded; `shiftRight` makes them of labels. */
  readonly decoderInputIds: Tensor;
  /** Of the decoder's tokens, those read before among them: bool or integers [batch, T so far], 0 for padding; or a mask. */
  readonly decoderAttentionMask?: AttentionMaskLike | undefined;
  /** What `encode` gave, instead of encoding the input once more. */
  readonly encoderOutput?: Pick<StackOutput, 'lastHiddenState'> | undefined;
  /** What was decoded before; this call's tokens are read into it. After the first call it holds the encoded text, too. */
  readonly cache?: EncoderDecoderCache | undefined;
  /** How many of the last positions need logits. Default all. */
  readonly lastLogits?: number | undefined;
}

export interface T5Output {
  /** [batch, T or lastLogits, vocabSize]. */
  readonly logits: Tensor;
  /** Null where the cache held the encoded text. */
  readonly encoderLastHiddenState: Tensor | null;
  readonly encoderHiddenStates?: readonly Tensor[] | undefined;
  readonly encoderAttentions?: readonly Tensor[] | undefined;
  readonly decoderHiddenStates?: readonly Tensor[] | undefined;
  readonly decoderAttentions?: readonly Tensor[] | undefined;
  readonly crossAttentions?: readonly Tensor[] | undefined;
}

export class T5ForConditionalGeneration extends PretrainedModel<T5Config> {
  static readonly meta: ModelMeta<T5Config> = {
    architecture: 'T5ForConditionalGeneration',
    config: t5Schema,
    basePrefix: '',
    keyMap: t5Keys,
    ignored: [/^decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$/],
    tied: ({ tieWordEmbeddings }) => [[...t5Tables, ...(tieWordEmbeddings ? ['lm_head.weight'] : [])]],
    // Blocks of the decoder attend twice: to their own tokens, and to the text.
    shape: (config) => ({
      layers: config.numLayers + 2 * config.numDecoderLayers,
      heads: config.numHeads,
      kvHeads: config.numHeads,
      keyDim: config.dKv,
      valueDim: config.dKv,
      tiedHead: config.tieWordEmbeddings ? config.vocabSize * config.dModel : 0,
    }),
  };

  /** [vocabSize, dModel], of encoder and decoder. */
  readonly shared: Embedding;
  readonly encoder: T5Stack;
  readonly decoder: T5Stack;
  /** Null where it is tied to `shared`. */
  readonly lmHead: Linear | null;

  /** @param key decides the initial weights, which are the reference's */
  constructor(options: T5Options, key: Key, { dtype = 'f32' }: ModelInit = {}) {
    super(t5Config(options));
    const { vocabSize, dModel, initializerFactor: std, tieWordEmbeddings } = this.config;
    const keys = key.split(4) as [Key, Key, Key, Key];
    this.shared = new Embedding(vocabSize, dModel, { key: keys[0], std, dtype });
    this.encoder = new T5Stack(this.config, false, keys[1], dtype);
    this.decoder = new T5Stack(this.config, true, keys[2], dtype);
    this.lmHead = tieWordEmbeddings
      ? null
      : new Linear(dModel, vocabSize, { key: keys[3], bias: false, std, dtype });
  }

  /**
   * @param inputIds [batch, S], i32
   * @throws ShapeError, DTypeError, IndexError for ids and masks that do not fit
   */
  encode(inputIds: Tensor, options: T5EncodeOptions = {}): StackOutput {
    return encode(this, inputIds, options);
  }

  /**
   * Logits of the token after each of `decoderInputIds`.
   * @param inputIds [batch, S], i32; null where an encoder's output is given, or the cache holds it
   * @throws ShapeError, DTypeError, IndexError, ValueError for inputs that are missing or do not fit
   */
  forward(inputIds: Tensor | null, options: T5ForwardOptions): T5Output {
    const { config } = this;
    const { decoderInputIds, decoderAttentionMask, attentionMask, cache, key, encoderOutput } = options;
    const { outputHiddenStates, outputAttentions } = options;
    const [batch, length] = checkIds(decoderInputIds, 'decoderInputIds');
    const { lastLogits = length } = options;
    if (!Number.isInteger(lastLogits) || lastLogits < 0 || lastLogits > length)
      throw new ValueError(op, `lastLogits must be an integer from 0 to ${length}, got ${lastLogits}`);
    if (cache && cache.layers.length !== config.numDecoderLayers)
      throw new ValueError(op, `a cache of ${cache.layers.length} layers for ${config.numDecoderLayers}`);
    const self = attentionInputs(op, decoderAttentionMask, batch, (cache?.length ?? 0) + length);
    const known = cache?.encoded ?? false;
    if (!known && !encoderOutput && !inputIds)
      throw new ValueError(op, 'there is nothing to decode from', {
        operands: [decoderInputIds],
        hint: 'pass inputIds or an encoderOutput; a cache holds one after its first call only',
      });
    const [encoderKey, decoderKey] = key?.split(2) ?? [];
    const encoded = known
      ? null
      : (encoderOutput ??
        this.encode(inputIds!, { attentionMask, outputHiddenStates, outputAttentions, key: encoderKey }));
    const source = encoded?.lastHiddenState ?? null;
    const keys = source ? source.shape[1]! : cache!.layers[0]!.encoded.content!.keys.shape[2]!;
    const seen = attentionInputs(op, attentionMask ?? (known ? cache!.encoderMask : null), batch, keys);
    if (cache && !known && seen.keyMask) cache.keepEncoderMask(seen.keyMask);
    const x = this.shared.forward(decoderInputIds);
    const decoded = this.decoder.forward(x, {
      self,
      // What the cache holds takes the place of the context.
      encoded: { ...seen, context: source ?? x },
      caches: cache?.layers,
      key: decoderKey,
      outputHiddenStates,
      outputAttentions,
    });
    const last = decoded.lastHiddenState.narrow(1, length - lastLogits, lastLogits);
    const scaled = config.scaleDecoderOutputs ? last.mul(config.dModel ** -0.5) : last;
    const own = encoded as StackOutput | null;
    return {
      logits: this.lmHead ? this.lmHead.forward(scaled) : this.shared.attend(scaled),
      encoderLastHiddenState: source,
      ...(own?.hiddenStates && { encoderHiddenStates: own.hiddenStates }),
      ...(own?.attentions && { encoderAttentions: own.attentions }),
      ...(decoded.hiddenStates && { decoderHiddenStates: decoded.hiddenStates }),
      ...(decoded.attentions && { decoderAttentions: decoded.attentions }),
      ...(decoded.crossAttentions && { crossAttentions: decoded.crossAttentions }),
    };
  }

  /**
   * What the decoder reads to give the labels: the start token, and all labels but the last one, ignored ones (-100) as padding.
   * @param labels [batch, T], i32
   * @throws ValueError where the configuration names no start token, or no padding
   */
  shiftRight(labels: Tensor): Tensor {
    const { decoderStartTokenId: start, padTokenId: pad } = this.config;
    if (start === null || pad === null)
      throw new ValueError(op, 'shiftRight needs a start token and a padding token', {
        hint: 'decoderStartTokenId and padTokenId of the configuration',
      });
    const [batch, length] = checkIds(labels, 'labels');
    const { dtype, backend } = labels;
    const first = full([batch, 1], start, { dtype: 'i32', backend });
    const before = labels.narrow(1, 0, length - 1);
    return concat([first, before.ne(-100).where(before, pad).cast(dtype)], 1);
  }

  /**
   * Numbers that the decoder keeps, of each row of a batch: keys and values of its own tokens, and of the encoded text.
   * @param textLength of the text. Default length
   */
  override memoryFootprint(length: number, textLength = length): number {
    const { numDecoderLayers: layers, numHeads: heads, dKv } = this.config;
    return footprints.transformer({ layers, heads, keyDim: dKv, valueDim: dKv }, length + textLength);
  }

  get gradientCheckpointing(): boolean {
    return this.encoder.gradientCheckpointing;
  }

  /** Of both stacks. */
  set gradientCheckpointing(on: boolean) {
    this.encoder.gradientCheckpointing = this.decoder.gradientCheckpointing = on;
  }

  /** An empty cache of the decoder; padding is that of its own tokens. */
  newCache(options: ModelCacheOptions = {}): EncoderDecoderCache {
    return encoderDecoderCache(this.config.numDecoderLayers, options);
  }
}
