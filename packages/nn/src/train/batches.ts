/** The batches of a run, one group of parts after the other, epoch after epoch. */
import { ValueError, type Key } from '@infinigrad/tensor';
import { fieldsOf } from '../data/cursor.ts';
import { isDataSource, type DataSource, type Json } from '../data/source.ts';

/** Makes the batch of a step from its number and key alone. */
export type BatchMaker<B> = (step: number, key: Key | undefined) => B | Promise<B>;

export class Batches<B> {
  readonly #data: DataSource<B> | BatchMaker<B>;
  readonly #accumulate: number;
  #iterator: AsyncIterator<B> | null = null;
  /** True where the epoch ended with parts still to be used. */
  #ended = false;

  constructor(data: DataSource<B> | BatchMaker<B>, accumulate: number) {
    if (typeof data !== 'function' && !isDataSource<B>(data))
      throw new ValueError('Trainer', 'data must be a source with a cursor, or a function of the step', {
        hint: 'a DataLoader, say; sourceOf makes one of an array',
      });
    this.#data = data;
    this.#accumulate = accumulate;
  }

  /** The next parts; fewer than asked for where the epoch ends, null where it has ended. The next call begins another. */
  async next(step: number, key: Key | undefined): Promise<readonly B[] | null> {
    const parts: B[] = [];
    if (typeof this.#data === 'function') {
      for (let i = 0; i < this.#accumulate; i++)
        parts.push(await this.#data(step, this.#accumulate === 1 ? key : key?.foldIn(i)));
      return parts;
    }
    if (this.#ended) {
      this.#ended = false;
      return null;
    }
    this.#iterator ??= this.#data[Symbol.asyncIterator]();
    while (parts.length < this.#accumulate) {
      const { value, done } = await this.#iterator.next();
      if (done) {
        this.#iterator = null;
        this.#ended = parts.length > 0;
        break;
      }
      parts.push(value);
    }
    return parts.length > 0 ? parts : null;
  }

  /** Lets the iteration go; the cursor stays. */
  async leave(): Promise<void> {
    const iterator = this.#iterator;
    this.#iterator = null;
    await iterator?.return?.();
  }

  state(): Json {
    return typeof this.#data === 'function' ? null : { source: this.#data.state(), ended: this.#ended };
  }

  load(state: Json): void {
    if (typeof this.#data === 'function') return;
    const { source, ended } = fieldsOf('Trainer.load', state);
    this.#data.load(source ?? null);
    this.#ended = ended === true;
    this.#iterator = null;
  }
}
