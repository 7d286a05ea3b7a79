/**
 * LLaMA with Infini-attention (arXiv 2404.07143 v2): a checkpoint that learns to remember.
 *
 * - Weights, keys and numbers are LLaMA's; what the memory adds stands beside them under `self_attn.memory`.
 * - Attention looks within a segment of N tokens; all before it is read from a memory of constant size.
 * - With `firstSegment: 'local'` it is, on one segment, the checkpoint itself to the bit, whatever the gates are.
 * - Texts of any length in pieces of whole segments, by carrying the memories from call to call.
 */
import {
  causalAttention,
  CompressiveMemory,
  Embedding,
  GatedMLP,
  Linear,
  Module,
  RMSNorm,
  RotaryEmbedding,
  type MemoryState,
  type Parameter,
} from '@infinigrad/nn';
import {
  full,
  sameShape,
  ShapeError,
  ValueError,
  type FloatDType,
  type Key,
  type Tensor,
} from '@infinigrad/tensor';
import { activationNamed } from '../core/activations.ts';
import type { ConfigOptions } from '../core/config.ts';
import { footprints, matrixNumbers, type FlopsOptions } from '../core/counting.ts';
import { checkedTokens } from '../core/decoder-inputs.ts';
import type { Reader, ReaderOptions } from '../generation/model.ts';
import { PretrainedModel, type ModelInit, type ModelMeta } from '../core/pretrained.ts';
import { LlamaForCausalLM } from '../llama/model.ts';
import { throughBlock } from './blocks.ts';
import { infiniLlamaSchema, type InfiniLlamaConfig, type MemoryConfig } from './llama-config.ts';
import { featureDim, infiniFlops } from './memory.ts';
import type { InfiniForwardOptions, Memories } from './model.ts';
import { infiniReader } from './reader.ts';

interface Attended {
  readonly output: Tensor;
  readonly memory: MemoryState | null;
}

class InfiniLlamaAttention extends Module {
  readonly qProj: Linear;
  readonly kProj: Linear;
  readonly vProj: Linear;
  readonly oProj: Linear;
  readonly memory: CompressiveMemory | null;
  private readonly config: InfiniLlamaConfig;
  private readonly rope: RotaryEmbedding;

  constructor(config: InfiniLlamaConfig, layer: number, rope: RotaryEmbedding, key: Key, dtype: FloatDType) {
    super();
    const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim, attentionBias: bias } = config;
    const keys = key.split(5) as [Key, Key, Key, Key, Key];
    const std = config.initializerRange;
    const linear = (inputs: number, outputs: number, k: Key): Linear =>
      new Linear(inputs, outputs, { key: k, bias, std, dtype });
    this.config = config;
    this.rope = rope;
    this.qProj = linear(hiddenSize, numAttentionHeads * headDim, keys[0]);
    this.kProj = linear(hiddenSize, numKeyValueHeads * headDim, keys[1]);
    this.vProj = linear(hiddenSize, numKeyValueHeads * headDim, keys[2]);
    this.oProj = linear(numAttentionHeads * headDim, hiddenSize, keys[3]);
    this.memory = config.memoryLayers.includes(layer)
      ? new CompressiveMemory({
          numHeads: numAttentionHeads,
          keyDim: headDim,
          valueDim: headDim,
          inputDim: hiddenSize,
          segmentLength: config.segmentLength,
          update: config.memoryUpdate,
          featureMap: config.featureMap,
          normalize: config.memoryNormalization,
          eps: config.memoryEps,
          epsMode: config.memoryEpsMode,
          gate: config.gate,
          gateInit: config.gateInit,
          firstSegment: config.firstSegment,
          detachEvery: config.detachEvery,
          initState: config.memoryInit,
          decay: config.memoryDecay,
          writeGate: config.writeGate,
          writeGateMargin: config.writeGateMargin,
          key: keys[4],
          dtype,
        })
      : null;
  }

  /** @param x [batch, length, hiddenSize] */
  forward(x: Tensor, state: MemoryState | null, mask: Tensor | null): Attended {
    const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim, segmentLength } = this.config;
    const [batch, length] = x.shape as readonly [number, number, number];
    const segments = Math.ceil(length / segmentLength);
    // One segment is as long as it is: attention then sees what LLaMA's sees.
    const n = segments === 1 ? length : segmentLength;
    const filling = segments * n - length;
    const group = heads / kvHeads;
    const filled = (y: Tensor): Tensor =>
      filling === 0 ? y : y.pad(y.shape.map((_, i): [number, number] => [0, i === 1 ? filling : 0]));
    /** [batch, length, kvHeads · g · headDim] → [batch, kvHeads, g, segments, n, headDim]. */
    const split = (y: Tensor, g: number): Tensor =>
      filled(y).reshape([batch, segments, n, kvHeads, g, headDim]).permute([0, 3, 4, 1, 2, 5]);
    const q = split(this.qProj.forward(x), group);
    const k = split(this.kProj.forward(x), 1);
    const v = split(this.vProj.forward(x), 1);
    const [turnedQ, turnedK] = [this.rope.apply(q), this.rope.apply(k)];
    const present = mask ?? (filling > 0 ? full([batch, length], true, { backend: x.backend }) : null);
    const keyMask = present && filled(present).reshape([batch, 1, 1, segments, 1, n]);
    const local = causalAttention(turnedQ, turnedK, v, keyMask ? { mask: keyMask } : {});
    /** [batch, kvHeads, g, segments, n, headDim] → [batch, heads, length, headDim], heads of keys beside each other. */
    const joined = (y: Tensor): Tensor =>
      y
        .expand([batch, kvHeads, group, segments, n, headDim])
        .reshape([batch, heads, segments * n, headDim])
        .narrow(2, 0, length);
    const own = joined(local);
    const positioned = this.config.positionOnMemory;
    const read = this.memory?.read(
      joined(positioned ? turnedQ : q),
      joined(positioned ? turnedK : k),
      joined(v),
      { initialState: state, local: own, x, ...(mask && { mask }) },
    );
    const mixed = read?.output ?? own;
    const output = mixed.permute([0, 2, 1, 3]).reshape([batch, length, heads * headDim]);
    return { output: this.oProj.forward(output), memory: read?.state ?? null };
  }
}

class InfiniLlamaBlock extends Module {
  readonly inputLayernorm: RMSNorm;
  readonly selfAttn: InfiniLlamaAttention;
  readonly postAttentionLayernorm: RMSNorm;
  readonly mlp: GatedMLP;

  constructor(config: InfiniLlamaConfig, layer: number, rope: RotaryEmbedding, key: Key, dtype: FloatDType) {
    super();
    const { hiddenSize, intermediateSize, rmsNormEps: eps, initializerRange: std, mlpBias: bias } = config;
    const [attention, mlp] = key.split(2) as [Key, Key];
    this.inputLayernorm = new RMSNorm(hiddenSize, { eps, dtype });
    this.selfAttn = new InfiniLlamaAttention(config, layer, rope, attention, dtype);
    this.postAttentionLayernorm = new RMSNorm(hiddenSize, { eps, dtype });
    const activation = activationNamed(config.hiddenAct);
    this.mlp = new GatedMLP(hiddenSize, intermediateSize, { activation, bias, key: mlp, std, dtype });
  }

  forward(x: Tensor, state: MemoryState | null, mask: Tensor | null): Attended {
    const { output, memory } = this.selfAttn.forward(this.inputLayernorm.forward(x), state, mask);
    const middle = x.add(output);
    return { output: middle.add(this.mlp.forward(this.postAttentionLayernorm.forward(middle))), memory };
  }
}

class InfiniLlamaModel extends Module {
  readonly embedTokens: Embedding;
  readonly layers: readonly InfiniLlamaBlock[];
  readonly norm: RMSNorm;

  constructor(config: InfiniLlamaConfig, key: Key, dtype: FloatDType) {
    super();
    const { vocabSize, hiddenSize, numHiddenLayers, headDim, initializerRange: std } = config;
    const keys = key.split(numHiddenLayers + 1);
    const rope = new RotaryEmbedding(headDim, { base: config.ropeTheta, scaling: config.ropeScaling });
    this.embedTokens = new Embedding(vocabSize, hiddenSize, { key: keys[0]!, std, dtype });
    this.layers = Array.from(
      { length: numHiddenLayers },
      (_, i) => new InfiniLlamaBlock(config, i, rope, keys[i + 1]!, dtype),
    );
    this.norm = new RMSNorm(hiddenSize, { eps: config.rmsNormEps, dtype });
  }
}

export interface InfiniLlamaOutput {
  /** [batch, length or lastLogits, vocabSize]. */
  readonly logits: Tensor;
  readonly memories: Memories;
  /** Each [batch, length, hiddenSize]. */
  readonly hiddenStates?: readonly Tensor[];
}

export type InfiniLlamaOptions = ConfigOptions<InfiniLlamaConfig>;

export class InfiniLlamaForCausalLM extends PretrainedModel<InfiniLlamaConfig> {
  static readonly meta: ModelMeta<InfiniLlamaConfig> = {
    ...LlamaForCausalLM.meta,
    architecture: 'InfiniLlamaForCausalLM',
    config: infiniLlamaSchema,
  };

  readonly model: InfiniLlamaModel;
  readonly lmHead: Linear | null;
  /** In training, blocks keep nothing for the backward pass but what goes between them, and are called again there. Default false. */
  gradientCheckpointing = false;

  constructor(options: InfiniLlamaOptions, key: Key, { dtype = 'f32' }: ModelInit = {}) {
    const config = infiniLlamaSchema.make(options);
    super(config);
    const [base, head] = key.split(2) as [Key, Key];
    const { hiddenSize, vocabSize, initializerRange: std } = config;
    this.model = new InfiniLlamaModel(config, base, dtype);
    this.lmHead = config.tieWordEmbeddings
      ? null
      : new Linear(hiddenSize, vocabSize, { key: head, bias: false, std, dtype });
  }

  /**
   * A LLaMA with memories put into it; its weights are shared until either side changes them.
   * @param key decides how the memories' own layers start
   * @throws ValueError for options that make no memory
   */
  static from(llama: LlamaForCausalLM, memory: Partial<MemoryConfig>, key: Key): InfiniLlamaForCausalLM {
    const { dtype } = llama.model.norm.weight;
    const model = new InfiniLlamaForCausalLM({ ...llama.config, ...memory }, key, {
      dtype: dtype as FloatDType,
    });
    const { missing } = model.loadPretrainedState(llama.pretrainedState(), { strict: false });
    const lost = missing.filter((name) => !name.includes('.memory.'));
    if (lost.length > 0) throw new ValueError('InfiniLlamaForCausalLM', `the LLaMA lacks ${lost.join(', ')}`);
    return model.train(llama.training);
  }

  /**
   * Next-token logits for tokens [batch, length] (i32).
   * @throws ShapeError, ValueError for tokens, memories and masks that do not fit
   */
  forward(inputIds: Tensor, options: InfiniForwardOptions = {}): InfiniLlamaOutput {
    checkedTokens('InfiniLlamaForCausalLM', inputIds);
    const length = inputIds.shape[1]!;
    const { memories, mask = null, lastLogits = length, outputHiddenStates = false } = options;
    const { layers, embedTokens, norm } = this.model;
    if (memories && memories.length !== layers.length)
      throw new ShapeError(
        'InfiniLlamaForCausalLM',
        `${memories.length} memories for ${layers.length} layers`,
      );
    if (!(Number.isInteger(lastLogits) && lastLogits >= 0 && lastLogits <= length))
      throw new ValueError(
        'InfiniLlamaForCausalLM',
        `lastLogits must be an integer from 0 to ${length}, got ${lastLogits}`,
      );
    if (mask && !(mask.dtype === 'bool' && sameShape(mask.shape, inputIds.shape)))
      throw new ShapeError('InfiniLlamaForCausalLM', 'the mask must be bool [batch, length], as the tokens', {
        operands: [inputIds, mask],
      });
    const hiddenStates: Tensor[] = [];
    const saving = this.gradientCheckpointing && this.training;
    let x = embedTokens.forward(inputIds);
    const after = layers.map((layer, i) => {
      if (outputHiddenStates) hiddenStates.push(x);
      const { output, memory } = throughBlock(layer, x, memories?.[i] ?? null, mask, saving);
      x = output;
      return memory;
    });
    const latest = (y: Tensor): Tensor =>
      lastLogits === length ? y : y.narrow(1, length - lastLogits, lastLogits);
    const states = outputHiddenStates ? norm.forward(x) : null;
    const last = states ? latest(states) : norm.forward(latest(x));
    return {
      logits: this.lmHead ? this.lmHead.forward(last) : embedTokens.attend(last),
      memories: after,
      ...(states && { hiddenStates: [...hiddenStates, states] }),
    };
  }

  /** How `generate` reads a text: memories go from segment to segment, and the segment at hand is read anew for each token. */
  reader(options: ReaderOptions): Reader {
    return infiniReader(this, options);
  }

  /** What the memories hold, whatever has been read: d_key (d_value + 1) for each head and layer with memory (Table 1). */
  override memoryFootprint(): number {
    const { featureMap, headDim, numAttentionHeads: heads, memoryLayers } = this.config;
    const layers = new Set(memoryLayers).size;
    return footprints.infini({ layers, heads, keyDim: featureDim(featureMap, headDim), valueDim: headDim });
  }

  /** Operations of a token that sees its segment, or what there is of it, and the memories. */
  override flopsPerToken(options: FlopsOptions = {}): number {
    const { numHiddenLayers: layers, numAttentionHeads: heads } = this.config;
    const matrices = matrixNumbers(this) + this.attentionShape().tiedHead;
    return infiniFlops(this.config, { matrices, layers, heads }, options);
  }

  /** What decides how much of the memory is read: it wants a learning rate of its own (10 to 30 times the rest) and no weight decay. */
  gateParameters(): Parameter[] {
    return this.model.layers.flatMap(({ selfAttn: { memory } }) => [
      ...(memory?.beta ? [memory.beta] : []),
      ...(memory?.gateProj?.parameters() ?? []),
    ]);
  }
}
