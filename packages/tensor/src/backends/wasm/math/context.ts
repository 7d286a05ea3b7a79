/** What the mathematical functions are written with. */
import type { Local } from '../assembler/code.ts';
import type { FunctionBuilder, ModuleBuilder, V128 } from '../assembler/index.ts';
import { f32x4, f64x2 } from '../assembler/index.ts';
import type { ConstantPool } from '../constants.ts';

export class MathContext {
  readonly fn: FunctionBuilder;
  readonly module: ModuleBuilder;
  readonly #constants: ConstantPool;

  constructor(module: ModuleBuilder, fn: FunctionBuilder, constants: ConstantPool) {
    this.module = module;
    this.fn = fn;
    this.#constants = constants;
  }

  f32x4(x: number): V128 {
    return this.#constants.f32x4(this.fn, x);
  }

  f64x2(x: number): V128 {
    return this.#constants.f64x2(this.fn, x);
  }

  let(value: V128): Local<'v128'> {
    return this.fn.let(value);
  }

  /** c[0] + x·(c[1] + x·(c[2] + …)) in f32 (Horner). */
  polynomial32(x: V128, coefficients: readonly number[]): V128 {
    return coefficients
      .slice(0, -1)
      .reduceRight((sum, c) => f32x4.add(f32x4.mul(sum, x), this.f32x4(c)), this.f32x4(coefficients.at(-1)!));
  }

  /** Likewise in f64. */
  polynomial64(x: V128, coefficients: readonly number[]): V128 {
    return coefficients
      .slice(0, -1)
      .reduceRight((sum, c) => f64x2.add(f64x2.mul(sum, x), this.f64x2(c)), this.f64x2(coefficients.at(-1)!));
  }
}
