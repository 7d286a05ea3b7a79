/** Normalisation over the last axis. */
import { ones, ShapeError, zeros, type FloatDType, type Tensor } from '@infinigrad/tensor';
import { checkEps, checkSizes } from '../init.ts';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';

function checkLast(layer: string, x: Tensor, weight: Parameter): void {
  if (x.shape.at(-1) !== weight.size)
    throw new ShapeError(layer, `the last axis must have size ${weight.size}`, { operands: [x, weight] });
}

/** x / √(mean x² + eps) · weight (arXiv 1910.07467, eq. 4). */
export class RMSNorm extends Module {
  readonly eps: number;
  /** [dim], ones to start with. */
  readonly weight: Parameter;

  constructor(
    dim: number,
    { eps = 1e-6, dtype = 'f32' }: { readonly eps?: number; readonly dtype?: FloatDType } = {},
  ) {
    super();
    checkSizes('RMSNorm', { dim });
    checkEps('RMSNorm', eps);
    this.eps = eps;
    this.weight = new Parameter(ones([dim], { dtype }));
  }

  /**
   * [..., dim] → [..., dim].
   * @throws ShapeError where the last axis is not of size dim
   */
  forward(x: Tensor): Tensor {
    checkLast('RMSNorm', x, this.weight);
    return x.rmsNorm(this.weight, this.eps);
  }
}

export interface LayerNormOptions {
  /** Default 1e-5. */
  readonly eps?: number;
  /** Default true. */
  readonly bias?: boolean;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** (x - mean) / √(variance + eps) · weight + bias, with the variance of the population (arXiv 1607.06450). */
export class LayerNorm extends Module {
  readonly eps: number;
  /** [dim], ones to start with. */
  readonly weight: Parameter;
  /** [dim], zeros to start with. */
  readonly bias: Parameter | null;

  constructor(dim: number, { eps = 1e-5, bias = true, dtype = 'f32' }: LayerNormOptions = {}) {
    super();
    checkSizes('LayerNorm', { dim });
    checkEps('LayerNorm', eps);
    this.eps = eps;
    this.weight = new Parameter(ones([dim], { dtype }));
    this.bias = bias ? new Parameter(zeros([dim], { dtype })) : null;
  }

  /**
   * [..., dim] → [..., dim].
   * @throws ShapeError where the last axis is not of size dim
   */
  forward(x: Tensor): Tensor {
    checkLast('LayerNorm', x, this.weight);
    return x.layerNorm(this.weight, this.bias, this.eps);
  }
}
