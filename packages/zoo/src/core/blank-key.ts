/** Keys that draw nothing, for models whose weights are about to be loaded. */
import { Key, sizeOf, ValueError, zeros, type FloatDType, type Shape, type Tensor } from '@infinigrad/tensor';

/**
 * A key whose numbers are all 0: a model is made at once, without drawing weights that nobody sees. It counts what it is asked for,
 * and refuses more than the budget before memory is taken. Tensors of one size share their memory: a parameter is given its own with
 * its first values.
 */
export class BlankKey extends Key {
  readonly #budget: number;
  readonly #shared = new Map<string, Tensor>();
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
    const size = sizeOf(shape);
    this.#asked += size;
    if (this.#asked > this.#budget)
      throw new ValueError('BlankKey', `the model has more than ${this.#budget} numbers`);
    const kind = `${dtype} ${size}`;
    let blank = this.#shared.get(kind);
    // A scope that has ended may have taken it along.
    if (!blank || blank.storage.disposed) this.#shared.set(kind, (blank = zeros([size], { dtype }).clone()));
    return blank.reshape(shape);
  }
}
