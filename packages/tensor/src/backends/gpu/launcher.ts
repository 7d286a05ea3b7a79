/** Launches programs on buffers, one after the other; keeps kernels that may be wanted again. */
import { BackendError, InfinigradError } from '../../errors.ts';
import type { Compiled, Device, Handle } from './device.ts';
import { firstLine } from './gpujs.ts';
import { GpuBuffer, type Home } from './memory.ts';
import { Queue } from './queue.ts';
import type { Program } from './source.ts';

/** Kernels kept, at most, unless told. */
const mostKernels = 1000;

export interface KernelStats {
  /** Kernels built so far. */
  readonly built: number;
  /** Kernels kept to be launched again. */
  readonly kept: number;
  /** Launches so far. */
  readonly launches: number;
}

export class Launcher {
  readonly device: Device;
  /** Kernels kept to be launched again, at most. */
  mostKernels = mostKernels;
  readonly #queue: Queue;
  readonly #kernels = new Map<string, Compiled>();
  #built = 0;
  #launches = 0;
  /** The first failure that nobody has been told of. */
  #failure: Error | null = null;
  #lost: string | null = null;

  constructor(device: Device) {
    this.device = device;
    // Who waits is told of a loss where something is read.
    this.#queue = new Queue(() => device.drain().catch(() => {}));
    void device.lost.then((reason) => (this.#lost = reason));
  }

  get stats(): KernelStats {
    return { built: this.#built, kept: this.#kernels.size, launches: this.#launches };
  }

  /** @throws BackendError where the GPU is gone */
  checkLost(op: string): void {
    const loss = this.#loss(op);
    if (loss) throw loss;
  }

  #loss(op: string): BackendError | null {
    const reason = this.#lost ?? this.device.complaintOfLoss();
    return reason === null
      ? null
      : new BackendError(op, `the GPU was lost (${reason})`, {
          hint: 'what lay on it is gone: call useGpu() again, and make parameters and data anew or from a checkpoint',
        });
  }

  /** Runs a program into a buffer, in its turn. */
  launch(op: string, out: Home, program: Program): void {
    this.later(op, out, () => this.launchNow(out, program));
  }

  /** Work that ends with the elements of `out` being there, in its turn. What it throws is the failure of `out`. */
  later(op: string, out: Home, work: () => void | Promise<void>): void {
    const failed = (error: unknown): void => {
      out.failure = error instanceof InfinigradError ? error : this.#failureOf(op, error);
      this.#failure ??= out.failure;
    };
    this.#queue.push(() => {
      if (out.freed) return undefined;
      try {
        // gpu.js would take another GPU by itself, on which nothing is there.
        this.checkLost(op);
        return work()?.catch(failed);
      } catch (error) {
        return failed(error);
      }
    });
  }

  #failureOf(op: string, error: unknown): Error {
    const failure =
      this.#loss(op) ??
      new BackendError(op, `its kernel failed on the GPU: ${firstLine(error)}`, {
        hint: 'the cause has the whole message',
      });
    failure.cause = error;
    return failure;
  }

  /** Runs a program into a buffer now; only within `later`. */
  launchNow(out: Home, program: Program): void | Promise<void> {
    const { source, grid, arrays, numbers } = program;
    const failure = arrays.find((home) => home.failure)?.failure;
    if (failure) {
      // Told of where it arose.
      out.failure = failure;
      return undefined;
    }
    const lengths = arrays.map((home) => home.length);
    const key = `${grid.join()} ${lengths.join()} ${source}`;
    let kernel = this.#kernels.get(key);
    if (kernel) this.#kernels.delete(key);
    else {
      kernel = this.#compile(program, lengths);
      this.#built++;
      while (this.#kernels.size >= this.mostKernels) this.#evict();
    }
    const failed = (error: unknown): never => {
      this.#kernels.delete(key);
      this.device.discard(kernel);
      throw error;
    };
    let handle: Handle | Promise<Handle>;
    try {
      const handles = arrays.map((home) => this.#handleOf(home));
      handle = this.device.launch(kernel, handles, numbers);
    } catch (error) {
      return failed(error);
    }
    this.#kernels.set(key, kernel);
    this.#launches++;
    this.#queue.launched(kernel.length * 4);
    if (!(handle instanceof Promise)) {
      out.handle = handle;
      return undefined;
    }
    return handle.then((made) => {
      out.handle = made;
    }, failed);
  }

  #compile({ source, grid, numbers, ownLength }: Program, lengths: readonly number[]): Compiled {
    const { device } = this;
    return ownLength === undefined
      ? device.compile(source, grid, lengths, numbers.length)
      : device.compileOwn!(source, grid as [number, number, number], ownLength);
  }

  /** Single numbers are uploaded only where a kernel reads them as an array. */
  #handleOf(home: Home): Handle {
    if (home.handle) return home.handle;
    if (!home.host || home.freed) throw new Error('internal: a kernel reads what is not there');
    return (home.handle = this.device.upload(home.host));
  }

  #evict(): void {
    const [key, kernel] = this.#kernels.entries().next().value!;
    this.#kernels.delete(key);
    this.device.discard(kernel);
  }

  /** Memory for what only one op needs. */
  temporary(length: number): Home {
    return new GpuBuffer(length).home;
  }

  upload(op: string, out: Home, data: Float32Array): void {
    this.later(op, out, () => this.uploadNow(out, data));
  }

  uploadNow(out: Home, data: Float32Array): void {
    out.handle = this.device.upload(data);
    this.#queue.launched(data.byteLength);
  }

  free(home: Home): void {
    this.#queue.push(() => this.freeNow(home));
  }

  freeNow(home: Home): void {
    home.freed = true;
    if (home.handle) this.device.release(home.handle);
    home.handle = null;
  }

  /** Reads elements, in their turn; what comes after does not wait for them. */
  async read(home: Home, offset: number, length: number): Promise<Float32Array> {
    let reading: Promise<Float32Array> | undefined;
    let failure: Error | null = null;
    await new Promise<void>((resolve) =>
      this.#queue.push(() => {
        failure = home.failure;
        if (!failure)
          try {
            reading = this.device.download(this.#handleOf(home), offset, length);
            // It may be long before somebody waits for it.
            reading.catch(() => {});
          } catch (error) {
            failure = error as Error;
          }
        resolve();
      }),
    );
    if (failure) throw this.#told(failure);
    try {
      const data = await reading!;
      this.#checkComplaint('data');
      return data;
    } catch (error) {
      // A device that is lost says so a little later.
      for (let i = 0; i < 8; i++) {
        this.checkLost('data');
        await new Promise<void>((resolve) => (globalThis as unknown as Timer).setTimeout(resolve, i));
      }
      this.checkLost('data');
      throw error instanceof InfinigradError
        ? error
        : new BackendError('data', `reading failed on the GPU: ${firstLine(error)}`);
    }
  }

  /** Reads elements now; only within `later`. */
  readNow(home: Home): Promise<Float32Array> {
    if (home.failure) throw home.failure;
    return this.device.download(this.#handleOf(home), 0, home.length);
  }

  #told(failure: Error): Error {
    if (this.#failure === failure) this.#failure = null;
    return failure;
  }

  #checkComplaint(op: string): void {
    const complaint = this.device.complaint();
    if (complaint !== null) throw new BackendError(op, `the GPU's driver complains: ${complaint}`);
  }

  /** Resolves when all that was asked for is done. @throws what failed and nobody was told of */
  async sync(): Promise<void> {
    await this.#queue.flushed();
    const failure = this.#failure;
    if (failure) throw this.#told(failure);
    this.checkLost('sync');
    await this.device.drain();
    this.#checkComplaint('sync');
  }
}

interface Timer {
  setTimeout(body: () => void, ms: number): unknown;
}
