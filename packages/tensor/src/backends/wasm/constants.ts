/**
 * Numbers that kernels load from memory. Read once into a local they stay in a register, where some engines rebuild an
 * immediate vector on each turn of a loop.
 */
import { internalError } from '../../errors.ts';
import { v128, i32, type FunctionBuilder, type V128 } from './assembler/index.ts';
import type { WasmMemory } from './host.ts';

export class ConstantPool {
  readonly #memory: WasmMemory;
  readonly #places = new Map<string, number>();
  readonly #limit: number;
  #end: number;

  constructor(memory: WasmMemory, start: number, limit: number) {
    this.#memory = memory;
    this.#end = start;
    this.#limit = limit;
  }

  /** The address of a number (8 bytes each, also for f32). */
  #place(type: 'f32' | 'f64', x: number): number {
    const key = `${type}${Object.is(x, -0) ? '-0' : x}`;
    let at = this.#places.get(key);
    if (at === undefined) {
      at = this.#end;
      this.#end += 8;
      if (this.#end > this.#limit) throw internalError('too many constants in wasm kernels');
      const view = new DataView(this.#memory.buffer);
      if (type === 'f32') view.setFloat32(at, x, true);
      else view.setFloat64(at, x, true);
      this.#places.set(key, at);
    }
    return at;
  }

  f32x4(fn: FunctionBuilder, x: number): V128 {
    return fn.hoist(`f32 ${Object.is(x, -0) ? '-0' : x}`, () =>
      v128.load32Splat(i32.const(0), this.#place('f32', x)),
    );
  }

  f64x2(fn: FunctionBuilder, x: number): V128 {
    return fn.hoist(`f64 ${Object.is(x, -0) ? '-0' : x}`, () =>
      v128.load64Splat(i32.const(0), this.#place('f64', x)),
    );
  }
}
