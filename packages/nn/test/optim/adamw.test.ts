/** AdamW: PyTorch's trace, the formula, defaults, learning rates. */
import { noGrad } from '@infinigrad/autograd';
import { AdamW, clipGradNorm, constant, Parameter, warmupCosine } from '@infinigrad/nn';
import { IndexError, Key, tensor, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectNumbers, fixture, numbers, restored, type Stored } from '../support.ts';
import { dtype, thrownBy } from './support.ts';

const parameter = (values: number[]): Parameter => new Parameter(tensor(values, { dtype }));

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

test.each([0, -1, NaN])('maxGradNorm %d is refused', (maxGradNorm) => {
  const error = thrownBy(() => new AdamW([parameter([1])], { maxGradNorm }));
  expect(error).toBeInstanceOf(ValueError);
  expect(error.message).toBe(`AdamW: maxNorm must be > 0, got ${maxGradNorm}`);
});
