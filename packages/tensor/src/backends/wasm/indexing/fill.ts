/** Fills parts of a tensor with one value. */
import { bytesPerElement, type DType } from '../../../dtype.ts';
import { sizeOf } from '../../../shape.ts';
import type { BufferView } from '../../backend.ts';
import { collapse } from '../../js/print.ts';
import { window } from '../../js/kernels/walk.ts';
import { allI32, i32, i32x4, parameters, shuffle32, v128, type ModuleBuilder } from '../assembler/index.ts';
import type { Engine } from '../engine.ts';
import { runNest } from './nest.ts';

/** Sets all elements of a view to a value as it is stored: a word for f16 and bf16. */
export function fillElements(engine: Engine, view: BufferView, value: number): void {
  if (sizeOf(view.shape) === 0) return;
  const bytes = bytesPerElement(view.dtype);
  const { sizes, strides } = collapse([view]);
  const steps = strides[0]!.map((step) => step * bytes);
  // Runs of bytes along the last axis, or of the bytes of one element.
  if (steps.at(-1) === bytes) {
    steps[steps.length - 1] = 1;
    sizes[sizes.length - 1]! *= bytes;
  } else {
    steps.push(1);
    sizes.push(bytes);
  }
  const [low, high] = patternOf(value, view.dtype);
  const kernel = engine.kernels.get('fill', buildFill)['fill']!;
  // The pattern stands where a source would.
  const nest = { sizes, pointers: [engine.address(view), low], steps: [steps, steps.map(() => 0)] } as const;
  runNest(engine, kernel, nest, fillNanoseconds, 1, high);
}

/** Of a byte. */
const fillNanoseconds = 0.02;

/** Sets all elements of a row-major view outside the part of it that starts at `starts` and has a given shape. */
export function fillAround(
  engine: Engine,
  view: BufferView,
  starts: readonly number[],
  shape: readonly number[],
  value: number,
): void {
  let inside = view;
  for (let axis = 0; axis < shape.length; axis++) {
    const end = starts[axis]! + shape[axis]!;
    fillElements(engine, window(inside, axis, 0, starts[axis]!), value);
    fillElements(engine, window(inside, axis, end, view.shape[axis]! - end), value);
    inside = window(inside, axis, starts[axis]!, shape[axis]!);
  }
}

const scratch = new DataView(new ArrayBuffer(8));

/** Eight bytes of a value over and over, as two words. */
function patternOf(value: number, dtype: DType): [low: number, high: number] {
  switch (dtype) {
    case 'f64':
      scratch.setFloat64(0, value, true);
      break;
    case 'f32':
      scratch.setFloat32(0, value, true);
      scratch.setFloat32(4, value, true);
      break;
    case 'i32':
      scratch.setInt32(0, value, true);
      scratch.setInt32(4, value, true);
      break;
    case 'f16':
    case 'bf16':
      for (let i = 0; i < 8; i += 2) scratch.setUint16(i, value, true);
      break;
    default:
      for (let i = 0; i < 8; i++) scratch.setUint8(i, value);
  }
  return [scratch.getInt32(0, true), scratch.getInt32(4, true)];
}

const fillParameters = [
  'target',
  'low',
  'planes',
  'rows',
  'columns',
  'targetPlane',
  'targetRow',
  'targetColumn',
  'lowPlane',
  'lowRow',
  'lowColumn',
  'high',
] as const;

/** fill(…): rows of `columns` bytes of the pattern; as `nestParameters`, the pattern in place of the source. */
function buildFill(module: ModuleBuilder): void {
  const fn = module.function('fill', allI32(fillParameters));
  const p = parameters(fn, fillParameters);
  const [rows, to, row, left] = [fn.local('i32'), fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const pattern = fn.let(shuffle32(i32x4.splat(p.low), i32x4.splat(p.high), [0, 4, 0, 4]));
  fn.times(p.planes, () => {
    fn.set(rows, p.rows);
    fn.set(row, p.target);
    fn.times(rows, () => {
      fn.set(to, row);
      fn.set(left, p.columns);
      for (const vectors of [4, 1])
        fn.steps(left, 16 * vectors, () => {
          for (let i = 0; i < vectors; i++) fn.do(v128.store(to, pattern, 16 * i));
          fn.advance(to, 16 * vectors);
        });
      fn.steps(left, 8, () => {
        fn.do(v128.store64Lane(to, pattern, 0));
        fn.advance(to, 8);
      });
      fn.steps(left, 4, () => {
        fn.do(i32.store(to, p.low));
        fn.advance(to, 4);
      });
      fn.steps(left, 2, () => {
        fn.do(i32.store16(to, p.low));
        fn.advance(to, 2);
      });
      fn.times(left, () => {
        fn.do(i32.store8(to, p.low));
        fn.advance(to, 1);
      });
      fn.advance(row, p.targetRow);
    });
    fn.advance(p.target, p.targetPlane);
  });
}
