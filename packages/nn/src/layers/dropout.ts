/** Dropout. */
import { ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import { Module } from '../module.ts';

/** In training each element is zero with probability p, and the others are scaled by 1/(1 - p); in evaluation nothing happens. */
export class Dropout extends Module {
  readonly p: number;

  constructor(p: number) {
    super();
    if (!(p >= 0 && p <= 1)) throw new ValueError('Dropout', `the probability must lie in [0, 1], got ${p}`);
    this.p = p;
  }

  /**
   * @param key decides which elements go; a fresh one for every call
   * @throws ValueError where there is no key in training with p > 0
   */
  forward(x: Tensor, key?: Key): Tensor {
    const { p } = this;
    if (!this.training || p === 0) return x;
    if (!key)
      throw new ValueError('Dropout', 'needs a key in training', {
        operands: [x],
        hint: 'pass forward(x, key), or call eval()',
      });
    const kept = key.bernoulli(1 - p, x.shape);
    return kept.where(p === 1 ? x : x.mul(1 / (1 - p)), 0);
  }
}
