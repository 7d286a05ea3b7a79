/** A stack of T5's blocks: its encoder or its decoder. */
import { checkpoint } from '@infinigrad/autograd';
import {
  activationOf,
  Dropout,
  Linear,
  Module,
  MultiHeadAttention,
  RelativePositionBias,
  RMSNorm,
  type ActivationName,
  type MultiHeadAttentionInputs,
} from '@infinigrad/nn';
import type { FloatDType, Key, Tensor } from '@infinigrad/tensor';
import type { EncoderDecoderLayerCache } from './cache.ts';
import { feedForwardKind, type T5Config } from './config.ts';

/** wo(act(wi x)), or gated wo(act(wi0 x) · wi1 x); no biases. */
class T5FeedForward extends Module {
  /** [dFf, dModel]; null where gated. */
  readonly wi: Linear | null;
  readonly wi0: Linear | null;
  readonly wi1: Linear | null;
  /** [dModel, dFf]. */
  readonly wo: Linear;
  readonly dropout: Dropout;
  readonly activation: ActivationName;

  constructor(
    { dModel, dFf, feedForwardProj, dropoutRate, initializerFactor }: T5Config,
    key: Key,
    dtype: FloatDType,
  ) {
    super();
    const { gated, activation } = feedForwardKind(feedForwardProj);
    const keys = key.split(3) as [Key, Key, Key];
    const std = (fanIn: number): number => initializerFactor * fanIn ** -0.5;
    const up = (k: Key): Linear => new Linear(dModel, dFf, { key: k, bias: false, std, dtype });
    this.wi = gated ? null : up(keys[0]);
    this.wi0 = gated ? up(keys[0]) : null;
    this.wi1 = gated ? up(keys[1]) : null;
    this.wo = new Linear(dFf, dModel, { key: keys[2], bias: false, std, dtype });
    this.dropout = new Dropout(dropoutRate);
    this.activation = activation;
  }

  forward(x: Tensor, key?: Key): Tensor {
    const act = activationOf('T5', this.activation);
    const hidden = this.wi ? act(this.wi.forward(x)) : act(this.wi0!.forward(x)).mul(this.wi1!.forward(x));
    return this.wo.forward(this.dropout.forward(hidden, key));
  }
}

/** Attention without biases and without a factor of the scores: initial queries are small instead. */
function attention(config: T5Config, causal: boolean, key: Key, dtype: FloatDType): MultiHeadAttention {
  const { dModel, dKv, numHeads, dropoutRate, initializerFactor } = config;
  const made = new MultiHeadAttention(dModel, {
    numHeads,
    headDim: dKv,
    bias: false,
    scale: 1,
    causal,
    dropout: dropoutRate,
    key,
    std: (fanIn) => initializerFactor * fanIn ** -0.5,
    dtype,
  });
  made.qProj.weight.assign(made.qProj.weight.detach().mul(dKv ** -0.5));
  return made;
}

function norm({ dModel, layerNormEpsilon: eps, initializerFactor }: T5Config, dtype: FloatDType): RMSNorm {
  const made = new RMSNorm(dModel, { eps, dtype });
  if (initializerFactor !== 1) made.weight.assign(made.weight.detach().mul(initializerFactor));
  return made;
}

/** What a block is called with, besides its input. */
interface BlockCall {
  /** Masks of the block's own tokens, and the position bias. */
  readonly self: MultiHeadAttentionInputs;
  /** Of the decoder: the encoded text and its mask. */
  readonly encoded: MultiHeadAttentionInputs | null;
  readonly cache: EncoderDecoderLayerCache | null;
  readonly key: Key | undefined;
  readonly attentions: boolean;
}

interface BlockOutput {
  readonly output: Tensor;
  readonly weights?: Tensor | undefined;
  readonly crossWeights?: Tensor | undefined;
}

class T5Block extends Module {
  readonly selfAttention: MultiHeadAttention;
  readonly selfNorm: RMSNorm;
  /** Of the decoder alone. */
  readonly crossAttention: MultiHeadAttention | null;
  readonly crossNorm: RMSNorm | null;
  readonly feedForward: T5FeedForward;
  readonly feedForwardNorm: RMSNorm;
  readonly dropout: Dropout;

  constructor(config: T5Config, decoder: boolean, key: Key, dtype: FloatDType) {
    super();
    const keys = key.split(3) as [Key, Key, Key];
    this.selfAttention = attention(config, decoder, keys[0], dtype);
    this.selfNorm = norm(config, dtype);
    this.crossAttention = decoder ? attention(config, false, keys[1], dtype) : null;
    this.crossNorm = decoder ? norm(config, dtype) : null;
    this.feedForward = new T5FeedForward(config, keys[2], dtype);
    this.feedForwardNorm = norm(config, dtype);
    this.dropout = new Dropout(config.dropoutRate);
  }

  forward(x: Tensor, { self, encoded, cache, key, attentions }: BlockCall): BlockOutput {
    const keys = key?.split(6) ?? [];
    const attend = (layer: MultiHeadAttention, y: Tensor, inputs: MultiHeadAttentionInputs) =>
      attentions
        ? layer.forwardWithWeights(y, inputs)
        : { output: layer.forward(y, inputs), weights: undefined };
    const own = attend(this.selfAttention, this.selfNorm.forward(x), {
      ...self,
      cache: cache?.own,
      key: keys[0],
    });
    let y = x.add(this.dropout.forward(own.output, keys[1]));
    let crossWeights: Tensor | undefined;
    if (this.crossAttention) {
      const cross = attend(this.crossAttention, this.crossNorm!.forward(y), {
        ...encoded,
        cache: cache?.encoded,
        key: keys[2],
      });
      crossWeights = cross.weights;
      y = y.add(this.dropout.forward(cross.output, keys[3]));
    }
    const moved = this.feedForward.forward(this.feedForwardNorm.forward(y), keys[4]);
    return { output: y.add(this.dropout.forward(moved, keys[5])), weights: own.weights, crossWeights };
  }
}

export interface StackOutput {
  /** [batch, T, dModel], normalised. */
  readonly lastHiddenState: Tensor;
  /** Of the embedding, and after each block, the last one normalised. */
  readonly hiddenStates?: readonly Tensor[];
  /** One a block, [batch, heads, T, T so far]. */
  readonly attentions?: readonly Tensor[];
  /** Of the decoder: one a block, [batch, heads, T, S]. */
  readonly crossAttentions?: readonly Tensor[];
}

export interface StackCall {
  readonly self: MultiHeadAttentionInputs;
  readonly encoded?: MultiHeadAttentionInputs | undefined;
  readonly caches?: readonly EncoderDecoderLayerCache[] | undefined;
  readonly key?: Key | undefined;
  readonly outputHiddenStates?: boolean | undefined;
  readonly outputAttentions?: boolean | undefined;
}

export class T5Stack extends Module {
  readonly blocks: readonly T5Block[];
  /** [numBuckets, heads], of all blocks; Hugging Face keeps it in the first. */
  readonly relativeAttentionBias: RelativePositionBias;
  readonly finalLayerNorm: RMSNorm;
  readonly dropout: Dropout;
  /** In training, blocks keep nothing for the backward pass but what goes between them, and are called again there. Default false. */
  gradientCheckpointing = false;

  constructor(config: T5Config, decoder: boolean, key: Key, dtype: FloatDType) {
    super();
    const { dModel, numHeads, initializerFactor } = config;
    const count = decoder ? config.numDecoderLayers : config.numLayers;
    const keys = key.split(count + 1);
    this.blocks = Array.from({ length: count }, (_, i) => new T5Block(config, decoder, keys[i]!, dtype));
    this.relativeAttentionBias = new RelativePositionBias(numHeads, {
      bidirectional: !decoder,
      numBuckets: config.relativeAttentionNumBuckets,
      maxDistance: config.relativeAttentionMaxDistance,
      std: initializerFactor * dModel ** -0.5,
      key: keys[count]!,
      dtype,
    });
    this.finalLayerNorm = norm(config, dtype);
    this.dropout = new Dropout(config.dropoutRate);
  }

  /** @param x vectors of tokens [batch, T, dModel] */
  forward(x: Tensor, call: StackCall): StackOutput {
    const { self, encoded, caches, key, outputHiddenStates = false, outputAttentions = false } = call;
    const count = this.blocks.length;
    const keys = key?.split(count + 2) ?? [];
    const length = x.shape[1]!;
    const bias = this.relativeAttentionBias.forward(length, (caches?.[0]?.own.kept ?? 0) + length);
    const saving = this.gradientCheckpointing && this.training && !caches && !outputAttentions;
    const states: Tensor[] = [];
    const attentions: Tensor[] = [];
    const crossAttentions: Tensor[] = [];
    let y = this.dropout.forward(x, keys[count]);
    this.blocks.forEach((block, i) => {
      if (outputHiddenStates) states.push(y);
      const inputs: BlockCall = {
        self: { ...self, bias },
        encoded: encoded ?? null,
        cache: caches?.[i] ?? null,
        key: keys[i],
        attentions: outputAttentions,
      };
      const made: BlockOutput = saving
        ? { output: checkpoint((z: Tensor) => block.forward(z, inputs).output)(y) }
        : block.forward(y, inputs);
      if (made.weights) attentions.push(made.weights);
      if (made.crossWeights) crossAttentions.push(made.crossWeights);
      y = made.output;
    });
    const lastHiddenState = this.dropout.forward(this.finalLayerNorm.forward(y), keys[count + 1]);
    return {
      lastHiddenState,
      ...(outputHiddenStates && { hiddenStates: [...states, lastHiddenState] }),
      ...(outputAttentions && { attentions }),
      ...(crossAttentions.length > 0 && { crossAttentions }),
    };
  }
}
