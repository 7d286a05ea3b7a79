/**
 * BERT (arXiv 1810.04805).
 *
 * - Encoder of post-norm blocks: x = LN(x + attention(x)), x = LN(x + mlp(x)); gelu by the error function; biases everywhere.
 * - Every token sees every other; positions are learned, and segments (token types) have vectors of their own.
 * - A pooler for the first token, and heads: tokens that were masked, next sentence, classification, answers.
 * - Old files call weight and bias of norms gamma and beta.
 */
import { checkpoint } from '@infinigrad/autograd';
import {
  Dropout,
  Embedding,
  LayerNorm,
  Linear,
  MLP,
  Module,
  MultiHeadAttention,
  type MultiHeadAttentionInputs,
} from '@infinigrad/nn';
import {
  arange,
  DTypeError,
  ShapeError,
  ValueError,
  type FloatDType,
  type Key,
  type Tensor,
} from '@infinigrad/tensor';
import { activationNamed } from '../core/activations.ts';
import { attentionInputs, type AttentionMaskLike } from '../core/attention-inputs.ts';
import { checkedTokens } from '../core/decoder-inputs.ts';
import type { KeyRule } from '../core/key-map.ts';
import { PretrainedModel, type ModelInit, type ModelMeta } from '../core/pretrained.ts';
import { bertConfig, bertSchema, type BertConfig, type BertOptions } from './config.ts';

export interface BertCall {
  /**
   * bool or integers [batch, length], 0 for padding; or who may see whom: `documentMask(documents)` for texts packed into rows,
   * whose `positionIds` then count from 0 in each.
   */
  readonly attentionMask?: AttentionMaskLike | undefined;
  /** Segments, i32 [batch, length]. Default all 0. */
  readonly tokenTypeIds?: Tensor | undefined;
  /** i32 [length] or [batch, length]. Default from 0. */
  readonly positionIds?: Tensor | undefined;
  /** Give the hidden states too: of the embedding, and after each layer. Default false. */
  readonly outputHiddenStates?: boolean | undefined;
  /** Give the weights of attention too. Default false. */
  readonly outputAttentions?: boolean | undefined;
  /** Decides what dropout drops in training; a fresh one for every call. */
  readonly key?: Key | undefined;
}

/** What goes on inside, where it was asked for. */
export interface BertInside {
  /** Each [batch, length, hiddenSize]. */
  readonly hiddenStates?: readonly Tensor[];
  /** One a layer, [batch, heads, length, length]. */
  readonly attentions?: readonly Tensor[];
}

export interface BertModelOutput extends BertInside {
  /** [batch, length, hiddenSize]. */
  readonly lastHiddenState: Tensor;
  /** tanh(W h + b) of the first token, [batch, hiddenSize]; null without a pooler. */
  readonly poolerOutput: Tensor | null;
}

const op = 'Bert';

class BertEmbeddings extends Module {
  /** [vocabSize, hiddenSize]. */
  readonly wordEmbeddings: Embedding;
  /** [maxPositionEmbeddings, hiddenSize]. */
  readonly positionEmbeddings: Embedding;
  /** [typeVocabSize, hiddenSize]. */
  readonly tokenTypeEmbeddings: Embedding;
  readonly norm: LayerNorm;
  readonly drop: Dropout;

  constructor(config: BertConfig, key: Key, dtype: FloatDType) {
    super();
    const { hiddenSize, initializerRange: std, padTokenId } = config;
    const [word, position, type] = key.split(3) as [Key, Key, Key];
    this.wordEmbeddings = new Embedding(config.vocabSize, hiddenSize, {
      key: word,
      std,
      dtype,
      ...(padTokenId !== null && { paddingIndex: padTokenId }),
    });
    this.positionEmbeddings = new Embedding(config.maxPositionEmbeddings, hiddenSize, {
      key: position,
      std,
      dtype,
    });
    this.tokenTypeEmbeddings = new Embedding(config.typeVocabSize, hiddenSize, { key: type, std, dtype });
    this.norm = new LayerNorm(hiddenSize, { eps: config.layerNormEps, dtype });
    this.drop = new Dropout(config.hiddenDropoutProb);
  }

  forward(inputIds: Tensor, { tokenTypeIds, positionIds, key }: BertCall): Tensor {
    const { positionEmbeddings: table } = this;
    const [batch, length] = inputIds.shape as readonly [number, number];
    for (const [name, ids] of Object.entries({ tokenTypeIds, positionIds })) {
      if (!ids) continue;
      const operands = [inputIds, ids];
      if (ids.dtype !== 'i32') throw new DTypeError(op, `${name} must be i32`, { operands });
      const shape = ids.shape.join();
      if (shape !== `${batch},${length}` && !(ids === positionIds && shape === `${length}`))
        throw new ShapeError(op, `${name} must be [${batch}, ${length}]`, { operands });
    }
    if (!positionIds && length > table.numEmbeddings)
      throw new ValueError(op, `${length} tokens, and positions for ${table.numEmbeddings}`, {
        operands: [inputIds],
        hint: 'cut the text, or read its parts on their own',
      });
    const positions = positionIds ?? arange(0, length, 1, { dtype: 'i32', backend: inputIds.backend });
    const types = this.tokenTypeEmbeddings;
    const x = this.wordEmbeddings
      .forward(inputIds)
      .add(tokenTypeIds ? types.forward(tokenTypeIds) : types.weight.narrow(0, 0, 1))
      .add(table.forward(positions));
    return this.drop.forward(this.norm.forward(x), key);
  }
}

export class BertLayer extends Module {
  readonly attention: MultiHeadAttention;
  readonly attentionNorm: LayerNorm;
  readonly mlp: MLP;
  readonly mlpNorm: LayerNorm;
  readonly drop: Dropout;

  constructor(config: BertConfig, key: Key, dtype: FloatDType) {
    super();
    const { hiddenSize, initializerRange: std, layerNormEps: eps } = config;
    const [attention, mlp] = key.split(2) as [Key, Key];
    const dropout = config.attentionProbsDropoutProb;
    const heads = { numHeads: config.numAttentionHeads, dropout };
    this.attention = new MultiHeadAttention(hiddenSize, { ...heads, key: attention, std, dtype }, op);
    this.attentionNorm = new LayerNorm(hiddenSize, { eps, dtype });
    const activation = activationNamed(config.hiddenAct);
    this.mlp = new MLP(hiddenSize, config.intermediateSize, { activation, key: mlp, std, dtype });
    this.mlpNorm = new LayerNorm(hiddenSize, { eps, dtype });
    this.drop = new Dropout(config.hiddenDropoutProb);
  }

  /** @param x [batch, length, hiddenSize] */
  forward(x: Tensor, inputs: MultiHeadAttentionInputs = {}): Tensor {
    const [attention, ...keys] = keysOf(inputs.key);
    return this.#finish(x, this.attention.forward(x, { ...inputs, key: attention }), keys);
  }

  /** The same, and the weights of attention. */
  forwardWithWeights(x: Tensor, inputs: MultiHeadAttentionInputs): { output: Tensor; weights: Tensor } {
    const [attention, ...keys] = keysOf(inputs.key);
    const { output, weights } = this.attention.forwardWithWeights(x, { ...inputs, key: attention });
    return { output: this.#finish(x, output, keys), weights };
  }

  #finish(x: Tensor, attended: Tensor, [first, second]: readonly (Key | undefined)[]): Tensor {
    const middle = this.attentionNorm.forward(x.add(this.drop.forward(attended, first)));
    return this.mlpNorm.forward(middle.add(this.drop.forward(this.mlp.forward(middle), second)));
  }
}

/** For the weights of attention, and for what either half adds. */
function keysOf(key: Key | undefined): (Key | undefined)[] {
  return key ? key.split(3) : [undefined, undefined, undefined];
}

/** @param at what all keys of the encoder begin with, here and in the file */
export function bertKeyMap(at: '' | 'bert.'): KeyRule[] {
  const [ours, theirs] = [`${at}layers.{i}`, `${at}encoder.layer.{i}`];
  const projections = { qProj: 'query', kProj: 'key', vProj: 'value' };
  return [
    { from: `${at}embeddings.norm.{p}`, to: `${at}embeddings.LayerNorm.{p}` },
    ...Object.entries(projections).map(([from, to]) => ({
      from: `${ours}.attention.${from}.{p}`,
      to: `${theirs}.attention.self.${to}.{p}`,
    })),
    { from: `${ours}.attention.oProj.{p}`, to: `${theirs}.attention.output.dense.{p}` },
    { from: `${ours}.attentionNorm.{p}`, to: `${theirs}.attention.output.LayerNorm.{p}` },
    { from: `${ours}.mlp.upProj.{p}`, to: `${theirs}.intermediate.dense.{p}` },
    { from: `${ours}.mlp.downProj.{p}`, to: `${theirs}.output.dense.{p}` },
    { from: `${ours}.mlpNorm.{p}`, to: `${theirs}.output.LayerNorm.{p}` },
    { from: `${at}pooler.{p}`, to: `${at}pooler.dense.{p}` },
  ];
}

/** The encoder without heads. */
export class BertModel extends PretrainedModel<BertConfig> {
  static readonly meta: ModelMeta<BertConfig> = {
    architecture: 'BertModel',
    config: bertSchema,
    keyMap: bertKeyMap(''),
    basePrefix: 'bert.',
    renames: [
      { from: /(^|\.)LayerNorm\.gamma$/, to: '$1LayerNorm.weight' },
      { from: /(^|\.)LayerNorm\.beta$/, to: '$1LayerNorm.bias' },
    ],
    ignored: [/(^|\.)embeddings\.(position_ids|token_type_ids)$/, /^cls\./],
    shape: ({ numHiddenLayers, numAttentionHeads: heads, hiddenSize }) => ({
      layers: numHiddenLayers,
      heads,
      kvHeads: 0,
      keyDim: hiddenSize / heads,
      valueDim: hiddenSize / heads,
      tiedHead: 0,
    }),
  };

  readonly embeddings: BertEmbeddings;
  readonly layers: readonly BertLayer[];
  /** [hiddenSize, hiddenSize]; null where nothing needs it. */
  readonly pooler: Linear | null;
  /** In training, layers keep nothing for the backward pass but what goes between them, and are called again there. Default false. */
  gradientCheckpointing = false;

  /**
   * @param key decides the initial weights: normal, with standard deviation `initializerRange`
   * @param init `pooler`: default true
   */
  constructor(options: BertOptions, key: Key, init: ModelInit & { readonly pooler?: boolean } = {}) {
    super(bertConfig(options));
    const { hiddenSize, numHiddenLayers, initializerRange: std } = this.config;
    const { dtype = 'f32', pooler = true } = init;
    const keys = key.split(numHiddenLayers + 2);
    this.embeddings = new BertEmbeddings(this.config, keys[0]!, dtype);
    this.layers = Array.from(
      { length: numHiddenLayers },
      (_, i) => new BertLayer(this.config, keys[i + 2]!, dtype),
    );
    this.pooler = pooler ? new Linear(hiddenSize, hiddenSize, { key: keys[1]!, std, dtype }) : null;
  }

  protected override init(): ModelInit & { readonly pooler: boolean } {
    return { ...super.init(), pooler: this.pooler !== null };
  }

  protected override layersOfTexts(): readonly (Linear | null)[] {
    return [this.pooler];
  }

  /**
   * @param inputIds i32 [batch, length]
   * @throws ShapeError, DTypeError, IndexError, ValueError for tokens and options that do not fit, also for more tokens than there
   * are positions
   */
  forward(inputIds: Tensor, call: BertCall = {}): BertModelOutput {
    checkedTokens(op, inputIds);
    const [batch, length] = inputIds.shape as readonly [number, number];
    const { key, outputHiddenStates = false, outputAttentions = false } = call;
    const { layers, pooler } = this;
    const seen = attentionInputs(op, call.attentionMask, batch, length);
    const inputs = (i: number): MultiHeadAttentionInputs => ({ ...seen, key: key?.foldIn(i) });
    const saving = this.gradientCheckpointing && this.training && !outputAttentions;
    const attentions: Tensor[] = [];
    let x = this.embeddings.forward(inputIds, { ...call, key: key?.foldIn(layers.length) });
    const hiddenStates = [x];
    layers.forEach((layer, i) => {
      if (outputAttentions) {
        const { output, weights } = layer.forwardWithWeights(x, inputs(i));
        attentions.push(weights);
        x = output;
      } else
        x = saving ? checkpoint((y: Tensor) => layer.forward(y, inputs(i)))(x) : layer.forward(x, inputs(i));
      hiddenStates.push(x);
    });
    return {
      lastHiddenState: x,
      poolerOutput: pooler && pooler.forward(x.narrow(1, 0, 1).squeeze(1)).tanh(),
      ...(outputHiddenStates && { hiddenStates }),
      ...(outputAttentions && { attentions }),
    };
  }
}
