/** Index tensors: read as i32 in row-major order, and checked before anything is written. */
import { IndexError } from '../../../errors.ts';
import { sizeOf } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { i32, i32x4, v128, type ModuleBuilder } from '../assembler/index.ts';
import type { Engine } from '../engine.ts';

/**
 * Calls `body` with the address of the index's values, each within 0 … size - 1.
 * @throws IndexError where one is not
 */
export function withIndex(
  engine: Engine,
  { op, inputs }: KernelCall,
  size: number,
  body: (address: number) => void,
): void {
  const index = inputs[1]!;
  const count = sizeOf(index.shape);
  engine.withRowMajor(index, (view) => {
    const checked = (address: number): void => {
      const kernel = engine.kernels.get('index check', buildCheck)['outside']!;
      for (let start = 0; start < count; start += valuesAtOnce) {
        const values = Math.min(valuesAtOnce, count - start);
        if (kernel(address + 4 * start, values, size)) refuse(engine, op, inputs, address, size);
      }
      body(address);
    };
    if (view.dtype === 'i32') return checked(engine.address(view));
    engine.borrow(4 * count, (address) => {
      engine.kernels.get('index widen', buildWiden)['widen']!(address, engine.address(view), count);
      checked(address);
    });
  });
}

/** A call of a kernel is short, so that the next one soon picks up optimised code. */
const valuesAtOnce = 65536;

function refuse(
  engine: Engine,
  op: string,
  operands: readonly BufferView[],
  address: number,
  size: number,
): never {
  const values = new Int32Array(engine.heap.memory.buffer, address);
  const value = values.find((x) => x < 0 || x >= size)!;
  throw new IndexError(op, `index ${value} is out of range for an axis of size ${size}`, { operands });
}

/** outside(values, count, size): not 0 where any of the values is not within 0 … size - 1. */
function buildCheck(module: ModuleBuilder): void {
  const fn = module.function('outside', ['i32', 'i32', 'i32'], 'i32');
  const [values, count, size] = [fn.param(0, 'i32'), fn.param(1, 'i32'), fn.param(2, 'i32')];
  const [found, x] = [fn.local('v128'), fn.local('v128')];
  const last = fn.let(i32x4.splat(i32.sub(size, i32.const(1))));
  const check = (): void =>
    fn.set(found, v128.or(found, v128.or(i32x4.lt(x, i32x4.const(0)), i32x4.gt(x, last))));
  fn.steps(count, 4, () => {
    fn.set(x, v128.load(values));
    check();
    fn.advance(values, 16);
  });
  fn.times(count, () => {
    fn.set(x, v128.load32Splat(values));
    check();
    fn.advance(values, 4);
  });
  fn.return(v128.anyTrue(found));
}

/** widen(target, source, count): bytes to i32. */
function buildWiden(module: ModuleBuilder): void {
  const fn = module.function('widen', ['i32', 'i32', 'i32']);
  const [target, source, count] = [fn.param(0, 'i32'), fn.param(1, 'i32'), fn.param(2, 'i32')];
  fn.times(count, () => {
    fn.do(i32.store(target, i32.load8(source)));
    fn.advance(target, 4);
    fn.advance(source, 1);
  });
}
