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
import { checkpoint } from '@infinigrad/autograd';
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
import { flopsPerToken, matrixNumbers, type FlopsOptions } from '../core/counting.ts';
import { checkedTokens } from '../core/decoder-inputs.ts';
import type { Reader, ReaderOptions } from '../generation/model.ts';
import { PretrainedModel, type ModelInit, type ModelMeta } from '../core/pretrained.ts';
import { transformerXLSchema, type TransformerXLConfig, type TransformerXLOptions } from './config.ts';
import { xlReader } from './reader.ts';

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
  /** Give the hidden states too: of the embedding, and after each block, the last one normalised. Default false. */
  readonly outputHiddenStates?: boolean | undefined;
}

export interface XLOutput {
  /** [batch, length or lastLogits, vocabSize]. */
  readonly logits: Tensor;
  /** Null where nothing is kept: memoryLength 0. */
  readonly memory: XLMemory | null;
  /** Each [batch, length, hiddenSize]. */
  readonly hiddenStates?: readonly Tensor[];
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
      positionDim: headDim,
      tiedHead: tieWordEmbeddings ? vocabSize * hiddenSize : 0,
    }),
  };

  readonly embedTokens: Embedding;
  readonly layers: readonly XLBlock[];
  readonly norm: RMSNorm;
  /** The output head; null where it is tied to the embedding. */
  readonly lmHead: Linear | null;
  /** In training, blocks keep nothing for the backward pass but what goes between them, and are called again there. Default false. */
  gradientCheckpointing = false;

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
    const { memory = null, attentionMask, lastLogits = length, outputHiddenStates = false } = options;
    if (!Number.isInteger(lastLogits) || lastLogits < 0 || lastLogits > length)
      throw new ValueError(op, `lastLogits must be an integer from 0 to ${length}, got ${lastLogits}`);
    this.checkMemory(memory, batch);
    const { keyMask = null, mask } = attentionInputs(op, attentionMask, batch, length);
    if (mask) throw new ValueError(op, 'takes padding alone for an attentionMask, not who sees whom');
    const { segmentLength, memoryLength } = this.config;
    /** The embedding, and what each block gives, of each segment. */
    const parts: (readonly Tensor[])[] = [];
    let kept = memory;
    if (memoryLength === 0 && length % segmentLength === 0) {
      // Nothing goes from one to the next: all at once.
      const alone = (x: Tensor): Tensor => x.reshape([(batch * length) / segmentLength, segmentLength]);
      const { states } = this.segment(alone(inputIds), keyMask && alone(keyMask as Tensor), null);
      parts.push(states.map((x) => x.reshape([batch, length, this.config.hiddenSize])));
    } else
      for (let at = 0; at < length; at += segmentLength) {
        const count = Math.min(segmentLength, length - at);
        const piece = (x: Tensor): Tensor => x.narrow(1, at, count);
        const step = this.segment(piece(inputIds), keyMask && piece(keyMask as Tensor), kept);
        kept = step.memory;
        parts.push(step.states);
      }
    const joined = (layer: number): Tensor => {
      const of = parts.map((states) => states[layer]!);
      return of.length === 1 ? of[0]! : concat(of, 1);
    };
    const { numLayers } = this.config;
    const final = joined(numLayers);
    const latest = (x: Tensor): Tensor => x.narrow(1, length - lastLogits, lastLogits);
    const normed = outputHiddenStates ? this.norm.forward(final) : null;
    const last = normed ? latest(normed) : this.norm.forward(latest(final));
    return {
      logits: this.lmHead ? this.lmHead.forward(last) : this.embedTokens.attend(last),
      memory: kept,
      ...(normed && {
        hiddenStates: [...Array.from({ length: numLayers }, (_, i) => joined(i)), normed],
      }),
    };
  }

  /** Reads one segment. */
  private segment(
    ids: Tensor,
    present: Tensor | null,
    memory: XLMemory | null,
  ): { states: readonly Tensor[]; memory: XLMemory | null } {
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
    const saving = this.gradientCheckpointing && this.training;
    let x = this.embedTokens.forward(ids);
    const states = [x];
    this.layers.forEach((layer, i) => {
      const seen = held > 0 ? concat([memory!.hidden[i]!, x], 1) : x;
      if (memoryLength > 0) hidden.push(latest(seen));
      const run = (y: Tensor, all: Tensor): Tensor => layer.forward(y, all, seenMask);
      x = (saving ? checkpoint(run) : run)(x, seen);
      states.push(x);
    });
    return {
      states,
      memory: memoryLength > 0 ? { hidden, present: seenMask && latest(seenMask) } : null,
    };
  }

  /** How `generate` reads a text: what is kept goes from segment to segment, and the segment at hand is read anew for each token. */
  reader(options: ReaderOptions): Reader {
    return xlReader(this, options);
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

  /**
   * Operations of a token of a whole segment, which sees that and what is kept from before it, or what there is of both. Keys, values and
   * distances of what is kept are made anew for each segment.
   */
  override flopsPerToken({ length = 0, training = true }: FlopsOptions = {}): number {
    const { segmentLength, memoryLength } = this.config;
    const kept = Math.min(memoryLength, Math.max(0, length - segmentLength));
    const again = this.layers.flatMap(({ attention: { kProj, vProj, scorePositions } }) => [
      kProj,
      vProj,
      (scorePositions as TransformerXLPositions).rProj,
    ]);
    const shape = this.attentionShape();
    const anew = again.reduce((total, { weight }) => total + weight.size, 0) * (kept / segmentLength);
    return flopsPerToken(matrixNumbers(this) + shape.tiedHead + anew, shape, {
      length: Math.min(length, segmentLength + memoryLength),
      training,
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
