/** What holds for every optimizer: exact resume, steps that change everything or nothing, 16 bits. */
import { Parameter, type Optimizer } from '@infinigrad/nn';
import { Key, ValueError, type FloatDType, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectNumbers, numbers } from '../support.ts';
import {
  copied,
  lossAt,
  names,
  optimizers,
  paramsOf,
  plainState,
  start,
  valuesOf,
  type Problem,
} from './problem.ts';

const every = Object.entries(optimizers);

interface Run {
  readonly problem: Problem;
  readonly optimizer: Optimizer;
  readonly step: (i: number) => number;
}

function begin(name: string, dtype: FloatDType, more: object = {}): Run {
  const { make, options } = optimizers[name]!;
  const problem = start(dtype);
  const optimizer = make(paramsOf(problem, name) as never, { ...options, ...more } as never);
  const step = (i: number): number => optimizer.minimize(() => lossAt(problem, i)).itemSync();
  return { problem, optimizer, step };
}

describe.each(every)('%s', (name) => {
  test('goes on bit for bit from a saved state, wherever it was stopped', () => {
    const cases = fc.record({
      at: fc.nat(9),
      dtype: fc.constantFrom<FloatDType>('f32', 'f64', 'bf16'),
      more: fc.constantFrom({}, { masterWeights: true }, { maxGradNorm: 0.5 }, { maxGradValue: 0.1 }),
      lookahead:
        name === 'ScheduleFreeAdamW' ? fc.constant({}) : fc.constantFrom({}, { lookahead: { every: 3 } }),
    });
    const law = fc.property(cases, ({ at, dtype, more, lookahead }) => {
      const options = { ...more, ...lookahead, schedule: (step: number) => 1 / (1 + step) };
      const [straight, first, second] = [1, 2, 3].map(() => begin(name, dtype, options)) as [Run, Run, Run];
      const losses = Array.from({ length: 10 }, (_, i) => straight.step(i));
      for (let i = 0; i < at; i++) first.step(i);
      for (const each of names) second.problem[each].assign(first.problem[each].detach());
      const state = copied(first.optimizer.stateDict());
      second.optimizer.loadStateDict(state);
      expect(plainState(second.optimizer.stateDict())).toEqual(plainState(state));
      for (let i = at; i < 10; i++) expect(second.step(i)).toBe(losses[i]);
      expect(valuesOf(second.problem)).toEqual(valuesOf(straight.problem));
      expect(plainState(second.optimizer.stateDict())).toEqual(plainState(straight.optimizer.stateDict()));
    });
    fc.assert(law, { numRuns: 12 });
  });

  test('changes nothing where a gradient is not finite', () => {
    const [run, undisturbed] = [begin(name, 'f64'), begin(name, 'f64')];
    for (let i = 0; i < 3; i++) run.step(i);
    const before = [valuesOf(run.problem), plainState(run.optimizer.stateDict())];
    const [p] = run.optimizer.parameters;
    const spoiled: (() => Tensor)[] = [() => p!.sum().mul(NaN), () => p!.mul(0).sqrt().sum()];
    for (const loss of spoiled) expect(() => run.optimizer.minimize(loss)).toThrow(ValueError);
    expect([valuesOf(run.problem), plainState(run.optimizer.stateDict())]).toEqual(before);
    for (let i = 0; i < 3; i++) undisturbed.step(i);
    for (let i = 3; i < 6; i++) expect(run.step(i)).toBe(undisturbed.step(i));
  });

  test('passes over what has no gradient, and what is frozen', () => {
    const { make, options } = optimizers[name]!;
    const { weight, tall } = start();
    const optimizer = make(
      [{ params: [weight] }, { params: [tall], name: 'tall', frozen: true }] as never,
      options as never,
    );
    const [w, t] = [numbers(weight), numbers(tall)];
    optimizer.minimize(() => tall.square().sum());
    expect([numbers(weight), numbers(tall), optimizer.lastGradNorm]).toEqual([w, t, 0]);
    optimizer.configure('tall', { frozen: false });
    optimizer.minimize(() => tall.square().sum());
    expect(numbers(weight)).toEqual(w);
    expect(numbers(tall)).not.toEqual(t);
    expect(optimizer.lastGradNorm).toBeGreaterThan(0);
  });

  test('steps in 16 bits as in f32, rounding the parameter after each step', () => {
    if (name === 'ScheduleFreeAdamW') return expect(slotsInSingle(name)).toBe(true);
    const value = new Key(1).normal([5, 3]).cast('bf16');
    const [half, single] = [new Parameter(value), new Parameter(value.cast('f32'))];
    const { make, options } = optimizers[name]!;
    const [narrow, wide] = [half, single].map((p) => make([p] as never, options as never)) as [
      Optimizer,
      Optimizer,
    ];
    for (let step = 0; step < 8; step++) {
      const g = new Key(2).foldIn(step).normal([5, 3]).cast('bf16');
      half.grad = g;
      single.grad = g.cast('f32');
      narrow.step();
      wide.step();
      single.assign(single.detach().cast('bf16').cast('f32'));
      expect(half.dtype).toBe('bf16');
      expect(numbers(half)).toEqual(numbers(single));
    }
    expect(slotsInSingle(name)).toBe(true);
  });

  test('keeps an f32 weight behind one of 16 bits where it is told to', () => {
    const { make, options } = optimizers[name]!;
    const value = new Key(1).normal([5, 3]).cast('bf16');
    const [half, single] = [new Parameter(value), new Parameter(value.cast('f32'))];
    const narrow = make([half] as never, { ...options, masterWeights: true } as never);
    const wide = make([single] as never, options as never);
    for (let step = 0; step < 8; step++) {
      const g = new Key(2).foldIn(step).normal([5, 3]).cast('bf16');
      half.grad = g;
      single.grad = g.cast('f32');
      narrow.step();
      wide.step();
      expect(numbers(half)).toEqual(numbers(single.detach().cast('bf16')));
      expect(numbers(narrow.stateDict().tensors['0.master']!)).toEqual(numbers(single));
    }
    // A value given from outside counts.
    half.assign(value);
    narrow.zeroGrad();
    half.grad = value.mul(0);
    narrow.step();
    expectNumbers(numbers(half), numbers(value), 0.3);
  });
});

/** Whether all that is kept of a bf16 parameter is in f32. */
function slotsInSingle(name: string): boolean {
  const { optimizer, step } = begin(name, 'bf16');
  step(0);
  return Object.entries(optimizer.stateDict().tensors).every(
    ([key, { dtype }]) =>
      dtype === (key.endsWith('.step') ? 'i32' : /muProduct|weightSum|highestRate/.test(key) ? 'f64' : 'f32'),
  );
}
