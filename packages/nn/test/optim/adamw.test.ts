/** AdamW: PyTorch's trace, the formula, exact resume, and what a failed step leaves behind. */
import { noGrad } from '@infinigrad/autograd';
import { AdamW, clipGradNorm, constant, Parameter, warmupCosine, type OptimizerState } from '@infinigrad/nn';
import {
  fromData,
  GradientError,
  IndexError,
  Key,
  ShapeError,
  tensor,
  ValueError,
  zeros,
  type FloatDType,
  type Tensor,
} from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectNumbers, fixture, numbers, restored, type Stored } from '../support.ts';

const dtype = 'f64' as const;
const parameter = (values: number[]): Parameter => new Parameter(tensor(values, { dtype }));

/** The error that a call must throw. */
function thrownBy(body: () => unknown): Error {
  try {
    body();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

describe('a hundred steps of PyTorch', () => {
  interface Trace {
    readonly options: {
      readonly warmupSteps: number;
      readonly totalSteps: number;
      readonly finalFactor: number;
      readonly maxGradNorm: number;
      readonly eps: number;
    };
    readonly x: Stored;
    readonly target: Stored;
    readonly start: Readonly<Record<'weight' | 'bias' | 'late', Stored>>;
    readonly steps: readonly ({
      readonly loss: number;
      readonly norm: number;
      readonly rates: readonly number[];
    } & Partial<Record<'weight' | 'bias' | 'late', readonly number[]>>)[];
  }
  const trace = fixture<Trace>('adamw');
  const { maxGradNorm, eps, ...schedule } = trace.options;
  const setUp = (options: {
    maxGradNorm?: number;
  }): {
    weight: Parameter;
    bias: Parameter;
    late: Parameter;
    optimizer: AdamW;
    lossAt: (step: number) => Tensor;
  } => {
    const [weight, bias, late] = (['weight', 'bias', 'late'] as const).map(
      (name) => new Parameter(restored(trace.start[name])),
    ) as [Parameter, Parameter, Parameter];
    const optimizer = new AdamW(
      [
        { params: [weight], learningRate: 0.05, weightDecay: 0.1 },
        { params: [bias, late], learningRate: 0.2, weightDecay: 0, betas: [0.8, 0.95], name: 'rest' },
      ],
      { eps, schedule: warmupCosine(schedule), ...options },
    );
    const [x, target] = [restored(trace.x), restored(trace.target)];
    const lossAt = (step: number): Tensor => {
      const y = x.matmul(weight).add(bias);
      return (step >= 4 ? y.mul(late) : y).tanh().sub(target).square().sum();
    };
    return { weight, bias, late, optimizer, lossAt };
  };
  type Run = ReturnType<typeof setUp>;

  const ways: Record<
    string,
    { options: { maxGradNorm?: number }; step: (run: Run, i: number) => [loss: number, norm: number] }
  > = {
    minimize: {
      options: { maxGradNorm },
      step: ({ optimizer, lossAt }, i) => {
        const loss = optimizer.minimize(() => lossAt(i)).itemSync();
        return [loss, optimizer.lastGradNorm!];
      },
    },
    'zeroGrad, backward, step': {
      options: { maxGradNorm },
      step: ({ optimizer, lossAt }, i) => {
        optimizer.zeroGrad();
        const loss = lossAt(i);
        loss.backward();
        optimizer.step();
        return [loss.itemSync(), optimizer.lastGradNorm!];
      },
    },
    'clipGradNorm by hand': {
      options: {},
      step: ({ optimizer, lossAt }, i) => {
        optimizer.zeroGrad();
        const loss = lossAt(i);
        loss.backward();
        const norm = clipGradNorm(optimizer.parameters, maxGradNorm);
        optimizer.step();
        return [loss.itemSync(), norm];
      },
    },
  };
  test.each(Object.entries(ways))('%s', (_, { options, step }) => {
    const run = setUp(options);
    expect(trace.steps.length).toBe(100);
    trace.steps.forEach(({ loss, norm, rates, ...after }, i) => {
      expectNumbers([run.optimizer.learningRate, run.optimizer.learningRateAt('rest')], rates, 1e-14);
      expectNumbers(step(run, i), [loss, norm], 1e-9);
      for (const [name, values] of Object.entries(after))
        expectNumbers(numbers(run[name as 'weight']), values, 1e-9);
    });
    expect(run.optimizer.stepCount).toBe(100);
  });
  test('clips some of them and others not', () => {
    const clipped = trace.steps.filter(({ norm }) => norm > maxGradNorm).length;
    expect(clipped).toBeGreaterThan(10);
    expect(clipped).toBeLessThan(90);
    expect(trace.steps.filter(({ weight }) => weight).length).toBeGreaterThan(10);
  });
});

describe('one parameter', () => {
  const settings = fc.record({
    learningRate: fc.double({ min: 1e-4, max: 1, noNaN: true }),
    beta1: fc.constantFrom(0, 0.5, 0.9),
    beta2: fc.constantFrom(0, 0.9, 0.999),
    eps: fc.constantFrom(1e-8, 1e-3, 1),
    weightDecay: fc.constantFrom(0, 0.01, 0.5),
    gradients: fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 1, maxLength: 6 }),
  });
  test('follows the formula', () => {
    const law = fc.property(settings, ({ learningRate, beta1, beta2, eps, weightDecay, gradients }) => {
      const p = parameter([0.7]);
      const optimizer = new AdamW([p], { learningRate, betas: [beta1, beta2], eps, weightDecay });
      let [theta, m, v] = [0.7, 0, 0];
      gradients.forEach((g, i) => {
        p.grad = tensor([g], { dtype });
        optimizer.step();
        m = beta1 * m + (1 - beta1) * g;
        v = beta2 * v + (1 - beta2) * g * g;
        theta -= learningRate * weightDecay * theta;
        theta -=
          (learningRate * (m / (1 - beta1 ** (i + 1)))) / (Math.sqrt(v / (1 - beta2 ** (i + 1))) + eps);
        expectNumbers(numbers(p), [theta], 1e-11);
      });
      expect(optimizer.stepCount).toBe(gradients.length);
    });
    fc.assert(law);
  });
  test('moves by the learning rate in the first step, whatever the size of the gradient', () => {
    const p = parameter([1, 1, 1]);
    const optimizer = new AdamW([p], { learningRate: 0.01, eps: 0, weightDecay: 0 });
    p.grad = tensor([1e-6, -3, 1e6], { dtype });
    optimizer.step();
    expectNumbers(numbers(p), [0.99, 1.01, 0.99]);
  });
  test('decays apart from the gradient, and only where there is one', () => {
    const [p, q] = [parameter([2, -4]), parameter([2, -4])];
    const optimizer = new AdamW([p, q], { learningRate: 0.1, weightDecay: 0.5 });
    p.grad = zeros([2], { dtype });
    optimizer.step();
    expectNumbers(numbers(p), [2 * 0.95, -4 * 0.95]);
    expect(numbers(q)).toEqual([2, -4]);
    expect(Object.keys(optimizer.stateDict().tensors)).toEqual(['0.step', '0.moment', '0.secondMoment']);
  });
  test('a step with a learning rate of 0 keeps the parameter and moves the means', () => {
    const p = parameter([2]);
    const optimizer = new AdamW([p], { learningRate: 0, weightDecay: 0.5 });
    optimizer.minimize(() => p.square().sum());
    expect(numbers(p)).toEqual([2]);
    expectNumbers(numbers(optimizer.stateDict().tensors['0.moment']!), [0.4]);
  });
  test('finds a minimum', () => {
    const p = parameter([3, -2]);
    const optimizer = new AdamW([p], { learningRate: 0.1, weightDecay: 0, schedule: (step) => 0.99 ** step });
    for (let i = 0; i < 500; i++)
      optimizer.minimize(() =>
        p
          .sub(tensor([1, 2], { dtype }))
          .square()
          .sum(),
      );
    expectNumbers(numbers(p), [1, 2], 1e-2);
  });
  test.each(['f32', 'f64'] as const)('keeps its dtype and shape, %s', (kind) => {
    const p = new Parameter(new Key(1).normal([2, 3], { dtype: kind }));
    const optimizer = new AdamW([p]);
    optimizer.minimize(() => p.square().sum());
    const { tensors } = optimizer.stateDict();
    expect([p.dtype, p.shape, p.isLeaf, p.requiresGrad]).toEqual([kind, [2, 3], true, true]);
    for (const name of ['0.moment', '0.secondMoment'])
      expect([tensors[name]!.dtype, tensors[name]!.shape]).toEqual([kind, [2, 3]]);
    expect([tensors['0.step']!.dtype, tensors['0.step']!.itemSync()]).toEqual(['i32', 1]);
  });
});

describe('defaults', () => {
  test('are those of PyTorch', () => {
    const { learningRate, betas, eps, weightDecay } = new AdamW([parameter([1])]).groups[0]!;
    expect({ learningRate, betas, eps, weightDecay }).toEqual({
      learningRate: 1e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0.01,
    });
  });
  test('no clipping, no schedule', () => {
    const p = parameter([1]);
    const [plain, huge] = [new AdamW([p]), new AdamW([p], { maxGradNorm: 1e30, schedule: constant() })];
    expect([plain.learningRate, plain.learningRateAt(0, 10 ** 6), huge.learningRate]).toEqual([
      1e-3, 1e-3, 1e-3,
    ]);
    expect([plain.stepCount, plain.lastGradNorm]).toEqual([0, null]);
  });
});

describe('minimize', () => {
  test('forgets gradients, those from before included, and gives the loss without history', () => {
    const [p, q] = [parameter([3]), parameter([3])];
    const optimizer = new AdamW([p]);
    p.mul(1e6).sum().backward();
    const loss = optimizer.minimize(() => p.square().sum());
    expect([loss.itemSync(), loss.requiresGrad, p.grad]).toEqual([9, false, null]);
    expect(optimizer.lastGradNorm).toBe(6);
    const fresh = new AdamW([q]);
    fresh.minimize(() => q.square().sum());
    expect(numbers(p)).toEqual(numbers(q));
  });
  test('leaves gradients of other parameters alone', () => {
    const [p, other] = [parameter([3]), parameter([2])];
    new AdamW([p]).minimize(() => p.mul(other).sum());
    expect(numbers(other.grad!)).toEqual([3]);
    expect(numbers(other)).toEqual([2]);
  });
  test('works inside noGrad', () => {
    const p = parameter([3]);
    noGrad(() =>
      new AdamW([p], { learningRate: 0.5, weightDecay: 0, eps: 0 }).minimize(() => p.square().sum()),
    );
    expectNumbers(numbers(p), [2.5]);
  });
  test('takes losses of one element in any rank', () => {
    const p = parameter([3]);
    expect(new AdamW([p]).minimize(() => p.square().reshape([1, 1])).itemSync()).toBe(9);
  });
  test('step keeps the gradients, zeroGrad forgets them', () => {
    const p = parameter([3]);
    const optimizer = new AdamW([p]);
    p.square().sum().backward();
    optimizer.step();
    expect(numbers(p.grad!)).toEqual([6]);
    optimizer.zeroGrad();
    expect(p.grad).toBeNull();
  });
});

/** A small model, its optimizer and batches, all made anew from one seed. */
function training(kind: FloatDType): {
  readonly params: Parameter[];
  readonly optimizer: AdamW;
  readonly step: (i: number) => number;
} {
  const key = new Key(7);
  const params = [[3, 4], [4], [4, 2]].map(
    (shape, i) => new Parameter(key.foldIn(i).normal(shape, { dtype: kind })),
  );
  const [w, b, u] = params as [Parameter, Parameter, Parameter];
  const optimizer = new AdamW(
    [
      { params: [w, u], weightDecay: 0.1 },
      { params: [b], weightDecay: 0, learningRate: 0.03 },
    ],
    { learningRate: 0.05, maxGradNorm: 1, schedule: warmupCosine({ warmupSteps: 3, totalSteps: 12 }) },
  );
  const step = (i: number): number => {
    const x = key.foldIn(100 + i).normal([5, 3], { dtype: kind });
    // The last parameter takes part from step 2 on.
    const loss = (): Tensor => {
      const h = x.matmul(w).add(b).tanh();
      return (i < 2 ? h : h.matmul(u)).square().mean();
    };
    return optimizer.minimize(loss).itemSync();
  };
  return { params, optimizer, step };
}
type Training = ReturnType<typeof training>;
const valuesOf = ({ params }: Training): number[][] => params.map(numbers);
const plainState = ({ step, tensors }: OptimizerState): object => ({
  step,
  tensors: Object.fromEntries(
    Object.entries(tensors).map(([name, x]) => [name, { dtype: x.dtype, shape: x.shape, data: numbers(x) }]),
  ),
});
/** A copy that shares nothing with the original, as one that has been through a file. */
const copied = ({ step, tensors }: OptimizerState): OptimizerState => ({
  step,
  tensors: Object.fromEntries(
    Object.entries(tensors).map(([name, x]) => [name, fromData(x.dataSync(), x.shape, { dtype: x.dtype })]),
  ),
});

describe.each(['f32', 'f64'] as const)('resuming, %s', (kind) => {
  test.each([1, 2, 5])('after step %d goes on bit for bit', (at) => {
    const straight = training(kind);
    const losses = Array.from({ length: 8 }, (_, i) => straight.step(i));

    const first = training(kind);
    for (let i = 0; i < at; i++) first.step(i);
    const state = copied(first.optimizer.stateDict());
    const second = training(kind);
    second.params.forEach((p, i) => p.assign(first.params[i]!.detach()));
    second.optimizer.loadStateDict(state);
    expect(plainState(second.optimizer.stateDict())).toEqual(plainState(state));
    for (let i = at; i < 8; i++) expect(second.step(i)).toBe(losses[i]);
    expect(valuesOf(second)).toEqual(valuesOf(straight));
    expect(plainState(second.optimizer.stateDict())).toEqual(plainState(straight.optimizer.stateDict()));
  });
  test('a state keeps what it was taken with, and so does what was loaded from it', () => {
    const one = training(kind);
    one.step(0);
    one.step(2);
    const state = one.optimizer.stateDict();
    const before = plainState(state);
    const two = training(kind);
    two.optimizer.loadStateDict(state);
    for (let i = 2; i < 5; i++) one.step(i);
    expect(plainState(state)).toEqual(before);
    expect(plainState(two.optimizer.stateDict())).toEqual(before);
    for (let i = 2; i < 5; i++) two.step(i);
    expect(plainState(state)).toEqual(before);
  });
  test('a parameter that has had no gradient is not in the state; loading takes its means away', () => {
    const one = training(kind);
    const early = one.optimizer.stateDict();
    expect(early).toEqual({ step: 0, tensors: {} });
    one.step(0);
    const names = Object.keys(one.optimizer.stateDict().tensors);
    expect(names).toEqual(['0.step', '0.moment', '0.secondMoment', '2.step', '2.moment', '2.secondMoment']);
    for (let i = 1; i < 4; i++) one.step(i);
    expect(Object.keys(one.optimizer.stateDict().tensors).length).toBe(9);
    one.optimizer.loadStateDict(early);
    expect(one.optimizer.stateDict()).toEqual({ step: 0, tensors: {} });
    expect([one.optimizer.stepCount, one.optimizer.lastGradNorm]).toEqual([0, null]);
  });
});

describe('a step that fails changes nothing', () => {
  /** What a failing step must leave as it is, and a failing step. */
  const fail = (
    run: Training,
    loss: (w: Parameter) => Tensor,
    how: 'minimize' | 'step' = 'minimize',
  ): Error => {
    const [w] = run.params as [Parameter];
    const error = thrownBy(() => {
      if (how === 'minimize') run.optimizer.minimize(() => loss(w));
      else {
        run.optimizer.zeroGrad();
        loss(w).backward();
        run.optimizer.step();
      }
    });
    run.optimizer.zeroGrad();
    return error;
  };
  const failures: Record<string, [(w: Parameter) => Tensor, says: string]> = {
    'a loss of NaN': [
      (w) => w.sum().mul(NaN),
      'AdamW.minimize: the loss is NaN at step 4. Hint: nothing was changed',
    ],
    'an infinite loss': [
      (w) => w.square().sum().mul(Infinity),
      'AdamW.minimize: the loss is Infinity at step 4. Hint: nothing was changed',
    ],
    'a gradient of NaN under a finite loss': [
      // √0 · 0: the value is 0, its gradient ∞ · 0
      (w) => w.mul(0).sqrt().sum(),
      'AdamW.minimize: the norm of the gradients is NaN at step 4, first in the parameter: [3, 4] f64. Hint: nothing was changed',
    ],
    'an infinite gradient under a finite loss': [
      // √0, whose slope is infinite
      (w) => w.sub(w.detach()).sqrt().sum(),
      'AdamW.minimize: the norm of the gradients is Infinity at step 4, first in the parameter: [3, 4] f64',
    ],
    'an error in the function': [
      () => {
        throw new RangeError('of the function');
      },
      'of the function',
    ],
    'a loss of several numbers': [
      (w) => w.square(),
      'AdamW.minimize: the loss must be a single number: [3, 4] f64. Hint: take its mean',
    ],
    'no tensor': [(() => 3) as unknown as () => Tensor, 'AdamW.minimize: the loss must be a single number'],
    'a loss that depends on nothing': [() => tensor(3, { dtype }), 'does not depend on any tensor'],
  };
  test.each(Object.entries(failures))('%s', (_, [loss, says]) => {
    const [run, undisturbed] = [training(dtype), training(dtype)];
    for (let i = 0; i < 3; i++) run.step(i);
    const [values, state] = [valuesOf(run), plainState(run.optimizer.stateDict())];
    const { lastGradNorm, learningRate } = run.optimizer;
    expect(fail(run, loss).message).toContain(says);
    expect(valuesOf(run)).toEqual(values);
    expect(plainState(run.optimizer.stateDict())).toEqual(state);
    expect([run.optimizer.lastGradNorm, run.optimizer.learningRate]).toEqual([lastGradNorm, learningRate]);
    // Training goes on as if it had not been tried.
    const losses = Array.from({ length: 6 }, (_, i) => undisturbed.step(i));
    for (let i = 3; i < 6; i++) expect(run.step(i)).toBe(losses[i]);
    expect(valuesOf(run)).toEqual(valuesOf(undisturbed));
  });
  test('in step as well', () => {
    const run = training(dtype);
    run.step(0);
    const [values, state] = [valuesOf(run), plainState(run.optimizer.stateDict())];
    const error = fail(run, (w) => w.sum().mul(NaN), 'step');
    expect(error).toBeInstanceOf(ValueError);
    expect(error.message).toContain('AdamW.step: the norm of the gradients is NaN at step 2');
    expect(valuesOf(run)).toEqual(values);
    expect(plainState(run.optimizer.stateDict())).toEqual(state);
  });
  test('a schedule that gives no rate', () => {
    const p = parameter([1, 2]);
    const optimizer = new AdamW([p], { schedule: (step) => (step === 1 ? NaN : step === 2 ? -1 : 1) });
    optimizer.minimize(() => p.square().sum());
    const before = numbers(p);
    expect(thrownBy(() => optimizer.minimize(() => p.square().sum())).message).toBe(
      'AdamW.minimize: the learning rate is NaN at step 2. Hint: look at the schedule',
    );
    expect([numbers(p), optimizer.stepCount]).toEqual([before, 1]);
  });
  test('the kinds of errors', () => {
    const run = training(dtype);
    expect(fail(run, (w) => w.sum().mul(NaN))).toBeInstanceOf(ValueError);
    expect(fail(run, (w) => w.mul(0).sqrt().sum())).toBeInstanceOf(ValueError);
    expect(fail(run, (w) => w)).toBeInstanceOf(ShapeError);
    expect(fail(run, () => tensor(1))).toBeInstanceOf(GradientError);
  });
});

describe('learningRateAt', () => {
  test('is the group’s rate times the schedule, at any step', () => {
    const optimizer = new AdamW(
      [
        { params: [parameter([1])], name: 'a' },
        { params: [parameter([2])], learningRate: 5 },
      ],
      { learningRate: 2, schedule: (step) => 1 / (step + 1) },
    );
    expect([optimizer.learningRate, optimizer.learningRateAt()]).toEqual([2, 2]);
    expect([0, 1, 4].map((step) => optimizer.learningRateAt('a', step))).toEqual([2, 1, 0.4]);
    expect([0, 1, 4].map((step) => optimizer.learningRateAt(1, step))).toEqual([5, 2.5, 1]);
    optimizer.groups[0]!.params[0]!.grad = tensor([1], { dtype });
    optimizer.step();
    expect([optimizer.learningRate, optimizer.learningRateAt('1')]).toEqual([1, 2.5]);
  });
  test.each(['b', 2, -1])('there is no group %s', (group) => {
    const optimizer = new AdamW([{ params: [parameter([1])], name: 'a' }]);
    const error = thrownBy(() => optimizer.learningRateAt(group));
    expect(error).toBeInstanceOf(IndexError);
    expect(error.message).toBe(`AdamW.learningRateAt: there is no group ${group}. Hint: groups: a`);
  });
});

describe('loadStateDict refuses', () => {
  const good = (): OptimizerState => {
    const run = training(dtype);
    for (let i = 0; i < 3; i++) run.step(i);
    return run.optimizer.stateDict();
  };
  type Change = (tensors: Record<string, Tensor>) => void;
  const rows: Record<string, [Change, string]> = {
    'a part of one parameter missing': [
      (all) => delete all['1.moment'],
      'AdamW.loadStateDict: missing 1.moment. Hint: is the model the same, and are the groups in the same order?',
    ],
    'two parts missing': [
      (all) => {
        delete all['1.step'];
        delete all['1.secondMoment'];
      },
      'missing 1.step, 1.secondMoment',
    ],
    'a parameter too many': [(all) => (all['3.step'] = tensor([1], { dtype: 'i32' })), 'unexpected 3.step'],
    'another shape': [
      (all) => (all['0.moment'] = zeros([4, 3], { dtype })),
      '0.moment is [4, 3] f64, the parameter [3, 4] f64',
    ],
    'another dtype': [
      (all) => (all['0.secondMoment'] = zeros([3, 4])),
      '0.secondMoment is [3, 4] f32, the parameter [3, 4] f64',
    ],
    'several step counts': [(all) => (all['2.step'] = tensor([1, 2], { dtype: 'i32' })), '2.step is [2] i32'],
  };
  test.each(Object.entries(rows))('%s, and changes nothing', (_, [change, says]) => {
    const run = training(dtype);
    run.step(0);
    const before = plainState(run.optimizer.stateDict());
    const state = good();
    change(state.tensors);
    const error = thrownBy(() => run.optimizer.loadStateDict(state));
    expect(error).toBeInstanceOf(ValueError);
    expect(error.message).toContain(says);
    expect(plainState(run.optimizer.stateDict())).toEqual(before);
  });
  test.each([-1, 1.5, NaN])('step %d', (step) => {
    const run = training(dtype);
    expect(() => run.optimizer.loadStateDict({ ...good(), step })).toThrow(
      `step ${step} is not an integer ≥ 0`,
    );
  });
  test('all at once', () => {
    const state = good();
    delete state.tensors['1.moment'];
    state.tensors['x'] = zeros([1]);
    state.tensors['0.moment'] = zeros([1]);
    const { message } = thrownBy(() => training(dtype).optimizer.loadStateDict({ ...state, step: -1 }));
    for (const part of ['step -1', 'missing 1.moment', '0.moment is [1] f32', 'unexpected x'])
      expect(message).toContain(part);
  });
});

test.each([0, -1, NaN])('maxGradNorm %d is refused', (maxGradNorm) => {
  const error = thrownBy(() => new AdamW([parameter([1])], { maxGradNorm }));
  expect(error).toBeInstanceOf(ValueError);
  expect(error.message).toBe(`AdamW: maxNorm must be > 0, got ${maxGradNorm}`);
});
