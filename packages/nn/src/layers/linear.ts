/** Linear layers. */
import { ShapeError, zeros, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import { checkSizes, initialWeight, type InitStd } from '../init.ts';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';

export interface LinearOptions {
  /** Decides the initial weights. */
  readonly key: Key;
  /** Default true. */
  readonly bias?: boolean;
  /** Weights start normal with this standard deviation and the bias at 0. Default: both uniform within ±1/√inFeatures. */
  readonly std?: InitStd;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** y = x Wᵀ + b over the last axis. */
export class Linear extends Module {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** [outFeatures, inFeatures]. */
  readonly weight: Parameter;
  /** [outFeatures]. */
  readonly bias: Parameter | null;

  constructor(
    inFeatures: number,
    outFeatures: number,
    { key, bias = true, std, dtype = 'f32' }: LinearOptions,
  ) {
    super();
    checkSizes('Linear', { inFeatures, outFeatures });
    const [weightKey, biasKey] = key.split(2) as [Key, Key];
    const biasShape = [outFeatures];
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.weight = new Parameter(initialWeight(weightKey, [outFeatures, inFeatures], inFeatures, std, dtype));
    const initialBias = (): Tensor =>
      std === undefined
        ? initialWeight(biasKey, biasShape, inFeatures, undefined, dtype)
        : zeros(biasShape, { dtype });
    this.bias = bias ? new Parameter(initialBias()) : null;
  }

  /**
   * [..., inFeatures] → [..., outFeatures].
   * @throws ShapeError where the last axis is not of size inFeatures
   */
  forward(x: Tensor): Tensor {
    if (x.shape.at(-1) !== this.inFeatures)
      throw new ShapeError('Linear', `the last axis must have size ${this.inFeatures}`, {
        operands: [x, this.weight],
      });
    return x.linear(this.weight, this.bias);
  }
}
