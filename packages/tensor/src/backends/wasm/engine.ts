/** What the kernels of one wasm backend share. */
import { bytesPerElement, type DType } from '../../dtype.ts';
import { recordOf } from '../../ops/table.ts';
import { contiguousLayout, isContiguous, sizeOf } from '../../shape.ts';
import type { BufferView } from '../backend.ts';
import { runElementwise } from './elementwise.ts';
import { Gemm } from './gemm/matmul.ts';
import { Heap, type HeapOptions, type WasmBuffer } from './heap.ts';
import { KernelCache, reservedBytes, type Kernel } from './kernels.ts';
import { mostLanes } from './threads/layout.ts';
import { ThreadPool } from './threads/pool.ts';
import { processors, threadsLack } from './threads/spawn.ts';

/** A piece of work is short, so that the next call of its kernel soon picks up optimised code. */
const pieceNanoseconds = 100_000;
/** A lane is worth another thread's while. */
const laneNanoseconds = 25_000;

/** How many lanes items of a cost are parted into: a matter of the work alone, not of the threads. */
function lanesFor(items: number, cost: number): number {
  return Math.max(1, Math.min(mostLanes, items, Math.floor((items * cost) / laneNanoseconds)));
}

export class Engine {
  readonly heap: Heap;
  readonly kernels: KernelCache;
  readonly gemm: Gemm;
  #pool: ThreadPool | null = null;
  #helpers = 0;

  /** @param options.shared default: where threads can be had */
  constructor({ shared = threadsLack() === null, ...options }: HeapOptions = {}) {
    this.heap = new Heap(reservedBytes, { ...options, shared });
    this.kernels = new KernelCache(this.heap);
    this.setThreads(processors());
    this.gemm = new Gemm(this);
  }

  /** Lanes of the work at most: the most pieces that `overItems` has under way at once, however many threads there are. */
  readonly lanes = mostLanes;

  /** Threads that work is spread over, this one included; 1 where there can be no others. */
  get threadCount(): number {
    return this.#pool?.failure ? 1 : this.#helpers + 1;
  }

  /** Helper threads that are up; they are started by the first work that is large enough. */
  get helpersReady(): number {
    return this.#pool?.ready ?? 0;
  }

  /** Why there are no helper threads, or null. */
  get threadsLack(): string | null {
    return (
      this.#pool?.failure ?? (this.heap.shared ? null : (threadsLack() ?? 'the host grants no shared memory'))
    );
  }

  /** Starts the helper threads, which otherwise the first large work does. */
  startThreads(): void {
    if (this.#helpers > 0) this.#threadPool();
  }

  /** @param count threads, this one included; as many as can be had are used */
  setThreads(count: number): void {
    this.#pool?.close();
    this.#pool = null;
    this.#helpers = this.heap.shared ? Math.min(count, mostLanes) - 1 : 0;
  }

  /**
   * Runs a kernel over independent items (rows, tiles) in pieces, which may be under way at once: they must not write to
   * the same memory. How the items are parted does not depend on the number of threads.
   * @param cost of an item, in nanoseconds, roughly: decides the number and the size of the pieces
   * @param args of the kernel for `count` items from `start` on; `lane` (0 … lanes - 1) tells pieces apart that may be
   *   under way at once, for scratch memory
   */
  overItems(
    kernel: Kernel,
    items: number,
    cost: number,
    args: (start: number, count: number, lane: number) => readonly number[],
  ): void {
    const lanes = lanesFor(items, cost);
    const piece = Math.max(1, Math.ceil(pieceNanoseconds / Math.max(cost, 1e-3)));
    if (lanes === 1 && items <= piece) {
      if (items > 0) kernel(...args(0, items, 0));
      return;
    }
    const calls = (lane: number): (readonly number[])[] => {
      const [start, end] = [Math.floor((items * lane) / lanes), Math.floor((items * (lane + 1)) / lanes)];
      const list: (readonly number[])[] = [];
      for (let at = start; at < end; at += piece) list.push(args(at, Math.min(piece, end - at), lane));
      return list;
    };
    this.#launch(kernel, lanes, calls);
  }

  /** Makes calls of a kernel that may be under way at once: they must not write to the same memory. */
  overCalls(kernel: Kernel, calls: readonly (readonly number[])[], cost: number): void {
    const lanes = lanesFor(calls.length, cost);
    const part = (lane: number): number => Math.floor((calls.length * lane) / lanes);
    this.#launch(kernel, lanes, (lane) => calls.slice(part(lane), part(lane + 1)));
  }

  #launch(kernel: Kernel, lanes: number, calls: (lane: number) => readonly (readonly number[])[]): void {
    if (lanes === 1) {
      for (const numbers of calls(0)) kernel(...numbers);
      return;
    }
    const lists = Array.from({ length: lanes }, (_, lane) => calls(lane));
    if (this.#helpers > 0 && this.#threadPool().run(kernel, lists)) return;
    for (const list of lists) for (const numbers of list) kernel(...numbers);
  }

  #threadPool(): ThreadPool {
    return (this.#pool ??= new ThreadPool(this.kernels, this.#helpers));
  }

  /** The address of a view's first element. Only for buffers that the running call has touched. */
  address(view: BufferView): number {
    return (view.buffer as WasmBuffer).pointer + view.offset * bytesPerElement(view.dtype);
  }

  /** Memory for the length of one call of `body`. */
  borrow<T>(bytes: number, body: (pointer: number) => T): T {
    const buffer = this.heap.allocate(bytes);
    try {
      return body(buffer.pointer);
    } finally {
      this.heap.release(buffer.home);
    }
  }

  /** Calls `body` with the view, or where its elements do not lie row-major without gaps, with a copy that does. */
  withRowMajor<T>(view: BufferView, body: (view: BufferView) => T): T {
    return isContiguous(view) ? body(view) : this.withCopy(view, view.dtype, body);
  }

  /** Calls `body` with a row-major copy of the view, in a dtype. */
  withCopy<T>(view: BufferView, dtype: DType, body: (copy: BufferView) => T): T {
    const { shape } = view;
    const buffer = this.heap.allocate(sizeOf(shape) * bytesPerElement(dtype));
    try {
      const output: BufferView = { buffer, dtype, ...contiguousLayout(shape) };
      const [op, attrs] = dtype === view.dtype ? (['clone', {}] as const) : (['cast', { dtype }] as const);
      const record = recordOf(op);
      if (record.kind === 'elementwise')
        runElementwise(this, { op, record, inputs: [view], output, attrs }, record);
      return body(output);
    } finally {
      this.heap.release(buffer.home);
    }
  }
}
