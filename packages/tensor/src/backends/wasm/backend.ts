/** WebAssembly SIMD kernels, written at run time: no native code, no build step, no flags. */
import { bytesPerElement, type DType, type TypedArray } from '../../dtype.ts';
import type { Backend, BackendBuffer, KernelCall } from '../backend.ts';
import { i32, i32x4, ModuleBuilder, v128 } from './assembler/index.ts';
import { runElementwise } from './elementwise.ts';
import { arrayOver, runFallback } from './fallback.ts';
import { Heap, type HeapOptions, type HeapStats, type Home, type WasmBuffer } from './heap.ts';
import { validates } from './host.ts';
import { runReduction, takesReduction } from './reduction.ts';
import { Gemm } from './gemm/matmul.ts';
import { KernelCache, reservedBytes } from './kernels.ts';

export class WasmBackend implements Backend {
  readonly name = 'wasm';
  readonly synchronous = true;
  readonly #heap: Heap;
  readonly #kernels: KernelCache;
  readonly #gemm: Gemm;

  constructor(options: HeapOptions = {}) {
    this.#heap = new Heap(reservedBytes, options);
    this.#kernels = new KernelCache(this.#heap, options.shared);
    this.#gemm = new Gemm(this.#kernels);
  }

  /** True where this host has WebAssembly with SIMD. */
  static supported(): boolean {
    const module = new ModuleBuilder();
    module.function('store', []).do(v128.store(i32.const(0), i32x4.const(0)));
    return validates(module.encode());
  }

  lacks(): null {
    return null;
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
    if (record.kind === 'elementwise') runElementwise(this.#kernels, call, record);
    else if (record.kind === 'reduction' && takesReduction(call)) runReduction(this.#kernels, call, record);
    else if (call.op === 'matmul') this.#gemm.run(call);
    else runFallback(this.#heap, call);
  }

  async sync(): Promise<void> {}
}
