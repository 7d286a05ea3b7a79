/** Infini-attention: causal attention inside each segment, mixed with a read from the compressive memory. */
import { causalAttention, Linear, Module, Parameter, RMSNorm, RotaryEmbedding } from '@infinigrad/nn';
import { full, zeros, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import type { InfiniTransformerConfig } from './config.ts';
import { featureDim, featureMap, retrieve, walkSegments, type MemoryState } from './memory.ts';

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
    const { hiddenSize, numHeads, numKvHeads, headDim, gate, gateInit, writeGate } = config;
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
    if (gate === 'input') this.gateProj = constantLinear(hiddenSize, numHeads, gateInit, keys[4]!, dtype);
    else
      this.beta = new Parameter(
        full(gate === 'perHead' ? [numHeads] : [numHeads, headDim], gateInit, { dtype }),
      );
    if (writeGate !== 'none') this.writeGate = constantLinear(hiddenSize, numHeads, 0, keys[5]!, dtype);
    if (config.memoryNormalization === 'rmsNorm')
      this.readNorm = new RMSNorm(headDim, { eps: config.rmsNormEps, dtype });
    if (config.memoryInit === 'learned') {
      const features = featureDim(config.featureMap, headDim);
      this.initialMatrix = new Parameter(zeros([numHeads, features, headDim], { dtype }));
      this.initialNormalizer = new Parameter(zeros([numHeads, features], { dtype }));
    }
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
      const queries = featureMap(config.featureMap, positioned ? rotatedQ : q);
      const plainKeys = featureMap(config.featureMap, positioned ? rotatedK : k);
      let keys = plainKeys;
      if (this.writeGate) {
        const a = this.writeGate.forward(filled);
        writeLogits = a.narrow(1, 0, length).transpose();
        keys = keys.mul(
          this.openness(a)
            .reshape([batch, segments, segmentLength, numHeads])
            .permute([0, 3, 1, 2])
            .unsqueeze(-1),
        );
      }
      if (present) keys = keys.mul(present.cast(x.dtype).reshape([batch, 1, segments, segmentLength, 1]));
      const walk = walkSegments(config, keys, plainKeys, v, memory ?? this.emptyMemory(x));
      last = walk.last;
      let read = retrieve(config, queries, walk.matrices, walk.normalizers);
      if (this.readNorm) read = this.readNorm.forward(read);
      // Eq. (10): sigmoid(β) is the weight of the memory
      const g = this.gateFor(filled, segments, memory === null && config.memoryInit === 'zero');
      mixed = local.add(g.mul(read.sub(local)));
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
    const { writeGate, writeGateMargin: m } = this.config;
    const w = a.sigmoid();
    return writeGate === 'hard'
      ? w
          .mul(1 + 2 * m)
          .sub(m)
          .clip(0, 1)
      : w;
  }

  /** sigmoid(β), shaped to meet [batch, heads, segments, n, d]. */
  private gateFor(x: Tensor, segments: number, startsEmpty: boolean): Tensor {
    const { numHeads, segmentLength, firstSegment } = this.config;
    const [batch] = x.shape as readonly [number];
    let g: Tensor;
    if (this.gateProj)
      g = this.gateProj
        .forward(x)
        .sigmoid()
        .reshape([batch, segments, segmentLength, numHeads])
        .permute([0, 3, 1, 2])
        .unsqueeze(-1);
    else g = this.beta!.sigmoid().reshape([1, numHeads, 1, 1, -1]);
    if (!startsEmpty || firstSegment === 'gated') return g;
    const later = full([segments], 1, { dtype: x.dtype, backend: x.backend })
      .narrow(0, 1, segments - 1)
      .pad([[1, 0]]);
    return g.mul(later.reshape([1, 1, segments, 1, 1]));
  }

  /** M_0 and z_0. */
  private emptyMemory(x: Tensor): MemoryState {
    const { numHeads, headDim, featureMap: kind } = this.config;
    const batch = x.shape[0]!;
    const features = featureDim(kind, headDim);
    if (this.initialMatrix && this.initialNormalizer)
      return {
        matrix: this.initialMatrix.expand([batch, numHeads, features, headDim]),
        normalizer: this.initialNormalizer.softplus().expand([batch, numHeads, features]),
      };
    const options = { dtype: x.dtype, backend: x.backend };
    return {
      matrix: zeros([batch, numHeads, features, headDim], options),
      normalizer: zeros([batch, numHeads, features], options),
    };
  }
}

/** A linear layer that starts as the constant `bias`. */
function constantLinear(inputs: number, outputs: number, bias: number, key: Key, dtype: FloatDType): Linear {
  const layer = new Linear(inputs, outputs, { key, std: 0, dtype });
  layer.bias!.assign(full([outputs], bias, { dtype }));
  return layer;
}
