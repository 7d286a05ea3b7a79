/**
 * Transformer-XL (arXiv 1901.02860), as a baseline for the Infini-Transformer: what can be had by keeping what the last tokens looked
 * like, instead of a compressive memory.
 *
 * - Segments of N tokens are read one after the other; each layer attends to the segment and to M hidden states kept from before it.
 * - No gradient flows into what is kept (section 3.2). Through L layers a token still sees L · M tokens back.
 * - Relative positions, which need not know where a segment lies (section 3.3).
 * - Blocks are those of the Infini-Transformer: pre-norm, RMSNorm, SwiGLU, no biases; the paper's are post-norm with LayerNorm and ReLU.
 * - With M = 0 segments know nothing of each other: the segment-only baseline.
 */
import {
  causalMask,
  Embedding,
  Linear,
  Module,
  MultiHeadAttention,
  RMSNorm,
  SwiGLU,
  TransformerXLPositions,
} from '@infinigrad/nn';
import {
  concat,
  full,
  ShapeError,
  ValueError,
  type FloatDType,
  type Key,
  type Tensor,
} from '@infinigrad/tensor';
import { attentionInputs } from '../core/attention-inputs.ts';
import { checkedTokens } from '../core/decoder-inputs.ts';
import { PretrainedModel, type ModelInit, type ModelMeta } from '../core/pretrained.ts';
import { transformerXLSchema, type TransformerXLConfig, type TransformerXLOptions } from './config.ts';

/** What is kept of the last tokens, without history. */
export interface XLMemory {
  /** What went into each layer, [batch, m, hiddenSize], m ≤ memoryLength. */
  readonly hidden: readonly Tensor[];
  /** bool [batch, m], false for padding; null where there is none. */
  readonly present: Tensor | null;
}

export interface XLForwardOptions {
  /** What an earlier call returned, to go on where it stopped. That call's length must have been whole segments. */
  readonly memory?: XLMemory | null | undefined;
  /** bool or integers [batch, length], 0 for padding. */
  readonly attentionMask?: Tensor | undefined;
  /** How many of the last positions need logits. Default all; 0 only reads on. */
  readonly lastLogits?: number | undefined;
}

export interface XLOutput {
  /** [batch, length or lastLogits, vocabSize]. */
  readonly logits: Tensor;
  /** Null where nothing is kept: memoryLength 0. */
  readonly memory: XLMemory | null;
}

export interface XLInit extends ModelInit {
  /** Standard deviation of the embedding. Default 0.02. */
  readonly embeddingStd?: number | undefined;
  /** Standard deviation of a linear layer's weights is this / √inputs. Default 0.7. */
  readonly gain?: number | undefined;
}

const op = 'TransformerXL';

class XLBlock extends Module {
  readonly inputNorm: RMSNorm;
  readonly attention: MultiHeadAttention;
  readonly postNorm: RMSNorm;
  readonly mlp: SwiGLU;

  constructor(config: TransformerXLConfig, key: Key, std: (fanIn: number) => number, dtype: FloatDType) {
    super();
    const { hiddenSize, numHeads, headDim, rmsNormEps: eps } = config;
    const keys = key.split(3) as [Key, Key, Key];
    this.inputNorm = new RMSNorm(hiddenSize, { eps, dtype });
    this.attention = new MultiHeadAttention(hiddenSize, {
      numHeads,
      headDim,
      bias: false,
      scorePositions: new TransformerXLPositions(numHeads, headDim, hiddenSize, { key: keys[0], std, dtype }),
      key: keys[1],
      std,
      dtype,
    });
    this.postNorm = new RMSNorm(hiddenSize, { eps, dtype });
    this.mlp = new SwiGLU(hiddenSize, config.intermediateSize, { key: keys[2], std, dtype });
  }

  /**
   * @param x a segment [batch, n, hiddenSize]
   * @param seen the kept tokens and the segment [batch, m + n, hiddenSize]
   * @param present bool [batch, m + n]
   */
  forward(x: Tensor, seen: Tensor, present: Tensor | null): Tensor {
    const normed = this.inputNorm.forward(seen);
    const length = x.shape[1]!;
    const own = normed.narrow(1, normed.shape[1]! - length, length);
    // The last query stands beside the last key.
    const attended = this.attention.forward(own, { context: normed, mask: causalMask(), keyMask: present });
    const middle = x.add(attended);
    return middle.add(this.mlp.forward(this.postNorm.forward(middle)));
  }
}

export class TransformerXL extends PretrainedModel<TransformerXLConfig> {
  static readonly meta: ModelMeta<TransformerXLConfig> = {
    architecture: 'TransformerXL',
    config: transformerXLSchema,
    keyMap: [],
    basePrefix: '',
    tied: ({ tieWordEmbeddings }) => (tieWordEmbeddings ? [['embed_tokens.weight', 'lm_head.weight']] : []),
    shape: ({ numLayers, numHeads, headDim, tieWordEmbeddings, vocabSize, hiddenSize }) => ({
      layers: numLayers,
      heads: numHeads,
      kvHeads: numHeads,
      keyDim: headDim,
      valueDim: headDim,
      tiedHead: tieWordEmbeddings ? vocabSize * hiddenSize : 0,
    }),
  };

  readonly embedTokens: Embedding;
  readonly layers: readonly XLBlock[];
  readonly norm: RMSNorm;
  /** The output head; null where it is tied to the embedding. */
  readonly lmHead: Linear | null;

  /** @param key decides the initial weights, of the Infini-Transformer's deviations */
  constructor(
    options: TransformerXLOptions,
    key: Key,
    { embeddingStd = 0.02, gain = 0.7, dtype = 'f32' }: XLInit = {},
  ) {
    super(transformerXLSchema.make(options));
    const { vocabSize, hiddenSize, numLayers, rmsNormEps: eps, tieWordEmbeddings } = this.config;
    const std = (fanIn: number): number => gain / Math.sqrt(fanIn);
    const keys = key.split(numLayers + 2);
    this.embedTokens = new Embedding(vocabSize, hiddenSize, { key: keys[0]!, std: embeddingStd, dtype });
    this.layers = Array.from(
      { length: numLayers },
      (_, i) => new XLBlock(this.config, keys[i + 2]!, std, dtype),
    );
    this.norm = new RMSNorm(hiddenSize, { eps, dtype });
    this.lmHead = tieWordEmbeddings
      ? null
      : new Linear(hiddenSize, vocabSize, { key: keys[1]!, bias: false, std, dtype });
  }

  /**
   * Next-token logits.
   * @param inputIds i32 [batch, length], length any number of segments, the last one possibly short
   * @throws ShapeError, DTypeError, IndexError, ValueError for tokens, a memory and options that do not fit
   */
  forward(inputIds: Tensor, options: XLForwardOptions = {}): XLOutput {
    checkedTokens(op, inputIds);
    const [batch, length] = inputIds.shape as readonly [number, number];
    const { memory = null, attentionMask, lastLogits = length } = options;
    if (!Number.isInteger(lastLogits) || lastLogits < 0 || lastLogits > length)
      throw new ValueError(op, `lastLogits must be an integer from 0 to ${length}, got ${lastLogits}`);
    this.checkMemory(memory, batch);
    const { keyMask = null } = attentionInputs(op, attentionMask, batch, length);
    const { segmentLength, memoryLength } = this.config;
    const parts: Tensor[] = [];
    let kept = memory;
    if (memoryLength === 0 && length % segmentLength === 0) {
      // Nothing goes from one to the next: all at once.
      const alone = (x: Tensor): Tensor => x.reshape([(batch * length) / segmentLength, segmentLength]);
      const { output } = this.segment(alone(inputIds), keyMask && alone(keyMask as Tensor), null);
      parts.push(output.reshape([batch, length, this.config.hiddenSize]));
    } else
      for (let at = 0; at < length; at += segmentLength) {
        const count = Math.min(segmentLength, length - at);
        const piece = (x: Tensor): Tensor => x.narrow(1, at, count);
        const step = this.segment(piece(inputIds), keyMask && piece(keyMask as Tensor), kept);
        kept = step.memory;
        parts.push(step.output);
      }
    const states = concat(parts, 1);
    const last = this.norm.forward(states.narrow(1, length - lastLogits, lastLogits));
    return { logits: this.lmHead ? this.lmHead.forward(last) : this.embedTokens.attend(last), memory: kept };
  }

  /** Reads one segment. */
  private segment(
    ids: Tensor,
    present: Tensor | null,
    memory: XLMemory | null,
  ): { output: Tensor; memory: XLMemory | null } {
    const { memoryLength } = this.config;
    const held = memory?.hidden[0]?.shape[1] ?? 0;
    const some = present ?? memory?.present;
    const [batch, length] = ids.shape as readonly [number, number];
    const all = (count: number): Tensor => full([batch, count], true, { backend: ids.backend });
    const seenMask = some
      ? concat([...(held > 0 ? [memory!.present ?? all(held)] : []), present ?? all(length)], 1)
      : null;
    const latest = (x: Tensor): Tensor => {
      const count = Math.min(memoryLength, x.shape[1]!);
      return x.narrow(1, x.shape[1]! - count, count).detach();
    };
    const hidden: Tensor[] = [];
    let x = this.embedTokens.forward(ids);
    this.layers.forEach((layer, i) => {
      const seen = held > 0 ? concat([memory!.hidden[i]!, x], 1) : x;
      if (memoryLength > 0) hidden.push(latest(seen));
      x = layer.forward(x, seen, seenMask);
    });
    return {
      output: x,
      memory: memoryLength > 0 ? { hidden, present: seenMask && latest(seenMask) } : null,
    };
  }

  private checkMemory(memory: XLMemory | null, batch: number): void {
    if (!memory) return;
    const { hiddenSize, numLayers, memoryLength } = this.config;
    if (memory.hidden.length !== numLayers)
      throw new ValueError(op, `the memory is of ${memory.hidden.length} layers, not ${numLayers}`);
    const count = memory.hidden[0]!.shape[1]!;
    for (const x of memory.hidden)
      if (x.rank !== 3 || x.shape[0] !== batch || x.shape[1] !== count || x.shape[2] !== hiddenSize)
        throw new ShapeError(op, `the memory of a layer must be [${batch}, m, ${hiddenSize}]`, {
          operands: [x],
        });
    if (count > memoryLength)
      throw new ShapeError(op, `the memory is of ${count} tokens, more than ${memoryLength}`, {
        operands: [memory.hidden[0]!],
      });
  }

  /** Numbers that are kept, of each row of a batch, once so many tokens have been read: hidden states, half of what keys and values take. */
  override memoryFootprint(length: number): number {
    const { hiddenSize, numLayers, memoryLength } = this.config;
    return Math.min(length, memoryLength) * hiddenSize * numLayers;
  }
}

/** The same model without memory: attention inside each segment only. */
export function segmentOnly(options: TransformerXLOptions, key: Key, init: XLInit = {}): TransformerXL {
  return new TransformerXL({ ...options, memoryLength: 0 }, key, init);
}
