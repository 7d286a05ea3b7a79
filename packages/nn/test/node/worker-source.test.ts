/** Batches from a worker: the same ones in the same order, made ahead, with the cursor of what was used. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { threadId } from 'node:worker_threads';
import { arrayDataset, DataLoader, sourceOf, type Json } from '@infinigrad/nn';
import { serveSource, workerSource, type WorkerSource } from '@infinigrad/nn/node';
import { Key, ValueError } from '@infinigrad/tensor';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { bundle } from './bundle.ts';

interface Batch {
  readonly ids: Int32Array;
  readonly same: Int32Array;
  readonly part: Int32Array;
  readonly thread: number;
  readonly name: string;
}

const folder = mkdtempSync(join(tmpdir(), 'infinigrad-worker-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const module = join(folder, 'worker.mjs');
beforeAll(() => bundle('worker.ts', module), 60_000);

const opened: WorkerSource<Batch>[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});
function open(count = 9, options: { ahead?: number; bad?: number } = {}): WorkerSource<Batch> {
  const { bad, ...rest } = options;
  const one = workerSource<Batch>(pathToFileURL(module), {
    ...rest,
    workerData: { count, bad },
  });
  opened.push(one);
  return one;
}
async function collect<T>(source: AsyncIterable<T>, most = Infinity): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) if (items.push(item) >= most) break;
  return items;
}
const idsOf = (batches: readonly Batch[]): number[][] => batches.map(({ ids }) => [...ids]);
const saved = (source: WorkerSource<Batch>): Json => JSON.parse(JSON.stringify(source.state())) as Json;
/** The same in this thread. */
const local = (count: number): DataLoader<number, number[]> =>
  new DataLoader(arrayDataset(Array.from({ length: count }, (_, i) => i)), {
    batchSize: 2,
    shuffle: new Key(7),
    collate: (rows) => [...rows],
  });

describe('workerSource', () => {
  test('gives what the source gives, epoch after epoch, from another thread', async () => {
    const [far, near] = [open(), local(9)];
    for (const _ of [0, 1]) {
      const batches = await collect(far);
      expect(idsOf(batches)).toEqual(await collect(near));
      for (const { thread, name, ids, same, part } of batches) {
        expect([thread === threadId, name, [...same], [...part]]).toEqual([
          false,
          'n',
          [...ids],
          [...ids].slice(1),
        ]);
        // One memory, as in the worker.
        expect([same.buffer === ids.buffer, part.buffer === ids.buffer]).toEqual([true, true]);
      }
    }
  });
  test('a cursor is that of what was used, and gives the same rest', async () => {
    const whole = await collect(local(9));
    for (const at of [1, 5]) {
      const one = open(9, { ahead: 3 });
      expect(idsOf(await collect(one, at))).toEqual(whole.slice(0, at));
      const state = saved(one);
      const other = open(9, { ahead: 1 });
      other.load(state);
      expect(idsOf(await collect(other))).toEqual(whole.slice(at));
      // And where it was left, what had been made ahead is not lost.
      expect(idsOf(await collect(one))).toEqual(whole.slice(at));
      other.load({ worker: null });
      expect(idsOf(await collect(other))).toEqual(whole);
    }
  });
  test('tells what goes wrong in the worker, at its turn', async () => {
    const order = (await collect(local(9))).flat();
    const one = open(9, { bad: order[4]! });
    const seen: number[][] = [];
    await expect(
      (async () => {
        for await (const { ids } of one) seen.push([...ids]);
      })(),
    ).rejects.toThrow(`workerSource: row ${order[4]} is bad`);
    expect(seen.flat()).toEqual(order.slice(0, 4));
  });
  test('a worker that cannot begin, or has ended, is an error', async () => {
    const none = workerSource<Batch>(new URL('no-such-file.mjs', import.meta.url));
    opened.push(none);
    await expect(collect(none)).rejects.toThrow(/workerSource: .*no-such-file/);
    const one = open();
    await collect(one, 1);
    await one.close();
    await expect(collect(one)).rejects.toThrow('workerSource: the worker has ended');
  });
});

describe('errors', () => {
  test.each<[string, () => unknown, string]>([
    [
      'ahead',
      () => workerSource('file:///x.mjs', { ahead: 0 }),
      'workerSource: ahead must be an integer ≥ 1, got 0',
    ],
    ['a cursor that is none', () => open().load(3), 'workerSource.load: a cursor must be an object'],
    ['no worker', () => serveSource(sourceOf([1]), null), 'serveSource: is called in a worker'],
  ])('%s', (_, body, says) => {
    expect(body).toThrow(ValueError);
    expect(body).toThrow(says);
  });
});
