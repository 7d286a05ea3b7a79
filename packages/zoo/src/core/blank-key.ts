/** Keys that draw nothing, for models whose weights are about to be loaded. */
import { Key, sizeOf, ValueError, zeros, type FloatDType, type Shape, type Tensor } from '@infinigrad/tensor';

/**
 * A key whose numbers are all 0: a model is made at once, without drawing weights that nobody sees. It counts what it is asked for,
 * and refuses more than the budget before memory is taken.
 */
export class BlankKey extends Key {
  readonly #budget: number;
  #asked = 0;

  /** @param budget most numbers, of all that is made with this key */
  constructor(budget = Infinity) {
    super(0);
    this.#budget = budget;
  }

  override foldIn(_: number): this {
    return this;
  }

  override split(count = 2): this[] {
    return new Array<this>(count).fill(this);
  }

  override uniform(shape: Shape, options: { dtype?: FloatDType } = {}): never {
    return this.#blank(shape, options) as never;
  }

  override normal(shape: Shape, options: { dtype?: FloatDType } = {}): never {
    return this.#blank(shape, options) as never;
  }

  #blank(shape: Shape, { dtype = 'f32' }: { dtype?: FloatDType }): Tensor {
    this.#asked += sizeOf(shape);
    if (this.#asked > this.#budget)
      throw new ValueError('BlankKey', `the model has more than ${this.#budget} numbers`);
    return zeros(shape, { dtype });
  }
}
