/** What is tried in a page, in a worker and, to compare with, in Node. Plain data goes in and comes out. */
import { InfiniTransformer } from '@infinigrad/zoo';
import { AdamW, crossEntropy } from '@infinigrad/nn';
import {
  backendNames,
  currentBackend,
  Key,
  opNames,
  recordOf,
  setBackend,
  setThreads,
  threadStats,
  type DType,
  type Tensor,
  type ThreadStats,
} from '@infinigrad/tensor';
import { backendsAgree, errorsRefused, holdsForCalls, runCall } from '@infinigrad/tensor/testing';
import { digest, type Digest } from './bits.ts';
import { notes } from './host.ts';

const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });

const normal = (seed: number, shape: readonly number[]): Tensor => new Key(seed).normal(shape);

/** Large enough for several threads. */
const work: Readonly<Record<string, () => Tensor>> = {
  product: () => normal(0, [300, 257]).matmul(normal(1, [257, 301])),
  'batch of products': () => normal(0, [32, 65, 33]).matmul(normal(1, [32, 33, 70])),
  'product with a vector': () => normal(0, [700, 600]).matmul(normal(1, [600])),
  softmax: () => normal(2, [2000, 131]).softmax(),
  layerNorm: () => normal(2, [2000, 131]).layerNorm(normal(3, [131]), normal(4, [131])),
  attention: () =>
    normal(5, [4, 4, 96, 32]).attention(normal(6, [4, 4, 96, 32]), normal(7, [4, 4, 96, 32]), {
      causal: true,
    }),
  exp: () => normal(2, [200_000]).exp(),
  'tanh and log': () => normal(2, [200_000]).tanh().square().add(1).log(),
  'sum of rows': () => normal(2, [3000, 131]).sum(1),
  'sum of columns': () => normal(2, [3000, 131]).sum(0),
  'sum of all': () => normal(2, [300_000]).sum(),
};

const dtypes: readonly DType[] = ['f32', 'f64', 'i32', 'u8', 'bool'];

/** Whether the inputs that a sample leaves open take the dtype; those accept more than conditions do. */
function accepted(op: (typeof opNames)[number], dtype: DType): boolean {
  return recordOf(op)
    .accepts.find((list) => list.length > 1)!
    .includes(dtype);
}

export interface State {
  readonly backend: string;
  readonly backends: readonly string[];
  readonly threads: ThreadStats;
  readonly crossOriginIsolated: boolean;
  /** Bytes of wasm memory; 0 where there is none. */
  readonly reservedBytes: number;
  readonly waits: number;
  /** How many modules have been compiled on this thread, and the bytes of the largest. */
  readonly modules: number;
  readonly largestModule: number;
}

export interface Growth {
  /** Bytes of wasm memory. */
  readonly before: number;
  readonly after: number;
  /** What was no longer as it should be. */
  readonly wrong: string[];
  /** Of what was there before, computed afterwards. */
  readonly product: Digest;
}

export interface Tally {
  readonly passed: number;
  readonly failed: readonly string[];
}

function count(check: (law: (name: string, body: () => void) => void) => void): Tally {
  const failed: string[] = [];
  let passed = 0;
  check((name, body) => {
    try {
      body();
      passed++;
    } catch (error) {
      const { message, cause } = error as Error;
      failed.push(`${name}: ${message}${cause ? `\n${String(cause)}` : ''}`);
    }
  });
  return { passed, failed };
}

function state(): State {
  const backend = currentBackend() as { name: string; heapStats?: () => { reservedBytes: number } };
  return {
    backend: backend.name,
    backends: backendNames(),
    threads: threadStats(),
    crossOriginIsolated: globalThis.crossOriginIsolated,
    reservedBytes: backend.heapStats?.().reservedBytes ?? 0,
    waits: notes.waits,
    modules: notes.modules.length,
    largestModule: Math.max(0, ...notes.modules),
  };
}

export const cases = {
  state,

  setThreads,

  setBackend,

  /** Works until so many threads are up; for a few seconds at most. @returns the milliseconds that it took */
  async startThreads(count: number): Promise<number> {
    setThreads(count);
    const began = performance.now();
    while (threadStats().lack === null && threadStats().helpersReady < count - 1) {
      if (performance.now() - began > 10_000) break;
      normal(0, [256, 256]).matmul(normal(1, [256, 256]));
      await sleep(5);
    }
    return Math.round(performance.now() - began);
  },

  /** How many helpers come up while this thread works on and on. */
  startThreadsUnattended(count: number, milliseconds: number): number {
    setThreads(count);
    const [a, b] = [normal(0, [256, 256]), normal(1, [256, 256])];
    const began = performance.now();
    while (threadStats().helpersReady < count - 1 && performance.now() - began < milliseconds) a.matmul(b);
    return threadStats().helpersReady;
  },

  /** A few ops, `times` over. @throws where one gives other bits when run again */
  work(times = 1): Record<string, Digest> {
    const results: Record<string, Digest> = {};
    for (let i = 0; i < times; i++)
      for (const [name, op] of Object.entries(work)) {
        const result = digest(op());
        if ((results[name] ??= result).hash !== result.hash)
          throw new Error(`${name}: other bits in run ${i}`);
      }
    return results;
  },

  /** Training steps of a small model: its losses, and its parameters afterwards. */
  train(steps: number): { losses: number[]; parameters: Digest[] } {
    const sizes = { vocabSize: 20, hiddenSize: 32, numLayers: 2, numHeads: 2, segmentLength: 16 };
    const model = new InfiniTransformer(sizes, new Key(0));
    const optimizer = new AdamW(model.parameters(), { learningRate: 3e-3, maxGradNorm: 1 });
    const tokens = new Key(1).randint(0, 20, [8, 65]);
    const [inputs, targets] = [tokens.narrow(1, 0, 64), tokens.narrow(1, 1, 64)];
    const losses = Array.from({ length: steps }, () =>
      optimizer.minimize(() => crossEntropy(model.forward(inputs).logits, targets)).itemSync(),
    );
    return { losses, parameters: model.parameters().map(digest) };
  },

  /**
   * Lets the memory grow far beyond its first 16 MiB under tensors, views and helper threads, until the oldest are moved out
   * of it.
   */
  grow(): Growth {
    const before = state().reservedBytes;
    const whole = normal(0, [512, 512]);
    const held: Record<string, Tensor> = {
      whole,
      transposed: whole.transpose(),
      backwards: whole.flip(0),
      part: whole.slice([
        [100, 200],
        [7, 300, 3],
      ]),
      row: whole.select(0, 5).unsqueeze(0).expand([64, 512]),
    };
    const then = Object.values(held).map(digest);
    const read = whole.dataSync();
    const value = read[77]!;
    const more = Array.from({ length: 48 }, (_, i) =>
      whole
        .reshape([-1])
        .expand([2, 512 * 512])
        .mul(2 ** i),
    );
    const wrong = Object.entries(held).flatMap(([name, x], i) =>
      digest(x).hash === then[i]!.hash ? [] : [name],
    );
    if (read[77] !== value) wrong.push('what was read before');
    if (!(read.buffer instanceof ArrayBuffer)) wrong.push('what is read is shared');
    more.forEach((x, i) => {
      if (x.select(0, 1).narrow(0, 77, 1).itemSync() !== value * 2 ** i) wrong.push(`new tensor ${i}`);
    });
    return { before, after: state().reservedBytes, wrong, product: digest(whole.matmul(whole.transpose())) };
  },

  /**
   * The laws of the op table on the current backend: what js computes is what it computes, for every op and dtype, and
   * wrong calls are refused.
   */
  laws(runs: number, seed: number): Tally {
    return count((law) => {
      for (const op of opNames) {
        for (const dtype of dtypes.filter((dtype) => accepted(op, dtype)))
          law(`${op} ${dtype}`, () => backendsAgree(op, { dtype, runs, seed }));
        law(`${op} refuses`, () => errorsRefused(op));
      }
    });
  },

  /** Calls of every op, with nothing to compare with. @returns the ops that were refused something, and what */
  callAll(runs: number, seed: number): Tally {
    return count((law) => {
      for (const op of opNames)
        for (const dtype of dtypes.filter((dtype) => accepted(op, dtype)))
          law(`${op} ${dtype}`, () =>
            holdsForCalls(op, { dtype, runs, seed }, (call) => void runCall(op, call).dataSync()),
          );
    });
  },

  /** What this thread answers to one that wants to sleep. */
  sleepOnAtomics(): string {
    try {
      return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    } catch (error) {
      return String(error);
    }
  },
};

export type Cases = typeof cases;
