/** Infini-attention: causal attention inside each segment, mixed with a read from the compressive memory. */
import {
  causalAttention,
  Linear,
  memoryParameters,
  Module,
  RotaryEmbedding,
  throughMemory,
  writeOpenness,
  type MemoryState,
  type Parameter,
  type RMSNorm,
} from '@infinigrad/nn';
import { full, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import type { InfiniTransformerConfig } from './config.ts';
import { memoryRules } from './memory.ts';

export interface InfiniAttentionOutput {
  /** [batch, length, hiddenSize]. */
  readonly output: Tensor;
  /** M_s after the last segment; null in a layer without memory. */
  readonly memory: MemoryState | null;
  /** The write gate's pre-activations a_t, [batch, heads, length], where there is a write gate. */
  readonly writeLogits: Tensor | null;
}

export class InfiniAttention extends Module {
  readonly config: InfiniTransformerConfig;
  readonly qProj: Linear;
  readonly kProj: Linear;
  readonly vProj: Linear;
  readonly oProj: Linear;
  /** β of eq. (10): [heads] or [heads, headDim]; null in a layer without memory, or where the gate reads the input. */
  readonly beta: Parameter | null = null;
  readonly gateProj: Linear | null = null;
  readonly writeGate: Linear | null = null;
  readonly readNorm: RMSNorm | null = null;
  readonly initialMatrix: Parameter | null = null;
  readonly initialNormalizer: Parameter | null = null;
  private readonly rope: RotaryEmbedding;
  private readonly hasMemory: boolean;

  /** @param init standard deviation of a linear layer's weights, by its number of inputs */
  constructor(
    config: InfiniTransformerConfig,
    hasMemory: boolean,
    key: Key,
    init: (fanIn: number) => number,
    dtype: FloatDType = 'f32',
  ) {
    super();
    const { hiddenSize, numHeads, numKvHeads, headDim } = config;
    const keys = key.split(6);
    const linear = (inputs: number, outputs: number, k: Key): Linear =>
      new Linear(inputs, outputs, { key: k, bias: false, std: init(inputs), dtype });
    this.config = config;
    this.hasMemory = hasMemory;
    this.rope = new RotaryEmbedding(headDim, { base: config.ropeTheta });
    this.qProj = linear(hiddenSize, numHeads * headDim, keys[0]!);
    this.kProj = linear(hiddenSize, numKvHeads * headDim, keys[1]!);
    this.vProj = linear(hiddenSize, numKvHeads * headDim, keys[2]!);
    this.oProj = linear(numHeads * headDim, hiddenSize, keys[3]!);
    if (!hasMemory) return;
    const made = memoryParameters({
      numHeads,
      keyDim: headDim,
      valueDim: headDim,
      inputDim: hiddenSize,
      featureMap: config.featureMap,
      gate: config.gate,
      gateInit: config.gateInit,
      writeGate: config.writeGate,
      readNorm: config.memoryNormalization === 'rmsNorm',
      normEps: config.rmsNormEps,
      initState: config.memoryInit,
      learnNormalizer: true,
      keys: [keys[4]!, keys[5]!],
      dtype,
    });
    this.beta = made.beta;
    this.gateProj = made.gateProj;
    this.writeGate = made.writeGate;
    this.readNorm = made.readNorm;
    this.initialMatrix = made.initialMatrix;
    this.initialNormalizer = made.initialNormalizer;
  }

  /**
   * @param x [batch, length, hiddenSize], length any number of segments, the last one possibly short
   * @param memory M_{s-1} of the segments before, or null at the start of a sequence
   * @param mask bool [batch, length], false for padding: such tokens are not attended to and write nothing
   */
  forward(x: Tensor, memory: MemoryState | null = null, mask: Tensor | null = null): InfiniAttentionOutput {
    const { config } = this;
    const { segmentLength, headDim, numHeads, numKvHeads } = config;
    const [batch, length] = x.shape as readonly [number, number, number];
    const segments = Math.ceil(length / segmentLength);
    const padding = segments * segmentLength - length;
    // A short last segment is filled up; causality keeps the filling out of the output, the mask out of the memory.
    const filled =
      padding > 0
        ? x.pad([
            [0, 0],
            [0, padding],
            [0, 0],
          ])
        : x;
    const present =
      padding > 0
        ? (mask ?? full([batch, length], true, { backend: x.backend })).pad([
            [0, 0],
            [0, padding],
          ])
        : mask;
    // [batch, length, heads · d] → [batch, heads, segments, n, d]
    const split = (y: Tensor, heads: number): Tensor => {
      const parted = y.reshape([batch, segments, segmentLength, heads, headDim]).permute([0, 3, 1, 2, 4]);
      if (heads === numHeads) return parted;
      const shape = [batch, heads, numHeads / heads, segments, segmentLength, headDim];
      return parted.unsqueeze(2).expand(shape).reshape([batch, numHeads, segments, segmentLength, headDim]);
    };
    // Eq. (5)
    const q = split(this.qProj.forward(filled), numHeads);
    const k = split(this.kProj.forward(filled), numKvHeads);
    const v = split(this.vProj.forward(filled), numKvHeads);
    // Eq. (6), with 1/√d_key
    const rotatedQ = this.rope.apply(q);
    const rotatedK = this.rope.apply(k);
    const keyMask = present?.reshape([batch, 1, segments, 1, segmentLength]);
    const local = causalAttention(rotatedQ, rotatedK, v, keyMask ? { mask: keyMask } : {});
    let mixed = local;
    let last: MemoryState | null = null;
    let writeLogits: Tensor | null = null;
    if (this.hasMemory) {
      const positioned = config.positionOnMemory;
      const { featureMap, writeGate, writeGateMargin, firstSegment } = config;
      const step = throughMemory(
        {
          ...memoryRules(config),
          featureMap,
          writeGate,
          writeGateMargin,
          firstSegment,
          memoryDtype: v.dtype as FloatDType,
        },
        this,
        {
          queries: positioned ? rotatedQ : q,
          keys: positioned ? rotatedK : k,
          values: v,
          local,
          x: filled,
          present,
          state: memory,
        },
      );
      mixed = step.output;
      last = step.state;
      writeLogits = step.writeLogits && step.writeLogits.narrow(1, 0, length).transpose();
    }
    // Eq. (11)
    const joined = mixed
      .permute([0, 2, 3, 1, 4])
      .reshape([batch, segments * segmentLength, numHeads * headDim]);
    const output = this.oProj.forward(padding > 0 ? joined.narrow(1, 0, length) : joined);
    return { output, memory: last, writeLogits };
  }

  /** w_t of the write gate from its pre-activation (our extension). */
  openness(a: Tensor): Tensor {
    const { writeGate, writeGateMargin } = this.config;
    return writeOpenness(a, writeGate === 'hard' ? 'hard' : 'sigmoid', writeGateMargin);
  }
}
