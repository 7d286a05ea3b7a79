/** Layers of linear attention: normalised, with decay (retention), with gates. */
import { ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import { checkSizes } from '../init.ts';
import { Linear } from '../layers/linear.ts';
import { RotaryEmbedding } from '../positions/rope.ts';
import { featureMap, type FeatureMap } from './feature-maps.ts';
import { gatedLinearAttention, linearAttention, retention, retentionDecays } from './functions.ts';
import { RecurrentMixer, type Heads, type MixerOptions } from './mixer.ts';
import type { RecurrenceOptions, RecurrenceOutput } from './problem.ts';

export interface LinearAttentionLayerOptions extends MixerOptions {
  /** φ. Default `elu1`. */
  readonly featureMap?: FeatureMap;
  /** Divide by the sum of the weights. Without, an RMSNorm over each head's output. Default true. */
  readonly normalize?: boolean;
  /** Default false. */
  readonly outputGate?: boolean;
}

/** Multi-head linear attention (arXiv 2006.16236; without the normaliser: arXiv 2210.10340). By default expandK = expandV = 1, no convolution. */
export class LinearAttention extends RecurrentMixer {
  readonly normalize: boolean;
  readonly featureMap: FeatureMap;

  constructor(dim: number, options: LinearAttentionLayerOptions) {
    const { featureMap: kind = 'elu1', normalize = true, outputGate = false } = options;
    super(dim, options, {
      name: 'LinearAttention',
      expandK: 1,
      expandV: 1,
      convSize: 0,
      outputNorm: !normalize,
      outputGate,
    });
    this.normalize = normalize;
    this.featureMap = kind;
  }

  protected mix(_: Tensor, { q, k, v }: Heads, options: RecurrenceOptions): RecurrenceOutput {
    const kind = this.featureMap;
    const { normalize } = this;
    return linearAttention(featureMap(kind, q), featureMap(kind, k), v, { ...options, normalize });
  }
}

export interface RetentionLayerOptions extends MixerOptions {
  /** γ of each head. Default `retentionDecays(numHeads)`. */
  readonly decays?: readonly number[];
  /** Base of the rotary positions of queries and keys; null for none. Default 10000. */
  readonly ropeTheta?: number | null;
  /** Default true. */
  readonly outputGate?: boolean;
}

/**
 * Multi-scale retention (RetNet, arXiv 2307.08621): rotary positions, one decay a head, output norm and gate. By default
 * expandK = 1, expandV = 2, no convolution. Positions count every token, padding too.
 */
export class Retention extends RecurrentMixer {
  readonly decays: readonly number[];
  readonly rope: RotaryEmbedding | null;

  constructor(dim: number, options: RetentionLayerOptions) {
    const { numHeads, outputGate = true, ropeTheta = 10000 } = options;
    super(dim, options, {
      name: 'Retention',
      expandK: 1,
      expandV: 2,
      convSize: 0,
      outputNorm: true,
      outputGate,
    });
    const { decays = retentionDecays(numHeads) } = options;
    if (decays.length !== numHeads || !decays.every((gamma) => gamma > 0 && gamma <= 1))
      throw new ValueError('Retention', `needs ${numHeads} decays in (0, 1], got [${decays.join(', ')}]`);
    this.decays = decays;
    this.rope = ropeTheta === null ? null : new RotaryEmbedding(this.keyDim, { base: ropeTheta });
  }

  protected mix(_: Tensor, { q, k, v }: Heads, options: RecurrenceOptions, offset: number): RecurrenceOutput {
    const turned = (y: Tensor): Tensor => this.rope?.apply(y, offset) ?? y;
    return retention(turned(q), turned(k), v, { ...options, decays: this.decays });
  }
}

export interface GatedLinearAttentionOptions extends MixerOptions {
  /** Width of the two-step projection to the gates. Default 16. */
  readonly gateLowRank?: number;
  /** τ of α = sigmoid(·)^{1/τ}. Default 16. */
  readonly gateNormalizer?: number;
  /** Default true. */
  readonly outputGate?: boolean;
}

/**
 * Gated linear attention (arXiv 2312.06635, section 4.4): a gate for each channel of the keys. By default expandK = 0.5,
 * expandV = 1, no convolution.
 */
export class GatedLinearAttention extends RecurrentMixer {
  readonly gateNormalizer: number;
  /** dim → gateLowRank, without bias → numHeads · keyDim. */
  readonly gkProj: readonly [Linear, Linear];

  constructor(dim: number, options: GatedLinearAttentionOptions) {
    const { key, std, dtype = 'f32', gateLowRank = 16, gateNormalizer = 16, outputGate = true } = options;
    const kind = { name: 'GatedLinearAttention', expandK: 0.5, expandV: 1, convSize: 0 };
    super(dim, options, { ...kind, outputNorm: true, outputGate });
    checkSizes(kind.name, { gateLowRank });
    if (!(gateNormalizer > 0 && gateNormalizer < Infinity))
      throw new ValueError(kind.name, `gateNormalizer must be a number > 0, got ${gateNormalizer}`);
    const [down, up] = key.foldIn(1).split(2) as [Key, Key];
    const init = { dtype, ...(std !== undefined && { std }) };
    this.gateNormalizer = gateNormalizer;
    this.gkProj = [
      new Linear(dim, gateLowRank, { key: down, bias: false, ...init }),
      new Linear(gateLowRank, this.numHeads * this.keyDim, { key: up, ...init }),
    ];
  }

  protected mix(x: Tensor, { q, k, v }: Heads, options: RecurrenceOptions): RecurrenceOutput {
    const [down, up] = this.gkProj;
    const gates = up.forward(down.forward(x)).logSigmoid().div(this.gateNormalizer);
    return gatedLinearAttention(q, k, v, this.split(gates), options);
  }
}
