/** The gated feed-forward layer of LLaMA and its kin. */
import type { FloatDType, Key, Tensor } from '@infinigrad/tensor';
import type { InitStd } from '../init.ts';
import { Linear } from './linear.ts';
import { Module } from '../module.ts';

export interface SwiGLUOptions {
  /** Decides the initial weights. */
  readonly key: Key;
  /** As in `Linear`, for all three layers. */
  readonly std?: InitStd;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** down(silu(gate x) · up x), without biases (arXiv 2002.05202, eq. 6). */
export class SwiGLU extends Module {
  readonly gateProj: Linear;
  readonly upProj: Linear;
  readonly downProj: Linear;

  constructor(dim: number, hiddenDim: number, { key, std, dtype = 'f32' }: SwiGLUOptions) {
    super();
    const [gate, up, down] = key.split(3) as [Key, Key, Key];
    const options = { bias: false, dtype, ...(std !== undefined && { std }) };
    this.gateProj = new Linear(dim, hiddenDim, { key: gate, ...options });
    this.upProj = new Linear(dim, hiddenDim, { key: up, ...options });
    this.downProj = new Linear(hiddenDim, dim, { key: down, ...options });
  }

  /** [..., dim] → [..., dim]. */
  forward(x: Tensor): Tensor {
    return this.downProj.forward(this.gateProj.forward(x).siluMul(this.upProj.forward(x)));
  }
}
