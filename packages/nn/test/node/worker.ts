/** A source in a worker: `workerData` says how many batches, and where it breaks. */
import { threadId, workerData } from 'node:worker_threads';
import { DataLoader, arrayDataset } from '@infinigrad/nn';
import { serveSource } from '@infinigrad/nn/node';
import { Key } from '@infinigrad/tensor';

const { count, bad } = workerData as { count: number; bad?: number };

serveSource(
  new DataLoader(arrayDataset(Array.from({ length: count }, (_, i) => i)), {
    batchSize: 2,
    shuffle: new Key(7),
    collate: (rows) => {
      if (bad !== undefined && rows.includes(bad)) throw new Error(`row ${bad} is bad`);
      const ids = Int32Array.from(rows);
      return { ids, same: ids, part: ids.subarray(1), thread: threadId, name: 'n' };
    },
  }),
);
