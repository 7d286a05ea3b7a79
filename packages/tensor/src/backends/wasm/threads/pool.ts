/**
 * Helper threads over the shared wasm memory. A job is a kernel and a list of calls for each lane; whoever is free claims
 * the next lane, the caller too, so that a thread that the system leaves waiting holds nobody up.
 */
import { internalError } from '../../../errors.ts';
import type { Kernel, KernelCache, KernelPlace } from '../kernels.ts';
import { argumentSlots, codeBytes, controlWords, field, laneWords, mostModules } from './layout.ts';
import { spawn, type Thread } from './spawn.ts';

/** The calls of one lane, in order. */
export type Calls = readonly (readonly number[])[];

/** Milliseconds without an answer after which a thread counts as lost. */
const patience = 30_000;

export class ThreadPool {
  readonly #kernels: KernelCache;
  readonly #control = new Int32Array(new SharedArrayBuffer(4 * controlWords));
  readonly #args = new Float64Array(new SharedArrayBuffer(8 * argumentSlots));
  readonly #code = new Uint8Array(new SharedArrayBuffer(codeBytes));
  readonly #threads: readonly Thread[];
  readonly #known = new Set<number>();
  #codeEnd = 0;
  #failure: string | null = null;

  constructor(kernels: KernelCache, helpers: number) {
    this.#kernels = kernels;
    const data = {
      control: this.#control,
      code: this.#code.buffer,
      args: this.#args,
      memory: kernels.heap.memory,
    };
    this.#threads = Array.from({ length: helpers }, () => spawn(data, (why) => void (this.#failure ??= why)));
  }

  /** What went wrong with a thread, or null. From then on the pool takes no jobs. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Helper threads that are up. */
  get ready(): number {
    return Atomics.load(this.#control, field.ready);
  }

  /**
   * Makes the calls of all lanes.
   * @returns false where nothing was done: no helper is up, or the kernel cannot be shared with them
   */
  run(kernel: Kernel, lanes: readonly Calls[]): boolean {
    if (this.#failure !== null || this.ready === 0) return false;
    const place = this.#kernels.placeOf(kernel);
    if (!place || !this.#share(place) || !this.#write(place, lanes)) return false;
    const control = this.#control;
    Atomics.add(control, field.generation, 1);
    if (Atomics.load(control, field.asleep) > 0) Atomics.notify(control, field.generation);
    const claimed = lanes.map((calls, lane) => {
      const mine = Atomics.compareExchange(control, placeOf(lane) + field.open, 1, 0) === 1;
      if (mine) for (const args of calls) kernel(...args);
      return mine;
    });
    lanes.forEach((calls, lane) => {
      if (!claimed[lane]) this.#await(kernel, lane, calls);
    });
    return true;
  }

  /** Ends the threads. */
  close(): void {
    for (const thread of this.#threads) thread.end();
  }

  /** Lays the job out; the lanes open when all is written. */
  #write({ module, index }: KernelPlace, lanes: readonly Calls[]): boolean {
    const control = this.#control;
    const width = lanes[0]![0]!.length;
    if (lanes.reduce((total, calls) => total + calls.length, 0) * width > argumentSlots) return false;
    control[field.module] = module;
    control[field.kernel] = index;
    control[field.width] = width;
    control[field.lanesOfJob] = lanes.length;
    let p = 0;
    lanes.forEach((calls, lane) => {
      control[placeOf(lane) + field.first] = p;
      control[placeOf(lane) + field.calls] = calls.length;
      control[placeOf(lane) + field.finished] = 0;
      for (const args of calls) for (let i = 0; i < width; i++) this.#args[p++] = args[i]!;
    });
    for (let lane = 0; lane < lanes.length; lane++) Atomics.store(control, placeOf(lane) + field.open, 1);
    return true;
  }

  /** Waits for a lane that a helper has claimed; makes its calls where the helper has failed. */
  #await(kernel: Kernel, lane: number, calls: Calls): void {
    const at = placeOf(lane) + field.finished;
    let since = 0;
    for (let spins = 1; ; spins++) {
      const state = Atomics.load(this.#control, at);
      if (state === 1) return;
      if (state === -1) {
        this.#failure = this.#message();
        for (const args of calls) kernel(...args);
        return;
      }
      if (spins % 2 ** 20 !== 0) continue;
      since ||= Date.now();
      if (Date.now() - since < patience) continue;
      this.#failure = 'a thread does not answer';
      throw internalError(`${this.#failure}; setThreads(1) goes on without threads`);
    }
  }

  #message(): string {
    const { message } = field;
    return String.fromCharCode(
      ...this.#control.subarray(message, message + this.#control[field.messageLength]!),
    );
  }

  /** Puts a module where helpers find it. */
  #share({ module, bytes }: KernelPlace): boolean {
    if (this.#known.has(module)) return true;
    if (module >= mostModules || this.#codeEnd + bytes.length > this.#code.length) return false;
    this.#code.set(bytes, this.#codeEnd);
    this.#control[field.modules + 2 * module] = this.#codeEnd;
    this.#control[field.modules + 2 * module + 1] = bytes.length;
    this.#codeEnd += bytes.length;
    this.#known.add(module);
    return true;
  }
}

const placeOf = (lane: number): number => field.lanes + lane * laneWords;
