/** Rotary positions: the halves of each line, turned by the angles of the line's place in its sequence. */
import { collapse, isEmpty } from '../../js/print.ts';
import { f32x4, i32, v128, type Local, type ModuleBuilder } from '../assembler/index.ts';
import { storeLanes } from '../lanes/memory.ts';
import type { FusedKernel } from '../structured.ts';
import { overOuter, withLastAxisDense, withRowMajors } from './launch.ts';

const parameters = ['out', 'x', 'cos', 'sin', 'lines', 'at', 'length', 'half', 'step', 'jump'] as const;
type Names = (typeof parameters)[number];

/**
 * run: `lines` lines from place `at` of a sequence of `length` on. x steps from line to line, and jumps from behind a
 * sequence to the start of the next; steps in bytes. All but x is row-major.
 */
function build(module: ModuleBuilder): void {
  const fn = module.function(
    'run',
    parameters.map(() => 'i32' as const),
  );
  const { out, x, cos, sin, lines, at, length, half, step, jump } = Object.fromEntries(
    parameters.map((name, i) => [name, fn.param(i, 'i32')]),
  ) as Record<Names, Local<'i32'>>;
  const bytes = fn.let(i32.shl(half, i32.const(2)));
  const back = fn.let(i32.mul(bytes, i32.sub(i32.const(0), length)));
  const [left, a, b, outB] = [fn.local('i32'), fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const turn = (k: number, some?: Local<'i32'>): void => {
    const [p, q, c, s] = [a, b, cos, sin].map((from) => fn.let(v128.load(from, k)));
    const first = f32x4.sub(f32x4.mul(p!, c!), f32x4.mul(q!, s!));
    const second = f32x4.add(f32x4.mul(q!, c!), f32x4.mul(p!, s!));
    for (const [to, v] of [
      [out, first],
      [outB, second],
    ] as const)
      if (some) storeLanes(fn, 'f32', to, { kind: 'f32', v }, some);
      else fn.do(v128.store(to, v, k));
  };
  const advance = (by: number | Local<'i32'>): void => {
    for (const place of [a, b, cos, sin, out, outB]) fn.advance(place, by);
  };
  fn.times(lines, () => {
    fn.set(a, x);
    fn.set(b, i32.add(x, bytes));
    fn.set(outB, i32.add(out, bytes));
    fn.set(left, half);
    fn.steps(left, 8, () => {
      turn(0);
      turn(16);
      advance(32);
    });
    fn.steps(left, 4, () => {
      turn(0);
      advance(16);
    });
    fn.if(left, () => {
      turn(0, left);
      advance(fn.let(i32.shl(left, i32.const(2))));
    });
    fn.set(out, outB);
    fn.advance(x, step);
    fn.advance(at, 1);
    fn.if(i32.eq(at, length), () => {
      fn.set(at, i32.const(0));
      fn.advance(x, jump);
      fn.advance(cos, back);
      fn.advance(sin, back);
    });
  });
}

export const rotary: FusedKernel = (engine, { inputs, output }) => {
  if (isEmpty(output)) return;
  const kernel = engine.kernels.get('rotary', build)['run']!;
  const [length, d] = output.shape.slice(-2) as [number, number];
  const half = d / 2;
  const [x, ...angles] = inputs;
  withLastAxisDense(engine, [x!], ([from]) =>
    withRowMajors(engine, angles, ([cos, sin]) => {
      const leading = [output, from!].map(({ shape, strides }) => ({
        shape: shape.slice(0, -2),
        strides: strides.slice(0, -2),
        offset: 0,
      }));
      const { sizes, strides } = collapse(leading);
      const inner = sizes.length - 1;
      const sequences = sizes[inner] ?? 1;
      const step = from!.strides.at(-2)! * 4;
      const sequenceStep = (strides[1]![inner] ?? 0) * 4;
      const tail = [length, half, step, sequenceStep - length * step];
      const [outStart, xStart, cosStart, sinStart] = [output, from!, cos!, sin!].map((v) =>
        engine.address(v),
      );
      overOuter(engine, kernel, {
        sizes: sizes.slice(0, Math.max(0, inner)),
        strides,
        offsets: [0, 0],
        items: sequences * length,
        cost: 0.3 * d + 5,
        args: ([outAt, xAt], start, count) => {
          const sequence = Math.floor(start / length);
          const at = start - sequence * length;
          return [
            outStart! + outAt! * 4 + start * d * 4,
            xStart! + xAt! * 4 + sequence * sequenceStep + at * step,
            cosStart! + at * half * 4,
            sinStart! + at * half * 4,
            count,
            at,
            ...tail,
          ];
        },
      });
    }),
  );
};
