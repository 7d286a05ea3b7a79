/** The gated feed-forward layer of LLaMA. */
import type { FloatDType, Key, Tensor } from '@infinigrad/tensor';
import { Module } from '../module.ts';
import { Linear } from './linear.ts';

export interface SwiGLUOptions {
  readonly key: Key;
  /** Standard deviation of the weights, given the number of inputs. Default: PyTorch's uniform initialisation. */
  readonly std?: (fanIn: number) => number;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** down(silu(gate(x)) · up(x)), without biases (Shazeer, arXiv 2002.05202, eq. 6). */
export class SwiGLU extends Module {
  readonly gateProj: Linear;
  readonly upProj: Linear;
  readonly downProj: Linear;

  constructor(dim: number, hiddenDim: number, { key, std, dtype = 'f32' }: SwiGLUOptions) {
    super();
    const keys = key.split(3) as [Key, Key, Key];
    const linear = (inputs: number, outputs: number, k: Key): Linear =>
      new Linear(inputs, outputs, { key: k, bias: false, dtype, ...(std && { std: std(inputs) }) });
    this.gateProj = linear(dim, hiddenDim, keys[0]);
    this.upProj = linear(dim, hiddenDim, keys[1]);
    this.downProj = linear(hiddenDim, dim, keys[2]);
  }

  forward(x: Tensor): Tensor {
    return this.downProj.forward(this.gateProj.forward(x).silu().mul(this.upProj.forward(x)));
  }
}
