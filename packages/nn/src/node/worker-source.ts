/** Batches made in a thread of their own, some ahead of those that are used. */
import { parentPort, Worker, type MessagePort, type Transferable } from 'node:worker_threads';
import { InfinigradError, ValueError } from '@infinigrad/tensor';
import { checkCount, fieldsOf } from '../data/cursor.ts';
import type { DataSource, Json } from '../data/source.ts';

/** From here to the worker. */
type Ask =
  /** From a cursor; null: from the start. */
  | { readonly kind: 'begin'; readonly state: Json; readonly ahead: number }
  | { readonly kind: 'more' }
  | { readonly kind: 'close' };

/** From the worker to here. `state` is the cursor after the batch. */
type Answer =
  | { readonly kind: 'begun' }
  | { readonly kind: 'batch'; readonly batch: unknown; readonly state: Json }
  | { readonly kind: 'end'; readonly state: Json }
  | { readonly kind: 'error'; readonly message: string };

/** A source in a worker. */
export interface WorkerSource<T> extends DataSource<T> {
  /** Ends the worker. */
  close(): Promise<void>;
}

export interface WorkerSourceOptions {
  /** Batches that are made ahead. Default 2. */
  readonly ahead?: number;
  /** What the worker finds as `workerData`. */
  readonly workerData?: unknown;
}

/**
 * Called in the worker: gives a source's items to the thread that started it. Items are typed arrays, numbers, texts, in arrays and plain
 * objects; whole arrays are handed over without a copy. Tensors do not travel: make them where they are used.
 */
export function serveSource<T>(source: DataSource<T>, port: MessagePort | null = parentPort): void {
  if (!port) throw new ValueError('serveSource', 'is called in a worker');
  const answer = (what: Answer, handed: readonly Transferable[] = []): void => port.postMessage(what, handed);
  const start = source.state();
  let iterator: AsyncIterator<T> | null = null;
  /** One thing after the other. */
  let queue: Promise<void> = Promise.resolve();
  const one = async (): Promise<void> => {
    if (!iterator) return;
    const { value, done } = await iterator.next();
    if (done) {
      iterator = null;
      answer({ kind: 'end', state: source.state() });
    } else answer({ kind: 'batch', batch: value, state: source.state() }, buffersIn(value));
  };
  const handle = async (ask: Ask): Promise<void> => {
    if (ask.kind === 'more') return one();
    await iterator?.return?.();
    iterator = null;
    if (ask.kind === 'close') return port.close();
    source.load(ask.state ?? start);
    answer({ kind: 'begun' });
    iterator = source[Symbol.asyncIterator]();
    for (let i = 0; i < ask.ahead; i++) await one();
  };
  port.on('message', (ask: Ask) => {
    queue = queue
      .then(() => handle(ask))
      .catch((error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        answer({ kind: 'error', message });
      });
  });
}

/** The memory of typed arrays that can be handed over: each whole, and once. */
function buffersIn(value: unknown, found = new Set<ArrayBuffer>()): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteLength } = value;
    if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) found.add(buffer);
  } else if (typeof value === 'object' && value !== null)
    for (const part of Object.values(value)) buffersIn(part, found);
  return [...found];
}

/**
 * What a worker serves (see `serveSource`), as a source here: while a batch is used, the next ones are made. The cursor is that of what
 * has been used, not of what has been made ahead.
 * @param url of the worker's module
 * @throws ValueError for settings out of range; while iterating, InfinigradError with what went wrong in the worker
 */
export function workerSource<T>(
  url: URL | string,
  { ahead = 2, workerData }: WorkerSourceOptions = {},
): WorkerSource<T> {
  checkCount('workerSource', 'ahead', ahead);
  const worker = new Worker(url, { workerData });
  // It must not keep the process alive while nobody waits for it.
  worker.unref();
  const answers: Answer[] = [];
  let wake: (() => void) | null = null;
  let ended: Answer | null = null;
  const arrived = (what: Answer): void => {
    answers.push(what);
    wake?.();
  };
  worker.on('message', arrived);
  worker.on('error', (error) => arrived((ended = { kind: 'error', message: error.message })));
  worker.on('exit', () => arrived((ended ??= { kind: 'error', message: 'the worker has ended' })));
  const next = async (): Promise<Answer> => {
    worker.ref();
    try {
      while (answers.length === 0) {
        if (ended) return ended;
        await new Promise<void>((resolve) => (wake = resolve));
      }
      return answers.shift()!;
    } finally {
      worker.unref();
    }
  };
  const ask = (what: Ask): void => worker.postMessage(what);
  /** The cursor; null: at the start. */
  let state: Json = null;
  /** @throws InfinigradError where the worker says that something went wrong */
  const good = async (): Promise<Exclude<Answer, { kind: 'error' }>> => {
    const answer = await next();
    if (answer.kind === 'error') throw new InfinigradError('workerSource', answer.message);
    return answer;
  };
  return {
    async *[Symbol.asyncIterator]() {
      ask({ kind: 'begin', state, ahead });
      // What comes before belongs to an iteration that was left.
      while ((await good()).kind !== 'begun');
      for (;;) {
        const answer = await good();
        if (answer.kind === 'begun') continue;
        state = answer.state;
        if (answer.kind === 'end') return;
        ask({ kind: 'more' });
        yield answer.batch as T;
      }
    },
    state: () => ({ worker: state }),
    load: (given) => {
      state = fieldsOf('workerSource.load', given)['worker'] ?? null;
    },
    close: async () => {
      await worker.terminate();
    },
  };
}
