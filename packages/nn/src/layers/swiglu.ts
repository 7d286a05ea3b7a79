/** The gated feed-forward layer of LLaMA and its kin. */
import { GatedMLP, type GatedMLPOptions } from './mlp.ts';

export type SwiGLUOptions = Omit<GatedMLPOptions, 'activation'>;

/** down(silu(gate x) · up x), without biases unless told (arXiv 2002.05202, eq. 6). */
export class SwiGLU extends GatedMLP {
  constructor(dim: number, hiddenDim: number, options: SwiGLUOptions) {
    super(dim, hiddenDim, { ...options, activation: 'silu' });
  }
}
