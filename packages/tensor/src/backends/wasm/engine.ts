/** What the kernels of one wasm backend share. */
import { bytesPerElement } from '../../dtype.ts';
import { recordOf } from '../../ops/table.ts';
import { contiguousLayout, isContiguous, sizeOf } from '../../shape.ts';
import type { BufferView } from '../backend.ts';
import { runElementwise } from './elementwise.ts';
import { Gemm } from './gemm/matmul.ts';
import { Heap, type HeapOptions, type WasmBuffer } from './heap.ts';
import { KernelCache, reservedBytes, type Kernel } from './kernels.ts';

/** A piece of work is short, so that the next call of its kernel soon picks up optimised code. */
const pieceNanoseconds = 100_000;

export class Engine {
  readonly heap: Heap;
  readonly kernels: KernelCache;
  readonly gemm: Gemm;

  constructor(options: HeapOptions = {}) {
    this.heap = new Heap(reservedBytes, options);
    this.kernels = new KernelCache(this.heap, options.shared);
    this.gemm = new Gemm(this);
  }

  /** The most pieces that `overItems` has under way at once. */
  readonly threads = 1;

  /**
   * Runs a kernel over independent items (rows, tiles) in pieces, which may be under way at once: they must not write to
   * the same memory.
   * @param cost of an item, in nanoseconds, roughly: decides the size of the pieces
   * @param args of the kernel for `count` items from `start` on; `lane` (0 … threads - 1) tells pieces apart that may be
   *   under way at once, for scratch memory
   */
  overItems(
    kernel: Kernel,
    items: number,
    cost: number,
    args: (start: number, count: number, lane: number) => readonly number[],
  ): void {
    const piece = Math.max(1, Math.ceil(pieceNanoseconds / Math.max(cost, 1e-3)));
    for (let start = 0; start < items; start += piece)
      kernel(...args(start, Math.min(piece, items - start), 0));
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
    if (isContiguous(view)) return body(view);
    const { shape, dtype } = view;
    const buffer = this.heap.allocate(sizeOf(shape) * bytesPerElement(dtype));
    try {
      const copy: BufferView = { buffer, dtype, ...contiguousLayout(shape) };
      const record = recordOf('clone');
      if (record.kind === 'elementwise')
        runElementwise(
          this.kernels,
          { op: 'clone', record, inputs: [view], output: copy, attrs: {} },
          record,
        );
      return body(copy);
    } finally {
      this.heap.release(buffer.home);
    }
  }
}
