/** L-BFGS: PyTorch's trace, exact resume, what a failed step leaves behind, and what it refuses. */
import { LBFGS, Parameter, type LBFGSOptions, type OptimizerState } from '@infinigrad/nn';
import {
  fromData,
  memoryStats,
  scope,
  ShapeError,
  tensor,
  ValueError,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectNumbers, fixture, numbers } from '../support.ts';
import { lossAt, names, start, valuesOf, type Problem } from './problem.ts';

const { cases } = fixture<{
  cases: {
    options: LBFGSOptions;
    steps: { loss: number; evaluations: number; values: number[] }[];
  }[];
}>('lbfgs');

const parametersOf = (problem: Problem): Parameter[] => names.map((name) => problem[name]);

describe('as PyTorch’s', () => {
  test.each(cases.map((one) => [JSON.stringify(one.options), one] as const))(
    '%s',
    (_, { options, steps }) => {
      const problem = start();
      const optimizer = new LBFGS(parametersOf(problem), options);
      let evaluations = 0;
      expect(steps.length).toBe(6);
      for (const [i, step] of steps.entries()) {
        const loss = optimizer.minimize(() => {
          evaluations++;
          return lossAt(problem, 10);
        });
        expectNumbers([loss.itemSync()], [step.loss], 1e-9);
        expect(evaluations).toBe(step.evaluations);
        expectNumbers(valuesOf(problem), step.values, 1e-9);
        expect(optimizer.stepCount).toBe(i + 1);
        expect(optimizer.parameters.every(({ grad }) => grad === null)).toBe(true);
      }
    },
  );
});

/** (1 - x)² + 100 (y - x²)² */
const rosenbrock = (p: Parameter): Tensor => {
  const [x, y] = [p.select(0, 0), p.select(0, 1)];
  return x.mul(-1).add(1).square().add(y.sub(x.square()).square().mul(100));
};
const valley = (): Parameter => new Parameter(tensor([-1.2, 1], { dtype: 'f64' }));

test('walks down Rosenbrock’s valley', () => {
  const p = valley();
  const optimizer = new LBFGS([p], { maxIterations: 50, toleranceChange: 1e-16 });
  optimizer.minimize(() => rosenbrock(p));
  optimizer.minimize(() => rosenbrock(p));
  expectNumbers(numbers(p), [1, 1], 1e-6);
});

test('a minimum is left as it is', () => {
  const p = new Parameter(tensor([1, 1], { dtype: 'f64' }));
  const optimizer = new LBFGS([p]);
  expect(optimizer.minimize(() => rosenbrock(p)).itemSync()).toBe(0);
  expect([numbers(p), optimizer.stateDict()]).toEqual([[1, 1], { step: 1, tensors: {} }]);
});

test('a parameter that the loss does not depend on stays', () => {
  const [p, other] = [valley(), new Parameter(tensor([3, 4], { dtype: 'f64' }))];
  new LBFGS([other, p]).minimize(() => rosenbrock(p));
  expect(numbers(other)).toEqual([3, 4]);
  expect(numbers(p)).not.toEqual([-1.2, 1]);
});

test.each(['f32', 'bf16'] as const)('takes parameters of %s beside those of f64', (dtype) => {
  const [p, q] = [valley(), new Parameter(tensor([2], { dtype }))];
  const optimizer = new LBFGS([p, q], { maxIterations: 60 });
  optimizer.minimize(() => rosenbrock(p).add(q.cast('f64').sub(1).square().sum()));
  expect([p.dtype, q.dtype]).toEqual(['f64', dtype]);
  expect(optimizer.stateDict().tensors['gradient']!.dtype).toBe('f64');
  expectNumbers(numbers(q), [1], 0.02);
});

const copied = ({ step, tensors }: OptimizerState): OptimizerState => ({
  step,
  tensors: Object.fromEntries(
    Object.entries(tensors).map(([name, x]) => [name, fromData(x.dataSync(), x.shape, { dtype: x.dtype })]),
  ),
});

const settings: LBFGSOptions = { maxIterations: 3, historySize: 4 };

test.each([0, 1, 3, 5])('goes on bit for bit after step %d', (at) => {
  const [straight, first, second] = [start(), start(), start()];
  const run = (problem: Problem, optimizer: LBFGS, steps: number): void => {
    for (let i = 0; i < steps; i++) optimizer.minimize(() => lossAt(problem, 10));
  };
  run(straight, new LBFGS(parametersOf(straight), settings), 6);
  const one = new LBFGS(parametersOf(first), settings);
  run(first, one, at);
  const two = new LBFGS(parametersOf(second), settings);
  names.forEach((name) => second[name].assign(first[name].detach()));
  const state = copied(one.stateDict());
  two.loadStateDict(state);
  expect(two.stepCount).toBe(at);
  run(second, two, 6 - at);
  expect(valuesOf(second)).toEqual(valuesOf(straight));
});

test('memory is flat over steps', () => {
  const problem = start();
  const optimizer = new LBFGS(parametersOf(problem), {
    maxIterations: 2,
    historySize: 3,
    toleranceChange: 0,
  });
  const step = (): void => scope(() => void optimizer.minimize(() => lossAt(problem, 10)));
  for (let i = 0; i < 5; i++) step();
  const before = memoryStats();
  for (let i = 0; i < 30; i++) step();
  const after = memoryStats();
  expect([after.tiers, after.buffers]).toEqual([before.tiers, before.buffers]);
});

describe('refused', () => {
  const thrownBy = (body: () => unknown): Error => {
    try {
      body();
    } catch (error) {
      return error as Error;
    }
    throw new Error('nothing was thrown');
  };
  test.each([
    [
      'a loss of NaN at the beginning',
      1,
      (x: Tensor) => x.mul(NaN),
      'LBFGS.minimize: the loss is NaN at step 2',
    ],
    ['a loss of NaN on the way', 2, (x: Tensor) => x.mul(NaN), 'LBFGS.minimize: the loss is NaN at step 2'],
    [
      'a gradient of NaN under a finite loss',
      2,
      (x: Tensor) => x.add(x.mul(0).sqrt()),
      'LBFGS.minimize: the gradient is not finite at step 2. Hint: nothing was changed',
    ],
  ])('%s: nothing is changed', (_, at, spoil, says) => {
    const p = valley();
    const optimizer = new LBFGS([p], { maxIterations: 2 });
    optimizer.minimize(() => rosenbrock(p));
    const [values, state] = [numbers(p), JSON.stringify(plain(optimizer))];
    let calls = 0;
    const error = thrownBy(() =>
      optimizer.minimize(() => (++calls === at ? spoil(rosenbrock(p)) : rosenbrock(p))),
    );
    expect(error).toBeInstanceOf(ValueError);
    expect(error.message).toContain(says);
    expect([numbers(p), JSON.stringify(plain(optimizer)), p.grad]).toEqual([values, state, null]);
    expect(optimizer.minimize(() => rosenbrock(p)).itemSync()).toBeGreaterThan(0);
  });
  const plain = (optimizer: LBFGS): object =>
    Object.entries(optimizer.stateDict().tensors).map(([name, x]) => [name, numbers(x)]);
  test('step, accumulate, several groups, losses of several numbers', () => {
    const [p, q] = [valley(), valley()];
    const optimizer = new LBFGS([p]);
    expect(thrownBy(() => optimizer.step()).message).toContain('LBFGS.step: needs the loss');
    expect(thrownBy(() => optimizer.accumulate()).message).toContain(
      'LBFGS.accumulate: needs the loss of all parts',
    );
    expect(thrownBy(() => new LBFGS([{ params: [p] }, { params: [q] }])).message).toBe(
      'LBFGS: takes one group',
    );
    expect(thrownBy(() => optimizer.minimize(() => p.mul(2)))).toBeInstanceOf(ShapeError);
  });
  const options: [LBFGSOptions, string][] = [
    [{ learningRate: 0 }, 'learningRate must be a number > 0, got 0'],
    [{ maxIterations: 0 }, 'maxIterations must be an integer > 0, got 0'],
    [{ maxEvaluations: 1.5 }, 'maxEvaluations must be an integer > 0, got 1.5'],
    [{ historySize: NaN }, 'historySize must be an integer > 0, got NaN'],
    [{ toleranceGradient: -1 }, 'toleranceGradient must be a number ≥ 0, got -1'],
    [{ toleranceChange: NaN }, 'toleranceChange must be a number ≥ 0, got NaN'],
    [{ lineSearch: 'x' as 'none' }, "lineSearch must be 'strongWolfe' or 'none', got 'x'"],
    [{ maxGradNorm: 1 } as LBFGSOptions, 'there is no option maxGradNorm'],
  ];
  test.each(options)('%j', (given, says) => {
    expect(() => new LBFGS([valley()], given)).toThrow(ValueError);
    expect(() => new LBFGS([valley()], given)).toThrow(says);
  });
  test('states that do not fit, all that is wrong at once, and changes nothing', () => {
    const p = valley();
    const optimizer = new LBFGS([p], { maxIterations: 3 });
    optimizer.minimize(() => rosenbrock(p));
    const before = JSON.stringify(plain(optimizer));
    const { tensors } = optimizer.stateDict();
    const { rate: _, ...rest } = tensors;
    const bad = {
      ...rest,
      direction: zeros([3], { dtype: 'f64' }),
      gradient: tensors['gradient']!.cast('f32'),
      scale: zeros([2]),
      extra: zeros([1]),
    };
    const { message } = thrownBy(() => optimizer.loadStateDict({ step: -1, tensors: bad }));
    for (const part of [
      'step -1',
      'missing rate',
      'unexpected extra',
      'direction is [3] f64',
      `gradient is [${tensors['gradient']!.size}] f32`,
      'scale is [2] f32',
    ])
      expect(message).toContain(part);
    expect(JSON.stringify(plain(optimizer))).toBe(before);
  });
});
