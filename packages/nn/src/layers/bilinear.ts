/** Products of two inputs with a learnt form. */
import { ShapeError, sizeOf, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import { checkSizes, initialWeight } from '../init.ts';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';

export interface BilinearOptions {
  /** Decides the initial weights, uniform within ±1/√in1Features as in PyTorch. */
  readonly key: Key;
  /** Default true. */
  readonly bias?: boolean;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** y_k = x₁ᵀ W_k x₂ + b_k over the last axes. */
export class Bilinear extends Module {
  readonly in1Features: number;
  readonly in2Features: number;
  readonly outFeatures: number;
  /** [outFeatures, in1Features, in2Features]. */
  readonly weight: Parameter;
  /** [outFeatures]. */
  readonly bias: Parameter | null;

  constructor(
    in1Features: number,
    in2Features: number,
    outFeatures: number,
    { key, bias = true, dtype = 'f32' }: BilinearOptions,
  ) {
    super();
    checkSizes('Bilinear', { in1Features, in2Features, outFeatures });
    const [weightKey, biasKey] = key.split(2) as [Key, Key];
    const draw = (k: Key, shape: readonly number[]): Parameter =>
      new Parameter(initialWeight(k, shape, in1Features, undefined, dtype));
    this.in1Features = in1Features;
    this.in2Features = in2Features;
    this.outFeatures = outFeatures;
    this.weight = draw(weightKey, [outFeatures, in1Features, in2Features]);
    this.bias = bias ? draw(biasKey, [outFeatures]) : null;
  }

  /**
   * [..., in1Features] and [..., in2Features] → [..., outFeatures].
   * @throws ShapeError where the last axes have other sizes, or the others differ
   */
  forward(x1: Tensor, x2: Tensor): Tensor {
    const { in1Features, in2Features, outFeatures, weight, bias } = this;
    if (x1.shape.at(-1) !== in1Features || x2.shape.at(-1) !== in2Features)
      throw new ShapeError('Bilinear', `the last axes must have sizes ${in1Features} and ${in2Features}`, {
        operands: [x1, x2],
      });
    const lead = x1.shape.slice(0, -1);
    if (lead.length !== x2.rank - 1 || lead.some((n, i) => n !== x2.shape[i]))
      throw new ShapeError('Bilinear', 'all axes but the last must agree', { operands: [x1, x2] });
    const rows = sizeOf(lead);
    // x₁ against all forms at once, then against x₂.
    const forms = weight.permute([1, 0, 2]).reshape([in1Features, outFeatures * in2Features]);
    const halfway = x1.reshape([rows, in1Features]).matmul(forms).reshape([rows, outFeatures, in2Features]);
    const y = halfway.matmul(x2.reshape([rows, in2Features, 1])).reshape([rows, outFeatures]);
    return (bias ? y.add(bias) : y).reshape([...lead, outFeatures]);
  }
}
