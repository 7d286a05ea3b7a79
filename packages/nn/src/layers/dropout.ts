/** Dropout in its forms: of elements, channels, whole examples; and the one that keeps mean and variance. */
import { ShapeError, ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import { Module } from '../module.ts';

/** What the forms share: a probability, a key in training, nothing in evaluation. */
abstract class Dropping extends Module {
  readonly takesKey = true as const;
  readonly p: number;

  constructor(layer: string, p: number) {
    super();
    if (!(p >= 0 && p <= 1)) throw new ValueError(layer, `the probability must lie in [0, 1], got ${p}`);
    this.p = p;
  }

  /** The key where something is to be dropped, else null. @throws ValueError where there is none in training with p > 0 */
  protected keyFor(layer: string, x: Tensor, key: Key | undefined): Key | null {
    if (!this.training || this.p === 0) return null;
    if (key) return key;
    throw new ValueError(layer, 'needs a key in training', {
      operands: [x],
      hint: 'pass forward(x, key), or call eval()',
    });
  }

  /**
   * x where what a key draws is kept, scaled by 1/(1 - p), else 0.
   * @param axes so many of the first are drawn over; elements that differ in others alone share a draw
   */
  protected drop(layer: string, x: Tensor, key: Key | undefined, axes: number): Tensor {
    const own = this.keyFor(layer, x, key);
    if (!own) return x;
    const { p } = this;
    const shape = x.shape.map((n, i) => (i < axes ? n : 1));
    return own.bernoulli(1 - p, shape).where(p === 1 ? x : x.mul(1 / (1 - p)), 0);
  }
}

/** In training each element is zero with probability p, and the others are scaled by 1/(1 - p); in evaluation nothing happens. */
export class Dropout extends Dropping {
  constructor(p: number) {
    super('Dropout', p);
  }

  /**
   * @param key decides which elements go; a fresh one for every call
   * @throws ValueError where there is no key in training with p > 0
   */
  forward(x: Tensor, key?: Key): Tensor {
    return this.drop('Dropout', x, key, x.rank);
  }
}

/** As `Dropout`, for whole channels of x [batch, channels, …] (arXiv 1411.4280): PyTorch's Dropout1d, 2d and 3d. */
export class ChannelDropout extends Dropping {
  constructor(p: number) {
    super('ChannelDropout', p);
  }

  /**
   * @param x [batch, channels, …]
   * @param key decides which channels go
   * @throws ShapeError for fewer than two axes; ValueError where there is no key in training with p > 0
   */
  forward(x: Tensor, key?: Key): Tensor {
    if (x.rank < 2) throw new ShapeError('ChannelDropout', 'needs [batch, channels, …]', { operands: [x] });
    return this.drop('ChannelDropout', x, key, 2);
  }
}

/** In training each example (along the first axis) is zero with probability p, the others are scaled: stochastic depth (arXiv 1603.09382). */
export class DropPath extends Dropping {
  constructor(p: number) {
    super('DropPath', p);
  }

  /**
   * @param x [batch, …]
   * @param key decides which examples go
   * @throws ShapeError for a scalar; ValueError where there is no key in training with p > 0
   */
  forward(x: Tensor, key?: Key): Tensor {
    if (x.rank < 1) throw new ShapeError('DropPath', 'needs [batch, …]', { operands: [x] });
    return this.drop('DropPath', x, key, 1);
  }
}

/** -λα of SELU: where it goes far below 0. */
const saturated = -1.0507009873554805 * 1.6732632423543772;

/**
 * In training elements go to where SELU saturates, with probability p; scaled and shifted so that a mean of 0 and a variance of 1 stay
 * so (arXiv 1706.02515, section 3).
 */
export class AlphaDropout extends Dropping {
  constructor(p: number) {
    super('AlphaDropout', p);
  }

  /** @throws ValueError where there is no key in training with p > 0 */
  forward(x: Tensor, key?: Key): Tensor {
    const own = this.keyFor('AlphaDropout', x, key);
    if (!own) return x;
    const { p } = this;
    if (p === 1) return x.mul(0);
    // a x + b, with a = (1 - p + p(1 - p)α'²)^-½ and b = -a p α', where α' takes the place of what is dropped.
    const a = 1 / Math.sqrt((1 - p) * (1 + p * saturated ** 2));
    return own
      .bernoulli(1 - p, x.shape)
      .where(x, saturated)
      .mul(a)
      .add(-a * p * saturated);
  }
}
