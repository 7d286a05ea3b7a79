/** Normalisation of each channel of each example (arXiv 1607.08022). */
import { ShapeError, type Tensor } from '@infinigrad/tensor';
import { placeAxes } from './channels.ts';
import { TrackedNorm, type TrackedNormOptions } from './tracked-norm.ts';

export type InstanceNormOptions = TrackedNormOptions;

abstract class InstanceNorm extends TrackedNorm {
  readonly axes: number;

  constructor(kind: string, axes: number, numFeatures: number, options: TrackedNormOptions) {
    super(kind, numFeatures, { affine: false, trackRunningStats: false, ...options });
    this.axes = axes;
  }

  /**
   * [batch, numFeatures, …] or [numFeatures, …] → the same.
   * @throws ShapeError for another number of channels or axes, and in training for a single place
   */
  forward(x: Tensor): Tensor {
    const { axes, kind } = this;
    if (x.rank === axes + 1) return this.forward(x.unsqueeze(0)).squeeze(0);
    if (x.rank !== axes + 2)
      throw new ShapeError(kind, `needs ${axes + 1} or ${axes + 2} axes, [batch, channels, …]`, {
        operands: [x],
      });
    return this.normalized(x, placeAxes(x));
  }
}

/** (x - mean) / √(variance + eps) over the places of each channel of each example: [batch, channels, length]. */
export class InstanceNorm1d extends InstanceNorm {
  constructor(numFeatures: number, options: InstanceNormOptions = {}) {
    super('InstanceNorm1d', 1, numFeatures, options);
  }
}

/** As `InstanceNorm1d`, for [batch, channels, height, width]. */
export class InstanceNorm2d extends InstanceNorm {
  constructor(numFeatures: number, options: InstanceNormOptions = {}) {
    super('InstanceNorm2d', 2, numFeatures, options);
  }
}

/** As `InstanceNorm1d`, for [batch, channels, depth, height, width]. */
export class InstanceNorm3d extends InstanceNorm {
  constructor(numFeatures: number, options: InstanceNormOptions = {}) {
    super('InstanceNorm3d', 3, numFeatures, options);
  }
}
