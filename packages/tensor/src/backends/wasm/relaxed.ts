/** Whether multiply-add in one rounding is at hand. */
import { f32x4, i32, ModuleBuilder, v128 } from './assembler/index.ts';
import { validates } from './host.ts';

let known: boolean | null = null;

/** True where the host has relaxed SIMD, whose multiply-add rounds once. */
export function hasFused(): boolean {
  if (known === null) {
    const module = new ModuleBuilder();
    const x = f32x4.const(1);
    module.function('fused', []).do(v128.store(i32.const(0), f32x4.relaxedMadd(x, x, x)));
    known = validates(module.encode());
  }
  return known;
}
