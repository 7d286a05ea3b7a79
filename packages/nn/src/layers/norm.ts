/** Normalisation over the last axis. */
import { ones, ShapeError, zeros, type FloatDType, type Tensor } from '@infinigrad/tensor';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';

function checkDim(layer: string, x: Tensor, weight: Tensor): void {
  if (x.rank === 0 || x.shape.at(-1) !== weight.size)
    throw new ShapeError(layer, `the last axis must have size ${weight.size}`, { operands: [x, weight] });
}

/** x / √(mean x² + eps) · weight (Zhang and Sennrich, arXiv 1910.07467). */
export class RMSNorm extends Module {
  /** [dim], ones at first. */
  readonly weight: Parameter;
  readonly eps: number;

  /** @param options.eps default 1e-6 */
  constructor(dim: number, { eps = 1e-6, dtype = 'f32' }: { readonly eps?: number; readonly dtype?: FloatDType } = {}) {
    super();
    this.weight = new Parameter(ones([dim], { dtype }));
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    checkDim('RMSNorm', x, this.weight);
    return x.mul(x.square().mean(-1, true).add(this.eps).rsqrt()).mul(this.weight);
  }
}

/** (x - mean) / √(variance + eps) · weight + bias, with the population variance (Ba et al., arXiv 1607.06450). */
export class LayerNorm extends Module {
  /** [dim], ones at first. */
  readonly weight: Parameter;
  /** [dim], zeros at first. */
  readonly bias: Parameter | null;
  readonly eps: number;

  /** @param options.eps default 1e-5 */
  constructor(
    dim: number,
    { eps = 1e-5, bias = true, dtype = 'f32' }: { readonly eps?: number; readonly bias?: boolean; readonly dtype?: FloatDType } = {},
  ) {
    super();
    this.weight = new Parameter(ones([dim], { dtype }));
    this.bias = bias ? new Parameter(zeros([dim], { dtype })) : null;
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    checkDim('LayerNorm', x, this.weight);
    const centred = x.sub(x.mean(-1, true));
    const scaled = centred.mul(centred.square().mean(-1, true).add(this.eps).rsqrt()).mul(this.weight);
    return this.bias ? scaled.add(this.bias) : scaled;
  }
}
