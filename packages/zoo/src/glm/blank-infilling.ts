/**
 * The first GLM (arXiv 2103.10360): one model that understands and writes, by filling in blanks.
 *
 * - A row is part A, a text with a mask token for each blank, and part B, the blanks. A sees itself wholly; B sees A, and itself causally.
 * - Two positions of each token: in the text (tokens of a blank share that of its mask), and within the blank (0 in A).
 *   They are `blankBatch`'s.
 * - Pre-norm blocks as in GPT-2: LayerNorm, biases, gelu by tanh; one table for embedding and output head.
 */
import {
  causalMask,
  Dropout,
  Embedding,
  LayerNorm,
  MLP,
  Module,
  MultiHeadAttention,
  prefixMask,
  type AttentionMask,
  type MultiHeadAttentionInputs,
  type WeightedAttention,
} from '@infinigrad/nn';
import {
  DTypeError,
  ShapeError,
  ValueError,
  type FloatDType,
  type Key,
  type Tensor,
} from '@infinigrad/tensor';
import { attentionInputs } from '../core/attention-inputs.ts';
import { throughBlocks } from '../core/blocks.ts';
import { checkedTokens } from '../core/decoder-inputs.ts';
import { PretrainedModel, type ModelInit, type ModelMeta } from '../core/pretrained.ts';
import { blankGlmSchema, type BlankGlmConfig, type BlankGlmOptions } from './blank-config.ts';

const op = 'GlmForBlankInfilling';

/** Who sees whom: all see the first `sep` tokens, of each row its own number, and each what came before it. */
export function blankInfillingMask(sep: number | readonly number[]): AttentionMask {
  return causalMask().or(prefixMask(sep));
}

export interface BlankInfillingOptions {
  /** Tokens of part A, of each row. */
  readonly sep: readonly number[];
  /** Places in the text, and within blanks, i32 [batch, 2, T]. */
  readonly positionIds: Tensor;
  /** bool or integers [batch, T], 0 for padding. */
  readonly attentionMask?: Tensor | undefined;
  /** Give the hidden states too: of the embedding, and after each block, the last one normalised. Default false. */
  readonly outputHiddenStates?: boolean | undefined;
  /** Give the weights of attention too. Default false. */
  readonly outputAttentions?: boolean | undefined;
  /** For dropout, in training. */
  readonly key?: Key | undefined;
}

export interface BlankInfillingOutput {
  /** [batch, T, vocabSize]. */
  readonly logits: Tensor;
  readonly hiddenStates?: readonly Tensor[];
  /** One a layer, [batch, heads, T, T]. */
  readonly attentions?: readonly Tensor[];
}

class BlankGlmBlock extends Module {
  readonly inputLayernorm: LayerNorm;
  readonly attention: MultiHeadAttention;
  readonly postAttentionLayernorm: LayerNorm;
  readonly mlp: MLP;
  readonly dropout: Dropout;

  constructor(config: BlankGlmConfig, key: Key, dtype: FloatDType) {
    super();
    const { hiddenSize, layernormEpsilon: eps, initializerRange: std } = config;
    const [attention, mlp] = key.split(2) as [Key, Key];
    this.inputLayernorm = new LayerNorm(hiddenSize, { eps, dtype });
    this.attention = new MultiHeadAttention(hiddenSize, {
      numHeads: config.numAttentionHeads,
      dropout: config.attentionDropoutProb,
      key: attention,
      std,
      dtype,
    });
    this.postAttentionLayernorm = new LayerNorm(hiddenSize, { eps, dtype });
    this.mlp = new MLP(hiddenSize, 4 * hiddenSize, { activation: 'geluTanh', key: mlp, std, dtype });
    this.dropout = new Dropout(config.outputDropoutProb);
    const depth = (2 * config.numLayers) ** -0.5;
    for (const { weight } of [this.attention.oProj, this.mlp.downProj])
      weight.assign(weight.detach().mul(depth));
  }

  forward(x: Tensor, inputs: MultiHeadAttentionInputs): Tensor {
    const keys = inputs.key?.split(3) ?? [];
    const given = { ...inputs, key: keys[0] };
    return this.#finish(x, this.attention.forward(this.inputLayernorm.forward(x), given), keys);
  }

  /** The same, and the weights of attention. */
  forwardWithWeights(x: Tensor, inputs: MultiHeadAttentionInputs): WeightedAttention {
    const keys = inputs.key?.split(3) ?? [];
    const given = { ...inputs, key: keys[0] };
    const { output, weights } = this.attention.forwardWithWeights(this.inputLayernorm.forward(x), given);
    return { output: this.#finish(x, output, keys), weights };
  }

  #finish(x: Tensor, attended: Tensor, keys: readonly Key[]): Tensor {
    const middle = x.add(this.dropout.forward(attended, keys[1]));
    const moved = this.mlp.forward(this.postAttentionLayernorm.forward(middle));
    return middle.add(this.dropout.forward(moved, keys[2]));
  }
}

export class GlmForBlankInfilling extends PretrainedModel<BlankGlmConfig> {
  static readonly meta: ModelMeta<BlankGlmConfig> = {
    architecture: op,
    config: blankGlmSchema,
    basePrefix: '',
    // In the manner of the published code.
    keyMap: [
      ...['weight', 'bias'].flatMap((part) => [
        {
          from: ['q', 'k', 'v'].map((p) => `layers.{i}.attention.${p}Proj.${part}`),
          to: `transformer.layers.{i}.attention.query_key_value.${part}`,
        },
        { from: `layers.{i}.attention.oProj.${part}`, to: `transformer.layers.{i}.attention.dense.${part}` },
        { from: `layers.{i}.mlp.upProj.${part}`, to: `transformer.layers.{i}.mlp.dense_h_to_4h.${part}` },
        { from: `layers.{i}.mlp.downProj.${part}`, to: `transformer.layers.{i}.mlp.dense_4h_to_h.${part}` },
        { from: `layers.{i}.inputLayernorm.${part}`, to: `transformer.layers.{i}.input_layernorm.${part}` },
        {
          from: `layers.{i}.postAttentionLayernorm.${part}`,
          to: `transformer.layers.{i}.post_attention_layernorm.${part}`,
        },
        { from: `finalLayernorm.${part}`, to: `transformer.final_layernorm.${part}` },
      ]),
      { from: 'positionEmbeddings.weight', to: 'transformer.position_embeddings.weight' },
      { from: 'blockPositionEmbeddings.weight', to: 'transformer.block_position_embeddings.weight' },
    ],
    shape: ({ numLayers, numAttentionHeads, hiddenSize, vocabSize }) => ({
      layers: numLayers,
      heads: numAttentionHeads,
      kvHeads: numAttentionHeads,
      keyDim: hiddenSize / numAttentionHeads,
      valueDim: hiddenSize / numAttentionHeads,
      tiedHead: vocabSize * hiddenSize,
    }),
  };

  readonly wordEmbeddings: Embedding;
  /** [maxSequenceLength + 1, hiddenSize]: places in the text. */
  readonly positionEmbeddings: Embedding;
  /** [maxSequenceLength + 1, hiddenSize]: places within blanks. */
  readonly blockPositionEmbeddings: Embedding;
  readonly dropout: Dropout;
  readonly layers: readonly BlankGlmBlock[];
  readonly finalLayernorm: LayerNorm;
  /** In training, blocks keep nothing for the backward pass but what goes between them, and are called again there. Default false. */
  gradientCheckpointing = false;

  /** @param key decides the initial weights */
  constructor(options: BlankGlmOptions, key: Key, { dtype = 'f32' }: ModelInit = {}) {
    super(blankGlmSchema.make(options));
    const { vocabSize, hiddenSize, numLayers, maxSequenceLength, initializerRange: std } = this.config;
    const keys = key.split(numLayers + 3);
    const table = (rows: number, k: Key): Embedding =>
      new Embedding(rows, hiddenSize, { key: k, std, dtype });
    this.wordEmbeddings = table(vocabSize, keys[0]!);
    this.positionEmbeddings = table(maxSequenceLength + 1, keys[1]!);
    this.blockPositionEmbeddings = table(maxSequenceLength + 1, keys[2]!);
    this.dropout = new Dropout(this.config.embeddingDropoutProb);
    this.layers = Array.from(
      { length: numLayers },
      (_, i) => new BlankGlmBlock(this.config, keys[i + 3]!, dtype),
    );
    this.finalLayernorm = new LayerNorm(hiddenSize, { eps: this.config.layernormEpsilon, dtype });
  }

  /**
   * Logits of the token after each: those of part B count.
   * @param inputIds i32 [batch, T]
   * @throws ShapeError, DTypeError, IndexError, ValueError for tokens, positions and masks that do not fit
   */
  forward(inputIds: Tensor, options: BlankInfillingOptions): BlankInfillingOutput {
    checkedTokens(op, inputIds);
    const { sep, positionIds, attentionMask, outputHiddenStates, outputAttentions, key } = options;
    const [batch, length] = inputIds.shape as readonly [number, number];
    if (positionIds.rank !== 3 || positionIds.shape.join() !== [batch, 2, length].join())
      throw new ShapeError(op, `positions must be [${batch}, 2, ${length}]`, { operands: [positionIds] });
    if (positionIds.dtype !== 'i32')
      throw new DTypeError(op, 'positions must be integers', { operands: [positionIds] });
    if (sep.length !== batch || sep.some((n) => !Number.isInteger(n) || n < 0 || n > length))
      throw new ValueError(
        op,
        `sep must hold ${batch} integers from 0 to ${length}, got [${sep.join(', ')}]`,
      );
    const seen = {
      ...attentionInputs(op, attentionMask, batch, length),
      mask: blankInfillingMask(sep),
    };
    const places = (which: number): Tensor => positionIds.narrow(1, which, 1).squeeze(1);
    const embedded = this.wordEmbeddings
      .forward(inputIds)
      .add(this.positionEmbeddings.forward(places(0)))
      .add(this.blockPositionEmbeddings.forward(places(1)));
    const { lastHiddenState, ...inside } = throughBlocks(
      this.dropout.forward(embedded, key?.foldIn(this.layers.length)),
      this.layers,
      this.finalLayernorm,
      (i) => ({ ...seen, key: key?.foldIn(i) }),
      { outputHiddenStates, outputAttentions, saving: this.gradientCheckpointing && this.training },
    );
    return { logits: this.wordEmbeddings.attend(lastHiddenState), ...inside };
  }
}
