/** WebAssembly SIMD kernels, written at run time: no native code, no build step, no flags. */
import { bytesPerElement, type DType, type TypedArray } from '../../dtype.ts';
import { BackendError } from '../../errors.ts';
import { recordOf, type FusedOp, type OpName, type StructuredOp } from '../../ops/table.ts';
import type { Backend, BackendBuffer, BufferView, KernelCall } from '../backend.ts';
import { i32, i32x4, ModuleBuilder, v128 } from './assembler/index.ts';
import { runElementwise } from './elementwise.ts';
import { arrayOver, runFallback } from './fallback.ts';
import type { Heap, HeapOptions, HeapStats, Home, WasmBuffer } from './heap.ts';
import { validates } from './host.ts';
import { copyElements } from './indexing/copy.ts';
import { runReduction } from './reduction.ts';
import { Engine } from './engine.ts';
import { fusedKernels, halfInputs, structuredKernels } from './structured.ts';

export interface ThreadStats {
  /** Threads that large work is spread over, the calling one included. */
  readonly count: number;
  /** Helper threads that are up: the first large work starts them. */
  readonly helpersReady: number;
  /** Why there are no helper threads, or null. */
  readonly lack: string | null;
}

export class WasmBackend implements Backend {
  readonly name = 'wasm';
  readonly fuses = true;
  readonly synchronous = true;
  /** Whether what has no kernel here may run on the reference's. */
  fallback: 'allow' | 'forbid' = 'allow';
  /** How often that has happened, by op. */
  readonly fallbacks = new Map<string, number>();
  readonly #engine: Engine;
  readonly #heap: Heap;

  constructor(options: HeapOptions = {}) {
    this.#engine = new Engine(options);
    this.#heap = this.#engine.heap;
  }

  /** True where this host has WebAssembly with SIMD. */
  static supported(): boolean {
    const module = new ModuleBuilder();
    module.function('store', []).do(v128.store(i32.const(0), i32x4.const(0)));
    return validates(module.encode());
  }

  get onMove(): ((claim: object, out: boolean) => void) | undefined {
    return this.#heap.onMove;
  }

  set onMove(listener: ((claim: object, out: boolean) => void) | undefined) {
    this.#heap.onMove = listener;
  }

  lacks(op: OpName, dtype: DType): string | null {
    if (recordOf(op).kind !== 'fused') return null;
    if (!fusedKernels[op as FusedOp]) return 'it has no kernel for it';
    return dtype === 'f32' ? null : `its kernel is for f32, not ${dtype}`;
  }

  takesHalf(op: OpName, input: number): boolean {
    return halfInputs[op as FusedOp]?.includes(input) ?? false;
  }

  /** Threads that work is spread over: how many, how many helpers among them are up, and what stands in their way if anything. */
  get threads(): ThreadStats {
    const { threadCount, helpersReady, threadsLack } = this.#engine;
    return { count: threadCount, helpersReady, lack: threadsLack };
  }

  startThreads(): void {
    this.#engine.startThreads();
  }

  setThreads(count: number): void {
    this.#engine.setThreads(count);
  }

  /** Bytes in the heap, and of buffers moved out of it. */
  heapStats(): HeapStats {
    return this.#heap.stats();
  }

  /** Bytes of buffers in the heap above which the oldest are moved out to JavaScript memory. */
  get softLimit(): number {
    return this.#heap.softLimit;
  }

  set softLimit(bytes: number) {
    this.#heap.softLimit = bytes;
  }

  /** Bytes of buffers that the heap may hold at most. */
  get memoryLimit(): number {
    return this.#heap.limit;
  }

  set memoryLimit(bytes: number) {
    this.#heap.limit = bytes;
  }

  allocate(dtype: DType, length: number): BackendBuffer {
    return this.#heap.allocate(length * bytesPerElement(dtype));
  }

  upload(dtype: DType, data: TypedArray): BackendBuffer {
    const buffer = this.#heap.allocate(data.byteLength);
    arrayOver(this.#heap, buffer, dtype).set(data);
    return buffer;
  }

  downloadSync(buffer: BackendBuffer, dtype: DType, offset: number, length: number): TypedArray {
    this.#heap.touch(buffer as WasmBuffer);
    return arrayOver(this.#heap, buffer as WasmBuffer, dtype).slice(offset, offset + length);
  }

  async download(buffer: BackendBuffer, dtype: DType, offset: number, length: number): Promise<TypedArray> {
    return this.downloadSync(buffer, dtype, offset, length);
  }

  claim(buffer: BackendBuffer): object {
    return (buffer as WasmBuffer).home;
  }

  free(claim: object): void {
    this.#heap.release(claim as Home);
  }

  run(call: KernelCall): void {
    this.#heap.beginRun();
    // Mark all that lie in the heap before bringing others back, which may move unmarked ones out.
    for (const { buffer } of call.inputs)
      if ((buffer as WasmBuffer).home.block) this.#heap.touch(buffer as WasmBuffer);
    this.#heap.touch(call.output.buffer as WasmBuffer);
    for (const { buffer } of call.inputs) this.#heap.touch(buffer as WasmBuffer);
    const { record } = call;
    if (record.kind === 'elementwise') return runElementwise(this.#engine, call, record);
    if (record.kind === 'fused') return fusedKernels[call.op as FusedOp]!(this.#engine, call);
    const taken =
      record.kind === 'reduction'
        ? runReduction(this.#engine, call, record)
        : structuredKernels[call.op as StructuredOp]?.(this.#engine, call);
    if (!taken) this.#fallBack(call);
  }

  /** For want of a kernel of its own the call runs on the reference's. */
  #fallBack(call: KernelCall): void {
    if (this.fallback === 'forbid')
      throw new BackendError(call.op, `the wasm backend has no kernel for it in ${call.output.dtype}`, {
        operands: call.inputs,
        hint: "setFallback('allow') lets it run on the reference's kernel",
      });
    this.fallbacks.set(call.op, (this.fallbacks.get(call.op) ?? 0) + 1);
    runFallback(this.#heap, call);
  }

  copyInto(from: BufferView, to: BufferView): void {
    this.#heap.beginRun();
    const buffers = [from, to].map(({ buffer }) => buffer as WasmBuffer);
    for (const buffer of buffers) if (buffer.home.block) this.#heap.touch(buffer);
    for (const buffer of buffers) this.#heap.touch(buffer);
    copyElements(this.#engine, from, to);
  }

  async sync(): Promise<void> {}
}
