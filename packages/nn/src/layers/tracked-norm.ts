/** Normalisation by statistics of each channel that may be kept for evaluation. */
import { noGrad } from '@infinigrad/autograd';
import { full, ones, ShapeError, ValueError, zeros, type FloatDType, type Tensor } from '@infinigrad/tensor';
import { checkEps, checkSizes } from '../init.ts';
import { Module } from '../module.ts';
import { ModuleBuffer, Parameter } from '../parameter.ts';
import { updateBuffer } from '../tree.ts';
import { alongChannels, castTo, checkChannels, momentsOf, scaleAndShift, widened } from './channels.ts';

export interface TrackedNormOptions {
  /** Default 1e-5. */
  readonly eps?: number;
  /** Share of the new in running statistics; null: their plain mean over all batches so far. Default 0.1. */
  readonly momentum?: number | null;
  /** Whether there are a weight and a bias for each channel. Default true for `BatchNorm`, false for `InstanceNorm`. */
  readonly affine?: boolean;
  /** Whether running statistics are kept, and used in evaluation. Default true for `BatchNorm`, false for `InstanceNorm`. */
  readonly trackRunningStats?: boolean;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** Parameters and running statistics, each with an entry for each channel. */
export abstract class TrackedNorm extends Module {
  /** What errors call it. */
  readonly kind: string;
  readonly numFeatures: number;
  readonly eps: number;
  readonly momentum: number | null;
  /** [numFeatures], ones to start with. */
  readonly weight: Parameter | null;
  /** [numFeatures], zeros to start with. */
  readonly bias: Parameter | null;
  /** [numFeatures], zeros to start with. */
  readonly runningMean: ModuleBuffer | null;
  /** [numFeatures], ones to start with; divided by n - 1, as in PyTorch. */
  readonly runningVar: ModuleBuffer | null;
  /** i32: how many batches training has seen. */
  readonly numBatchesTracked: ModuleBuffer | null;

  constructor(kind: string, numFeatures: number, options: TrackedNormOptions) {
    super();
    const { eps = 1e-5, momentum = 0.1, affine, trackRunningStats, dtype = 'f32' } = options;
    checkSizes(kind, { numFeatures });
    checkEps(kind, eps);
    if (momentum !== null && !(momentum >= 0 && momentum <= 1))
      throw new ValueError(kind, `momentum must lie in [0, 1] or be null, got ${momentum}`);
    const shape = [numFeatures];
    this.kind = kind;
    this.numFeatures = numFeatures;
    this.eps = eps;
    this.momentum = momentum;
    this.weight = affine ? new Parameter(ones(shape, { dtype })) : null;
    this.bias = affine ? new Parameter(zeros(shape, { dtype })) : null;
    this.runningMean = trackRunningStats ? new ModuleBuffer(zeros(shape, { dtype })) : null;
    this.runningVar = trackRunningStats ? new ModuleBuffer(ones(shape, { dtype })) : null;
    this.numBatchesTracked = trackRunningStats ? new ModuleBuffer(full([], 0, { dtype: 'i32' })) : null;
  }

  /** The running statistics become what they were at the start. */
  resetRunningStats(): void {
    const { runningMean, runningVar, numBatchesTracked } = this;
    if (!runningMean || !runningVar || !numBatchesTracked) return;
    const { dtype, backend, shape } = runningMean;
    runningMean.assign(zeros(shape, { dtype, backend }));
    runningVar.assign(ones(shape, { dtype, backend }));
    numBatchesTracked.assign(full([], 0, { dtype: 'i32', backend }));
  }

  /** x [batch, channels, …] normalised over some axes, or in evaluation by the running statistics where there are any. */
  protected normalized(x: Tensor, axes: readonly number[]): Tensor {
    const { kind, training, runningMean, runningVar, eps, weight, bias } = this;
    checkChannels(kind, x, this.numFeatures);
    const wide = widened(x);
    let y: Tensor;
    if (!training && runningMean && runningVar) {
      const scale = alongChannels(widened(runningVar), x.rank).add(eps).rsqrt();
      y = wide.sub(alongChannels(runningMean, x.rank)).mul(scale);
    } else {
      const places = axes.reduce((n, axis) => n * x.shape[axis]!, 1);
      if (training && places < 2)
        throw new ShapeError(kind, 'needs more than one value for each mean in training', { operands: [x] });
      const { mean, variance, centred } = momentsOf(wide, axes);
      if (training && runningMean) this.track(mean, variance, places / (places - 1));
      y = centred.mul(variance.add(eps).rsqrt());
    }
    return castTo(scaleAndShift(y, weight, bias), x.dtype);
  }

  /** Takes statistics [batch or 1, channels, 1, …] into the running ones. Nothing is read: it may all lie on a GPU. */
  private track(mean: Tensor, variance: Tensor, correction: number): void {
    noGrad(() => {
      const seen = this.numBatchesTracked!.add(1);
      updateBuffer(this.kind, this, 'numBatchesTracked', seen);
      const others = Array.from({ length: mean.rank }, (_, i) => i).filter((i) => i !== 1);
      const take = (name: 'runningMean' | 'runningVar', now: Tensor): void => {
        const buffer = this[name]!;
        const before = widened(buffer);
        const share = this.momentum ?? seen.cast(before.dtype).reciprocal();
        const step = castTo(now.detach().mean(others), before.dtype).sub(before).mul(share);
        updateBuffer(this.kind, this, name, castTo(before.add(step), buffer.dtype));
      };
      take('runningMean', mean);
      take('runningVar', variance.mul(correction));
    });
  }
}
