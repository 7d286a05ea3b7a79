/** Normalisation of channels over a batch (arXiv 1502.03167). */
import { ShapeError, type Tensor } from '@infinigrad/tensor';
import { placeAxes } from './channels.ts';
import { TrackedNorm, type TrackedNormOptions } from './tracked-norm.ts';

export type BatchNormOptions = TrackedNormOptions;

abstract class BatchNorm extends TrackedNorm {
  /** The numbers of axes that it takes. */
  readonly ranks: readonly number[];

  constructor(kind: string, ranks: readonly number[], numFeatures: number, options: TrackedNormOptions) {
    super(kind, numFeatures, { affine: true, trackRunningStats: true, ...options });
    this.ranks = ranks;
  }

  /**
   * [batch, numFeatures, …] → the same. In training the statistics are those of the batch, and go into the running ones.
   * @throws ShapeError for another number of channels or axes, and in training for a single value per channel
   */
  forward(x: Tensor): Tensor {
    if (!this.ranks.includes(x.rank))
      throw new ShapeError(this.kind, `needs ${this.ranks.join(' or ')} axes, [batch, channels, …]`, {
        operands: [x],
      });
    return this.normalized(x, [0, ...placeAxes(x)]);
  }
}

/** (x - mean) / √(variance + eps) · weight + bias for each channel of a batch [batch, channels] or [batch, channels, length]. */
export class BatchNorm1d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super('BatchNorm1d', [2, 3], numFeatures, options);
  }
}

/** As `BatchNorm1d`, for [batch, channels, height, width]. */
export class BatchNorm2d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super('BatchNorm2d', [4], numFeatures, options);
  }
}

/** As `BatchNorm1d`, for [batch, channels, depth, height, width]. */
export class BatchNorm3d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super('BatchNorm3d', [5], numFeatures, options);
  }
}
