/** Layers of the delta rule. */
import { ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import { Linear } from '../layers/linear.ts';
import { Parameter } from '../parameter.ts';
import { deltaRule, gatedDeltaRule } from './functions.ts';
import { perHead, RecurrentMixer, unitLength, type Heads, type MixerOptions } from './mixer.ts';
import type { RecurrenceOptions, RecurrenceOutput } from './problem.ts';

export interface DeltaNetOptions extends MixerOptions {
  /** β up to 2, so that a state can change its sign (arXiv 2411.12537). Default false. */
  readonly allowNegativeEigenvalues?: boolean;
  /** Default: false for `DeltaNet`, true for `GatedDeltaNet`. */
  readonly outputGate?: boolean;
}

/** β = sigmoid(·), times 2 where eigenvalues may be negative. */
function strengths(x: Tensor, projection: Linear, doubled: boolean): Tensor {
  const beta = perHead(projection.forward(x).sigmoid());
  return doubled ? beta.mul(2) : beta;
}

const activated = (mixer: RecurrentMixer, { q, k, v }: Heads): Heads =>
  mixer.qConv ? { q, k, v } : { q: q.silu(), k: k.silu(), v: v.silu() };

/**
 * DeltaNet (arXiv 2406.06484, section 3): short convolutions, silu, keys and queries of length 1, the delta rule, output norm. By
 * default expandK = expandV = 1, convSize 4.
 */
export class DeltaNet extends RecurrentMixer {
  readonly allowNegativeEigenvalues: boolean;
  /** To β, without bias. */
  readonly bProj: Linear;

  constructor(dim: number, options: DeltaNetOptions) {
    const {
      key,
      numHeads,
      std,
      dtype = 'f32',
      allowNegativeEigenvalues = false,
      outputGate = false,
    } = options;
    const kind = { name: 'DeltaNet', expandK: 1, expandV: 1, convSize: 4 };
    super(dim, options, { ...kind, outputNorm: true, outputGate });
    this.allowNegativeEigenvalues = allowNegativeEigenvalues;
    this.bProj = new Linear(dim, numHeads, {
      key: key.foldIn(1),
      bias: false,
      dtype,
      ...(std !== undefined && { std }),
    });
  }

  protected mix(x: Tensor, heads: Heads, options: RecurrenceOptions): RecurrenceOutput {
    const { q, k, v } = activated(this, heads);
    const beta = strengths(x, this.bProj, this.allowNegativeEigenvalues);
    return deltaRule(unitLength(q), unitLength(k), v, beta, options);
  }
}

export interface GatedDeltaNetOptions extends DeltaNetOptions {
  /** Range of the initial decay rates A. Default [1, 16]. */
  readonly decayRange?: readonly [number, number];
  /** Range of the initial time steps. Default [0.001, 0.1]. */
  readonly stepRange?: readonly [number, number];
}

/**
 * Gated DeltaNet (arXiv 2412.06464, section 3.4): as `DeltaNet`, and the state fades by α = e^{-A softplus(a + dtBias)} (Mamba-2's
 * gate) before each write. By default expandK = 0.75, expandV = 1.5, convSize 4, output gate.
 */
export class GatedDeltaNet extends RecurrentMixer {
  readonly allowNegativeEigenvalues: boolean;
  /** To β, without bias. */
  readonly bProj: Linear;
  /** To the time steps, without bias. */
  readonly aProj: Linear;
  /** log A, [numHeads]. */
  readonly aLog: Parameter;
  /** [numHeads]. */
  readonly dtBias: Parameter;

  constructor(dim: number, options: GatedDeltaNetOptions) {
    const {
      key,
      numHeads,
      std,
      dtype = 'f32',
      allowNegativeEigenvalues = false,
      outputGate = true,
    } = options;
    const { decayRange = [1, 16], stepRange = [0.001, 0.1] } = options;
    const kind = { name: 'GatedDeltaNet', expandK: 0.75, expandV: 1.5, convSize: 4 };
    super(dim, options, { ...kind, outputNorm: true, outputGate });
    for (const [name, [from, to]] of Object.entries({ decayRange, stepRange }))
      if (!(from > 0 && to >= from && to < Infinity))
        throw new ValueError(kind.name, `${name} must be two numbers > 0 in order, got [${from}, ${to}]`);
    const [b, a, rates, steps] = key.foldIn(1).split(4) as [Key, Key, Key, Key];
    const linear = (own: Key): Linear =>
      new Linear(dim, numHeads, { key: own, bias: false, dtype, ...(std !== undefined && { std }) });
    this.allowNegativeEigenvalues = allowNegativeEigenvalues;
    this.bProj = linear(b);
    this.aProj = linear(a);
    const between = (own: Key, [min, max]: readonly [number, number]): Tensor =>
      own.uniform([numHeads], { min, max, dtype: 'f64' });
    const dt = between(steps, stepRange.map(Math.log) as [number, number]).exp();
    this.aLog = new Parameter(between(rates, decayRange).log().cast(dtype));
    // What softplus makes dt of.
    this.dtBias = new Parameter(dt.expm1().log().cast(dtype));
  }

  protected mix(x: Tensor, heads: Heads, options: RecurrenceOptions): RecurrenceOutput {
    const { q, k, v } = activated(this, heads);
    const beta = strengths(x, this.bProj, this.allowNegativeEigenvalues);
    const steps = this.aProj.forward(x).add(this.dtBias).softplus();
    const logGates = perHead(steps.mul(this.aLog.exp().neg()));
    return gatedDeltaRule(unitLength(q), unitLength(k), v, beta, logGates, options);
  }
}
