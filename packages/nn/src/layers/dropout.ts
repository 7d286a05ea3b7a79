/** Dropout. */
import { ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import { Module } from '../module.ts';

/** In training each element is zeroed with probability p and the rest divided by 1 - p; in evaluation nothing happens. */
export class Dropout extends Module {
  readonly p: number;

  constructor(p: number) {
    super();
    if (!(p >= 0 && p < 1)) throw new ValueError('Dropout', `p must lie in [0, 1), got ${p}`);
    this.p = p;
  }

  /** @param key decides what is dropped; needed in training unless p is 0 */
  forward(x: Tensor, key?: Key): Tensor {
    if (!this.training || this.p === 0) return x;
    if (!key) throw new ValueError('Dropout', 'needs a key in training', { hint: 'pass one, or call eval()' });
    return key.bernoulli(1 - this.p, x.shape).where(x.div(1 - this.p), 0);
  }
}
