/** Normalisation of each example by itself, over groups of channels. */
import { ones, sizeOf, ValueError, zeros, type FloatDType, type Tensor } from '@infinigrad/tensor';
import { checkEps, checkSizes } from '../init.ts';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';
import { castTo, checkChannels, momentsOf, scaleAndShift, widened } from './channels.ts';

export interface GroupNormOptions {
  /** Default 1e-5. */
  readonly eps?: number;
  /** Whether there are a weight and a bias for each channel. Default true. */
  readonly affine?: boolean;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** (x - mean) / √(variance + eps) · weight + bias, over the channels of a group and all places (arXiv 1803.08494). */
export class GroupNorm extends Module {
  readonly numGroups: number;
  readonly numChannels: number;
  readonly eps: number;
  /** [numChannels], ones to start with. */
  readonly weight: Parameter | null;
  /** [numChannels], zeros to start with. */
  readonly bias: Parameter | null;

  /** @throws ValueError where the channels do not part into so many groups */
  constructor(
    numGroups: number,
    numChannels: number,
    { eps = 1e-5, affine = true, dtype = 'f32' }: GroupNormOptions = {},
  ) {
    super();
    checkSizes('GroupNorm', { numGroups, numChannels });
    checkEps('GroupNorm', eps);
    if (numChannels % numGroups !== 0)
      throw new ValueError('GroupNorm', `${numChannels} channels do not part into ${numGroups} groups`);
    this.numGroups = numGroups;
    this.numChannels = numChannels;
    this.eps = eps;
    this.weight = affine ? new Parameter(ones([numChannels], { dtype })) : null;
    this.bias = affine ? new Parameter(zeros([numChannels], { dtype })) : null;
  }

  /**
   * [batch, numChannels, …] → the same.
   * @throws ShapeError for another number of channels
   */
  forward(x: Tensor): Tensor {
    const { numGroups, numChannels, eps, weight, bias } = this;
    checkChannels('GroupNorm', x, numChannels);
    const wide = widened(x);
    const lines = wide.reshape([x.shape[0]! * numGroups, sizeOf(x.shape.slice(1)) / numGroups]);
    const { centred, variance } = momentsOf(lines, [1]);
    const y = centred.mul(variance.add(eps).rsqrt()).reshape(x.shape);
    return castTo(scaleAndShift(y, weight, bias), x.dtype);
  }
}
