/**
 * Infini-Transformer (arXiv 2404.07143 v2).
 *
 * - Decoder of pre-norm blocks: RMSNorm, Infini-attention, RMSNorm, SwiGLU; no biases.
 * - Causal attention with rotary positions inside each segment of N tokens.
 * - A compressive memory per head and layer, read before and written after each segment: constant size at any length.
 * - Full back-propagation through segments; streaming by carrying the memories from call to call.
 * - Options of the memory: see the configuration. The write gate is our extension, the rest is published work.
 */
import { Embedding, Linear, Module, RMSNorm, SwiGLU, type Parameter } from '@infinigrad/nn';
import { ShapeError, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import { throughBlock } from './blocks.ts';
import { InfiniAttention, type InfiniAttentionOutput } from './attention.ts';
import { footprints, matrixNumbers, type FlopsOptions } from '../core/counting.ts';
import type { Reader, ReaderOptions } from '../generation/model.ts';
import { PretrainedModel, type ModelInit, type ModelMeta } from '../core/pretrained.ts';
import { infiniSchema, type InfiniTransformerConfig, type InfiniTransformerOptions } from './config.ts';
import { featureDim, infiniFlops, type MemoryState } from './memory.ts';
import { infiniReader } from './reader.ts';

/** One entry a layer; null where the layer has no memory. */
export type Memories = readonly (MemoryState | null)[];

export interface InfiniForwardOptions {
  /** The memories that an earlier call returned, to go on where it stopped. That call's length must have been whole segments. */
  readonly memories?: Memories;
  /** bool [batch, length], false for padding. */
  readonly mask?: Tensor;
  /** How many of the last positions need logits; all unless told. 0 only reads on. */
  readonly lastLogits?: number;
  /** Give the hidden states too: of the embedding, and after each block, the last one normalised. Default false. */
  readonly outputHiddenStates?: boolean | undefined;
}

export interface InfiniTransformerOutput {
  /** [batch, length or lastLogits, vocabSize]. */
  readonly logits: Tensor;
  readonly memories: Memories;
  /** Each [batch, length, hiddenSize]. */
  readonly hiddenStates?: readonly Tensor[];
  /** Pre-activations of the write gates, one [batch, heads, length] for each layer that has one. */
  readonly writeLogits: readonly Tensor[];
}

class InfiniBlock extends Module {
  readonly inputNorm: RMSNorm;
  readonly attention: InfiniAttention;
  readonly postNorm: RMSNorm;
  readonly mlp: SwiGLU;

  constructor(
    config: InfiniTransformerConfig,
    hasMemory: boolean,
    key: Key,
    init: (fanIn: number) => number,
    dtype: FloatDType,
  ) {
    super();
    const [attention, mlp] = key.split(2) as [Key, Key];
    const { hiddenSize, intermediateSize, rmsNormEps: eps } = config;
    this.inputNorm = new RMSNorm(hiddenSize, { eps, dtype });
    this.attention = new InfiniAttention(config, hasMemory, attention, init, dtype);
    this.postNorm = new RMSNorm(hiddenSize, { eps, dtype });
    this.mlp = new SwiGLU(hiddenSize, intermediateSize, { key: mlp, std: init, dtype });
  }

  forward(x: Tensor, memory: MemoryState | null, mask: Tensor | null): InfiniAttentionOutput {
    const attended = this.attention.forward(this.inputNorm.forward(x), memory, mask);
    const middle = x.add(attended.output);
    return { ...attended, output: middle.add(this.mlp.forward(this.postNorm.forward(middle))) };
  }
}

export interface InfiniTransformerInit extends ModelInit {
  /** Standard deviation of the embedding. Default 0.02. */
  readonly embeddingStd?: number;
  /** Standard deviation of a linear layer's weights is this / √inputs. Default 0.7. */
  readonly gain?: number;
}

export class InfiniTransformer extends PretrainedModel<InfiniTransformerConfig> {
  static readonly meta: ModelMeta<InfiniTransformerConfig> = {
    architecture: 'InfiniTransformer',
    config: infiniSchema,
    // Its keys are our names.
    keyMap: [{ from: '{name*}', to: '{name*}' }],
    basePrefix: '',
    shape: ({ numLayers, numHeads, numKvHeads, headDim, tieWordEmbeddings, vocabSize, hiddenSize }) => ({
      layers: numLayers,
      heads: numHeads,
      kvHeads: numKvHeads,
      keyDim: headDim,
      valueDim: headDim,
      tiedHead: tieWordEmbeddings ? vocabSize * hiddenSize : 0,
    }),
  };

  readonly embedTokens: Embedding;
  readonly layers: readonly InfiniBlock[];
  readonly norm: RMSNorm;
  /** The output head; null where it is tied to the embedding. */
  readonly lmHead: Linear | null;
  /** In training, blocks keep nothing for the backward pass but what goes between them, and are called again there. Default false. */
  gradientCheckpointing = false;

  /** @param key decides the initial weights */
  constructor(
    options: InfiniTransformerOptions,
    key: Key,
    { embeddingStd = 0.02, gain = 0.7, dtype = 'f32' }: InfiniTransformerInit = {},
  ) {
    const config = infiniSchema.make(options);
    super(config);
    const init = (fanIn: number): number => gain / Math.sqrt(fanIn);
    const { vocabSize, hiddenSize, numLayers } = config;
    const keys = key.split(numLayers + 2);
    this.embedTokens = new Embedding(vocabSize, hiddenSize, { key: keys[0]!, std: embeddingStd, dtype });
    this.layers = Array.from(
      { length: numLayers },
      (_, i) => new InfiniBlock(config, config.memoryLayers.includes(i), keys[i + 2]!, init, dtype),
    );
    this.norm = new RMSNorm(hiddenSize, { eps: config.rmsNormEps, dtype });
    this.lmHead = config.tieWordEmbeddings
      ? null
      : new Linear(hiddenSize, vocabSize, { key: keys[1]!, bias: false, std: init(hiddenSize), dtype });
  }

  /**
   * Next-token logits for tokens [batch, length] (i32).
   * @throws ShapeError unless tokens have two axes and at least one position
   */
  forward(tokens: Tensor, options: InfiniForwardOptions = {}): InfiniTransformerOutput {
    if (tokens.rank !== 2 || tokens.size === 0)
      throw new ShapeError('InfiniTransformer', 'tokens must be [batch, length], not empty', {
        operands: [tokens],
      });
    const { memories, mask = null, lastLogits = tokens.shape[1]!, outputHiddenStates = false } = options;
    if (memories && memories.length !== this.layers.length)
      throw new ShapeError(
        'InfiniTransformer',
        `${memories.length} memories for ${this.layers.length} layers`,
      );
    const after: (MemoryState | null)[] = [];
    const writeLogits: Tensor[] = [];
    const hiddenStates: Tensor[] = [];
    const saving = this.gradientCheckpointing && this.training;
    let x = this.embedTokens.forward(tokens);
    this.layers.forEach((layer, i) => {
      if (outputHiddenStates) hiddenStates.push(x);
      const step = throughBlock(layer, x, memories?.[i] ?? null, mask, saving);
      x = step.output;
      after.push(step.memory);
      if (step.writeLogits) writeLogits.push(step.writeLogits);
    });
    const length = x.shape[1]!;
    const latest = (y: Tensor): Tensor => y.narrow(1, length - lastLogits, lastLogits);
    const states = outputHiddenStates ? this.norm.forward(x) : null;
    const last = states ? latest(states) : this.norm.forward(latest(x));
    const logits = this.lmHead ? this.lmHead.forward(last) : last.matmul(this.embedTokens.weight.transpose());
    return {
      logits,
      memories: after,
      ...(states && { hiddenStates: [...hiddenStates, states] }),
      writeLogits,
    };
  }

  /** How `generate` reads a text: memories go from segment to segment, and the segment at hand is read anew for each token. */
  reader(options: ReaderOptions): Reader {
    return infiniReader(this, options);
  }

  /** What the memories hold, whatever has been read: d_key (d_value + 1) for each head and layer with memory (Table 1). */
  override memoryFootprint(): number {
    const { featureMap, headDim, numHeads, memoryLayers } = this.config;
    const [keyDim, valueDim] = [featureDim(featureMap, headDim), headDim];
    return footprints.infini({ layers: new Set(memoryLayers).size, heads: numHeads, keyDim, valueDim });
  }

  /** Operations of a token that sees its segment, or what there is of it, and the memories. */
  override flopsPerToken(options: FlopsOptions = {}): number {
    const { numLayers: layers, numHeads: heads } = this.config;
    const matrices = matrixNumbers(this) + this.attentionShape().tiedHead;
    return infiniFlops(this.config, { matrices, layers, heads }, options);
  }

  /** β of eq. (10) and its kin: they want a learning rate of their own (10 to 30 times the rest) and no weight decay. */
  gateParameters(): Parameter[] {
    return this.layers.flatMap(({ attention }) => [
      ...(attention.beta ? [attention.beta] : []),
      ...(attention.gateProj?.parameters() ?? []),
    ]);
  }

  /** The write gates' parameters (our extension). */
  writeGateParameters(): Parameter[] {
    return this.layers.flatMap(({ attention }) => attention.writeGate?.parameters() ?? []);
  }

  /** sigmoid(β) by layer with memory and head: the weight of the memory. */
  gates(): number[][] {
    return this.gateTensors().map((g) => Array.from(g.dataSync()));
  }

  /** What `gates` reads: [heads] for each layer with memory. */
  gateTensors(): Tensor[] {
    return this.layers.flatMap(({ attention }) => {
      const g = attention.beta?.detach().sigmoid();
      return g ? [g.rank === 1 ? g : g.mean(1)] : [];
    });
  }
}

/** The same model without memory: causal attention inside each segment only. The control for everything the memory does. */
export function localBaseline(
  options: InfiniTransformerOptions,
  key: Key,
  init: InfiniTransformerInit = {},
): InfiniTransformer {
  return new InfiniTransformer({ ...options, memoryLayers: [] }, key, init);
}
