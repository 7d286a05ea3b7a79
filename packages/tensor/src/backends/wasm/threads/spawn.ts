/** Starts a helper thread: a Node worker or a Web Worker, whichever there is. */
import { workerSource } from './worker-source.ts';

export interface Thread {
  end(): void;
}

interface NodeThread {
  unref(): void;
  terminate(): Promise<number>;
  on(event: 'error', listener: (error: unknown) => void): void;
}
interface NodeProcess {
  getBuiltinModule?(
    name: string,
  ): { Worker: new (source: string, options: object) => NodeThread } | undefined;
}
interface WebThread {
  addEventListener(type: 'error', listener: (event: { readonly message?: string }) => void): void;
  postMessage(data: object): void;
  terminate(): void;
}

const { process, Worker, Blob, URL, crossOriginIsolated } = globalThis as unknown as {
  process?: NodeProcess & { versions?: { node?: string } };
  Worker?: new (url: string) => WebThread;
  Blob?: new (parts: string[], options: { type: string }) => object;
  URL?: { createObjectURL(blob: object): string; revokeObjectURL(url: string): void };
  crossOriginIsolated?: boolean;
};

const nodeWorkers = process?.versions?.node ? process.getBuiltinModule?.('node:worker_threads') : undefined;

/** Why there can be no helper threads here, or null where there can. */
export function threadsLack(): string | null {
  if (!nodeWorkers) {
    if (!Worker || !Blob || !URL) return 'this host has no workers';
    // Browsers hide SharedArrayBuffer in such pages: this first, as it says what to do.
    if (!crossOriginIsolated)
      return 'the page is not cross-origin isolated (serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp)';
  }
  return typeof SharedArrayBuffer === 'undefined' ? 'this host has no SharedArrayBuffer' : null;
}

/** Processors at hand. */
export function processors(): number {
  const os = process?.versions?.node
    ? (process.getBuiltinModule?.('node:os') as unknown as { availableParallelism(): number } | undefined)
    : undefined;
  const { navigator } = globalThis as unknown as { navigator?: { hardwareConcurrency?: number } };
  return Math.max(1, os?.availableParallelism() ?? navigator?.hardwareConcurrency ?? 1);
}

/**
 * A thread on `data`. It does not keep the process alive.
 * @param failed is told, at once or later, where the thread cannot start or ends by itself
 */
export function spawn(data: object, failed: (why: string) => void): Thread {
  try {
    return nodeWorkers ? nodeThread(nodeWorkers.Worker, data, failed) : webThread(data, failed);
  } catch (error) {
    failed(`a thread cannot start: ${String(error)}`);
    return { end: () => {} };
  }
}

function nodeThread(
  Worker: NonNullable<typeof nodeWorkers>['Worker'],
  data: object,
  failed: (why: string) => void,
): Thread {
  const worker = new Worker(workerSource, { eval: true, workerData: data, execArgv: [] });
  worker.on('error', (error) => failed(`a thread has ended: ${String(error)}`));
  worker.unref();
  return { end: () => void worker.terminate() };
}

function webThread(data: object, failed: (why: string) => void): Thread {
  const url = URL!.createObjectURL(new Blob!([workerSource], { type: 'text/javascript' }));
  const worker = new Worker!(url);
  worker.addEventListener('error', ({ message }) =>
    failed(
      message
        ? `a thread has ended: ${message}`
        : 'a thread cannot start (a Content-Security-Policy must allow worker-src blob:)',
    ),
  );
  worker.postMessage(data);
  return {
    end: () => {
      worker.terminate();
      URL!.revokeObjectURL(url);
    },
  };
}
