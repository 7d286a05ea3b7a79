/** Starts a helper thread: a Node worker or a Web Worker, whichever there is. */
import { workerSource } from './worker-source.ts';

export interface Thread {
  end(): void;
}

interface NodeThread {
  unref(): void;
  terminate(): Promise<number>;
  on(event: 'error', listener: () => void): void;
}
interface NodeProcess {
  getBuiltinModule?(
    name: string,
  ): { Worker: new (source: string, options: object) => NodeThread } | undefined;
}
interface WebThread {
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
  if (typeof SharedArrayBuffer === 'undefined') return 'this host has no SharedArrayBuffer';
  if (nodeWorkers) return null;
  if (!Worker || !Blob || !URL) return 'this host has no workers';
  return crossOriginIsolated
    ? null
    : 'the page is not cross-origin isolated (serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp)';
}

/** Processors at hand. */
export function processors(): number {
  const os = process?.versions?.node
    ? (process.getBuiltinModule?.('node:os') as unknown as { availableParallelism(): number } | undefined)
    : undefined;
  const { navigator } = globalThis as unknown as { navigator?: { hardwareConcurrency?: number } };
  return Math.max(1, os?.availableParallelism() ?? navigator?.hardwareConcurrency ?? 1);
}

/** A thread on `data`. It does not keep the process alive. */
export function spawn(data: object): Thread {
  if (nodeWorkers) {
    const worker = new nodeWorkers.Worker(workerSource, { eval: true, workerData: data, execArgv: [] });
    worker.on('error', () => {});
    worker.unref();
    return { end: () => void worker.terminate() };
  }
  const url = URL!.createObjectURL(new Blob!([workerSource], { type: 'text/javascript' }));
  const worker = new Worker!(url);
  worker.postMessage(data);
  return {
    end: () => {
      worker.terminate();
      URL!.revokeObjectURL(url);
    },
  };
}
