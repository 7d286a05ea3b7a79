/** Affine maps. */
import { ShapeError, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';

export interface LinearOptions {
  /** Decides the initial weights. */
  readonly key: Key;
  /** Default true. */
  readonly bias?: boolean;
  /** Draw weights from a normal distribution of this standard deviation, with zero bias. Default: uniform in ±1/√inFeatures, as PyTorch. */
  readonly std?: number;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** y = x Wᵀ + b: [..., inFeatures] → [..., outFeatures]. */
export class Linear extends Module {
  /** [outFeatures, inFeatures]. */
  readonly weight: Parameter;
  /** [outFeatures]. */
  readonly bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, { key, bias = true, std, dtype = 'f32' }: LinearOptions) {
    super();
    const [weightKey, biasKey] = key.split(2) as [Key, Key];
    const bound = 1 / Math.sqrt(inFeatures);
    const draw = (k: Key, shape: readonly number[], spread: number | undefined): Tensor =>
      spread === undefined ? k.uniform(shape, { min: -bound, max: bound, dtype }) : k.normal(shape, { std: spread, dtype });
    this.weight = new Parameter(draw(weightKey, [outFeatures, inFeatures], std));
    this.bias = bias ? new Parameter(draw(biasKey, [outFeatures], std === undefined ? undefined : 0)) : null;
  }

  forward(x: Tensor): Tensor {
    const [outFeatures, inFeatures] = this.weight.shape as readonly [number, number];
    if (x.rank === 0 || x.shape.at(-1) !== inFeatures)
      throw new ShapeError('Linear', `the last axis must have size ${inFeatures}`, { operands: [x, this.weight] });
    // One product of two matrices, whatever the leading axes
    const rows = x.reshape([-1, inFeatures]).matmul(this.weight.transpose());
    return (this.bias ? rows.add(this.bias) : rows).reshape([...x.shape.slice(0, -1), outFeatures]);
  }
}
