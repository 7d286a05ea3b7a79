/** A source whose items each get a key of their own, which the cursor remembers. */
import type { DataSource, Json } from '@infinigrad/nn';
import { ValueError, type Key } from '@infinigrad/tensor';

/**
 * Each item through a function of the item and a key: another key for every item and every epoch, the same after a resume.
 * What masks or corrupts dynamically stands behind this.
 */
export function keyed<T, U>(
  source: DataSource<T>,
  key: Key,
  make: (item: T, key: Key) => U | Promise<U>,
): DataSource<U> {
  const op = 'keyed.load';
  let epoch = 0;
  let item = 0;
  return {
    async *[Symbol.asyncIterator]() {
      for await (const given of source) {
        const made = await make(given, key.foldIn(epoch).foldIn(item));
        item++;
        yield made;
      }
      epoch++;
      item = 0;
    },
    state: () => ({ source: source.state(), epoch, item, key: key.words }),
    load: (state) => {
      const fields = typeof state === 'object' && state !== null && !Array.isArray(state) ? state : {};
      const of = (name: string): Json => (fields as Record<string, Json | undefined>)[name] ?? null;
      if (JSON.stringify(of('key')) !== JSON.stringify(key.words))
        throw new ValueError(op, `the cursor belongs to another key: ${JSON.stringify(of('key'))}`);
      const [e, i] = [of('epoch'), of('item')];
      for (const count of [e, i])
        if (!Number.isInteger(count) || (count as number) < 0 || (count as number) >= 2 ** 32)
          throw new ValueError(
            op,
            `epoch and item must be integers from 0, got ${JSON.stringify(e)}, ${JSON.stringify(i)}`,
          );
      source.load(of('source'));
      [epoch, item] = [e as number, i as number];
    },
  };
}
