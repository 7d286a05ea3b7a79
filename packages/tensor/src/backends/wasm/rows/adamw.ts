/** One AdamW step over the elements of a parameter. */
import { adamWFactors } from '../../../ops/updates.ts';
import { sizeOf } from '../../../shape.ts';
import { f32x4, v128, type Local, type ModuleBuilder } from '../assembler/index.ts';
import { storeLanes } from '../lanes/memory.ts';
import type { FusedKernel } from '../structured.ts';
import { withRowMajors } from './launch.ts';

/** Elements that are never parted: a few whole vectors. */
const unit = 16;
const operands = ['theta', 'mean', 'meanSquare', 'g', 'outTheta', 'outMean', 'outMeanSquare'] as const;
const factors = ['beta1', 'a', 'beta2', 'b', 'shrink', 'rate', 'e'] as const;

type Place = Local<'i32'>;
type Factor = Local<'v128'>;

/** run(count, operands…, factors…): the step's numbers are arguments, so that one kernel serves all steps. */
function build(module: ModuleBuilder): void {
  const fn = module.function('run', [
    'i32',
    ...operands.map(() => 'i32' as const),
    ...factors.map(() => 'f32' as const),
  ]);
  const count = fn.param(0, 'i32');
  const places = operands.map((_, i) => fn.param(1 + i, 'i32'));
  const [theta, mean, meanSquare, g, ...outs] = places as [Place, Place, Place, Place, ...Place[]];
  const numbers = factors.map((_, i) => fn.let(f32x4.splat(fn.param(1 + operands.length + i, 'f32'))));
  const [beta1, a, beta2, b, shrink, rate, e] = numbers as [
    Factor,
    Factor,
    Factor,
    Factor,
    Factor,
    Factor,
    Factor,
  ];
  const body = (k: number, left?: Place): void => {
    const slope = fn.let(v128.load(g, k));
    const m = fn.let(f32x4.add(f32x4.mul(v128.load(mean, k), beta1), f32x4.mul(slope, a)));
    const square = f32x4.mul(f32x4.mul(slope, slope), b);
    const v = fn.let(f32x4.add(f32x4.mul(v128.load(meanSquare, k), beta2), square));
    const step = f32x4.mul(f32x4.div(m, f32x4.add(f32x4.sqrt(v), e)), rate);
    // One small number is taken away, where a factor next to 1 would lose the bits of a small decay.
    const before = fn.let(v128.load(theta, k));
    const after = f32x4.sub(before, f32x4.add(f32x4.mul(before, shrink), step));
    [after, m, v].forEach((value, i) => {
      const to = outs[i]!;
      if (left) storeLanes(fn, 'f32', to, { kind: 'f32', v: value }, left);
      else fn.do(v128.store(to, value, k));
    });
  };
  const steps = (width: number): void =>
    fn.steps(count, 4 * width, () => {
      for (let k = 0; k < width; k++) body(16 * k);
      for (const place of places) fn.advance(place, 16 * width);
    });
  steps(2);
  steps(1);
  fn.if(count, () => body(0, count));
}

export const adamWStep: FusedKernel = (engine, { inputs, output, attrs }) => {
  const n = sizeOf(inputs[0]!.shape);
  const { decay, ...rest } = adamWFactors(attrs);
  const numbers = { ...rest, shrink: 1 - decay };
  const kernel = engine.kernels.get('adamWStep', build)['run']!;
  withRowMajors(engine, inputs, (views) => {
    const out = engine.address(output);
    const starts = [...views.map((view) => engine.address(view)), ...[0, 1, 2].map((k) => out + 4 * n * k)];
    engine.overItems(kernel, Math.ceil(n / unit), unit * 0.7, (start, count) => {
      const first = start * unit;
      const pointers = starts.map((p) => p + 4 * first);
      return [Math.min(count * unit, n - first), ...pointers, ...factors.map((name) => numbers[name])];
    });
  });
};
