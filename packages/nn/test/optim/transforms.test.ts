/** Gradient transforms one by one, chains of them, and what they refuse. */
import { ChainOptimizer, Parameter, transforms, type Optimizer } from '@infinigrad/nn';
import { fromData, Key, tensor, ValueError } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { dot, expectNumbers, numbers } from '../support.ts';

const dtype = 'f64' as const;
const t = transforms;
type Chain = transforms.Chain;

const parameter = (values: number[]): Parameter => new Parameter(tensor(values, { dtype }));

/** What a chain adds to parameters that are all zero, step by step. */
function updates(
  parts: Chain,
  gradients: readonly (readonly number[])[],
  values?: number[],
  learningRate = 0.5,
): number[][] {
  const first = gradients[0]!;
  const p = parameter(values ?? first.map(() => 0));
  const optimizer = new ChainOptimizer([p], parts, { learningRate });
  let before = numbers(p);
  return gradients.map((g) => {
    p.grad = tensor([...g], { dtype });
    optimizer.step();
    const after = numbers(p);
    const change = after.map((x, i) => x - before[i]!);
    before = after;
    return change;
  });
}
const once = (part: transforms.GradientTransform, g: number[], values?: number[]): number[] =>
  updates(t.chain(part), [g], values)[0]!;

describe('one by one', () => {
  test('scale, scaleByLearningRate, scaleBySchedule', () => {
    expectNumbers(once(t.scale(-2), [1, 3]), [-2, -6]);
    expectNumbers(once(t.scale(1), [1, 3]), [1, 3]);
    expectNumbers(once(t.scaleByLearningRate(), [1, 3]), [-0.5, -1.5]);
    const found = updates(t.chain(t.scaleBySchedule((step) => step + 2)), [[1], [1], [1]]);
    expectNumbers(found.flat(), [2, 3, 4]);
  });
  test('addDecayedWeights', () => expectNumbers(once(t.addDecayedWeights(0.1), [1, 1], [10, -20]), [2, -1]));
  test('clipByValue', () => expectNumbers(once(t.clipByValue(2), [-5, 1, 3]), [-2, 1, 2]));
  test('clipByNorm, of each parameter by itself', () => {
    const [p, q] = [parameter([0, 0]), parameter([0])];
    const optimizer = new ChainOptimizer([p, q], t.chain(t.clipByNorm(1)));
    p.grad = tensor([3, 4], { dtype });
    q.grad = tensor([0.5], { dtype });
    optimizer.step();
    expectNumbers([...numbers(p), ...numbers(q)], [0.6, 0.8, 0.5], 1e-6);
  });
  test('zeroNonFinite', () => {
    // Behind something that makes them: gradients themselves must be finite.
    const spoil: transforms.GradientTransform = {
      name: 'spoil',
      apply: (update) => ({ update: tensor([NaN, 1, -Infinity], { dtype }).mul(update) }),
    };
    expectNumbers(updates(t.chain(spoil, t.zeroNonFinite()), [[1, 2, 3]])[0]!, [0, 2, 0]);
  });
  test('centralize leaves vectors as they are', () => {
    expectNumbers(once(t.centralize(), [1, 3]), [1, 3]);
    const p = new Parameter(
      tensor(
        [
          [0, 0],
          [0, 0],
        ],
        { dtype },
      ),
    );
    p.grad = tensor(
      [
        [1, 3],
        [5, 5],
      ],
      { dtype },
    );
    new ChainOptimizer([p], t.chain(t.centralize())).step();
    expectNumbers(numbers(p), [-1, 1, 0, 0]);
  });
  test('trace', () => {
    const gradients = [[1], [2], [3]];
    expectNumbers(updates(t.chain(t.trace({ momentum: 0.5 })), gradients).flat(), [1, 2.5, 4.25]);
    expectNumbers(
      updates(t.chain(t.trace({ momentum: 0.5, nesterov: true })), gradients).flat(),
      [1.5, 3.25, 5.125],
    );
    expectNumbers(
      updates(t.chain(t.trace({ momentum: 0.5, dampening: 0.5 })), gradients).flat(),
      [1, 1.5, 2.25],
    );
  });
  test('ema, corrected for its start or not', () => {
    expectNumbers(updates(t.chain(t.ema(0.5)), [[1], [4]]).flat(), [1, (0.25 + 2) / 0.75]);
    expectNumbers(updates(t.chain(t.ema(0.5, { debias: false })), [[1], [4]]).flat(), [0.5, 2.25]);
  });
  test('scaleByTrustRatio', () => {
    expectNumbers(once(t.scaleByTrustRatio(), [0, 2], [3, 4]), [0, 5]);
    expectNumbers(once(t.scaleByTrustRatio({ mostNorm: 1 }), [0, 2], [3, 4]), [0, 1]);
    expectNumbers(once(t.scaleByTrustRatio(), [0, 2], [0, 0]), [0, 2]);
  });
  test('clipByRms and scaleByParameterRms', () => {
    expectNumbers(once(t.clipByRms(1), [3, 4, 0, 0]), [3 / 2.5, 4 / 2.5, 0, 0]);
    expectNumbers(once(t.clipByRms(10), [3, 4, 0, 0]), [3, 4, 0, 0]);
    expectNumbers(once(t.scaleByParameterRms(), [1, 1, 1, 1], [3, 4, 0, 0]), [2.5, 2.5, 2.5, 2.5]);
    expectNumbers(once(t.scaleByParameterRms(0.5), [1], [0]), [0.5]);
  });
  test('orthogonalize with the coefficients of the polar factor brings all singular values to 1', () => {
    const p = new Parameter(
      tensor(
        [
          [0, 0, 0],
          [0, 0, 0],
        ],
        { dtype },
      ),
    );
    p.grad = new Key(0).normal([2, 3], { dtype });
    new ChainOptimizer(
      [p],
      t.chain(t.orthogonalize({ coefficients: [1.5, -0.5, 0], iterations: 30 })),
    ).step();
    const product = numbers(p.detach().matmul(p.detach().transpose(0, 1)));
    expectNumbers(product, [1, 0, 0, 1], 1e-9);
    expect(dot(numbers(p), numbers(p.grad))).toBeGreaterThan(0);
  });
  test('orthogonalize and scaleByShape leave vectors as they are', () => {
    expectNumbers(once(t.orthogonalize(), [3, 4]), [3, 4]);
    expectNumbers(once(t.scaleByShape('matchRmsAdamW'), [3, 4]), [3, 4]);
  });
});

describe('chains', () => {
  test('clipByGlobalNorm looks at all parameters, also behind other transforms, and is as maxGradNorm', () => {
    const make = (parts: Chain, options: object = {}): { all: Parameter[]; optimizer: Optimizer } => {
      const all = [parameter([1, 2]), parameter([3]), parameter([4])];
      return { all, optimizer: new ChainOptimizer(all, parts, { learningRate: 1, ...options }) };
    };
    const step = ({ all, optimizer }: ReturnType<typeof make>): number[] => {
      all.forEach((p, i) => (p.grad = i === 2 ? null : p.detach().mul(3)));
      optimizer.step();
      return all.flatMap(numbers);
    };
    const option = make(t.chain(t.scaleByLearningRate()), { maxGradNorm: 0.5 });
    const first = make(t.chain(t.clipByGlobalNorm(0.5), t.scaleByLearningRate()));
    const later = make(t.chain(t.scale(2), t.trace({ momentum: 0 }), t.clipByGlobalNorm(1), t.scale(-0.5)));
    for (let i = 0; i < 3; i++) {
      const expected = step(option);
      expectNumbers(step(first), expected, 1e-12);
      expectNumbers(step(later), expected, 1e-6);
    }
    expect(option.all.flatMap(numbers)).not.toEqual([1, 2, 3, 4]);
  });
  test('two of them, one behind the other', () => {
    const [p, q] = [parameter([0]), parameter([0])];
    const optimizer = new ChainOptimizer(
      [p, q],
      t.chain(t.clipByGlobalNorm(1), t.scale(10), t.clipByGlobalNorm(2)),
    );
    p.grad = tensor([3], { dtype });
    q.grad = tensor([4], { dtype });
    optimizer.step();
    expectNumbers([...numbers(p), ...numbers(q)], [1.2, 1.6], 1e-6);
  });
  test('keep the state of each transform by its name, with a number where a name comes again', () => {
    const p = parameter([1, 2]);
    const optimizer = new ChainOptimizer(
      [p],
      t.chain(t.ema(0.5), t.chain(t.ema(0.9), t.scaleByNAdam()), t.trace({ momentum: 0.1 })),
    );
    p.grad = tensor([1, 1], { dtype });
    optimizer.step();
    const { tensors } = optimizer.stateDict();
    expect(Object.keys(tensors).sort()).toEqual(
      ['0.mean', '0.mean.2', '0.moment', '0.momentum', '0.muProduct', '0.secondMoment', '0.step'].sort(),
    );
    expectNumbers(numbers(tensors['0.mean']!), [0.5, 0.5]);
    expectNumbers(numbers(tensors['0.mean.2']!), [0.1, 0.1]);
  });
  test('a transform of one’s own, with state', () => {
    const count: transforms.GradientTransform = {
      name: 'count',
      slots: ({ shape, dtype }) => ({ total: { shape, dtype, initial: 10 }, calls: 5 }),
      apply: (update, { state, numbers: { calls } }) => {
        const total = state['total']!.add(update);
        return { update: total.mul(calls!), state: { total }, numbers: { calls: calls! + 1 } };
      },
    };
    expectNumbers(updates(t.chain(count), [[1], [1]]).flat(), [55, 72]);
  });
  test('groups have rates of their own', () => {
    const [p, q] = [parameter([0]), parameter([0])];
    const optimizer = new ChainOptimizer(
      [{ params: [p] }, { params: [q], learningRate: 2 }],
      t.chain(t.scaleByLearningRate()),
      { learningRate: 1, name: 'Mine' },
    );
    p.grad = q.grad = tensor([1], { dtype });
    optimizer.step();
    expectNumbers([...numbers(p), ...numbers(q)], [-1, -2]);
    expect(() => optimizer.learningRateAt(2)).toThrow('Mine.learningRateAt: there is no group 2');
  });
  test('of f16 compute in f32', () => {
    const p = new Parameter(fromData(Float32Array.of(1), [1]).cast('f16'));
    p.grad = tensor([1e-6]).cast('f16');
    const optimizer = new ChainOptimizer([p], t.chain(t.scaleByRms({ decay: 0 }), t.scale(-0.5)));
    optimizer.step();
    expectNumbers(numbers(p), [0.5], 0.02);
  });
});

describe('refused', () => {
  const rows: [string, () => unknown, string][] = [
    ['no transforms', () => t.chain(), 'chain: needs at least one transform'],
    ['something else', () => t.chain({ name: 'x' } as never), 'chain: takes transforms and chains of them'],
    [
      'a name that is taken',
      () =>
        updates(
          t.chain({ name: 'mine', slots: (slot) => ({ slow: slot }), apply: (update) => ({ update }) }),
          [[1]],
        ),
      "chain: mine keeps something as 'slow'. Hint: these names are taken: step, slow, master",
    ],
    ['scale', () => t.scale(NaN), 'scale: factor must be finite, got NaN'],
    ['addDecayedWeights', () => t.addDecayedWeights(-1), 'weightDecay must be a number ≥ 0, got -1'],
    ['clipByValue', () => t.clipByValue(0), 'clipByValue: limit must be > 0, got 0'],
    ['clipByGlobalNorm', () => t.clipByGlobalNorm(0), 'clipByGlobalNorm: maxNorm must be > 0, got 0'],
    ['clipByNorm', () => t.clipByNorm(NaN), 'clipByNorm: maxNorm must be > 0, got NaN'],
    ['trace', () => t.trace({ momentum: -1 }), 'trace: momentum must be a number ≥ 0, got -1'],
    ['trace', () => t.trace({ momentum: 1, dampening: NaN }), 'trace: dampening must be finite, got NaN'],
    ['ema', () => t.ema(1), 'ema: decay must lie in [0, 1), got 1'],
    ['scaleByLion', () => t.scaleByLion({ betas: [1, 0] }), 'scaleByLion: β₁ must lie in [0, 1), got 1'],
    ['scaleByLion', () => t.scaleByLion({ betas: [0, -1] }), 'scaleByLion: β₂ must lie in [0, 1), got -1'],
    ...(['scaleByAdam', 'scaleByNAdam', 'scaleByRAdam', 'scaleByAdamax'] as const).flatMap(
      (name): [string, () => unknown, string][] => [
        [name, () => t[name]({ betas: [1, 0] }), `${name}: β₁ must lie in [0, 1), got 1`],
        [name, () => t[name]({ betas: [0, 1] }), `${name}: β₂ must lie in [0, 1), got 1`],
        [name, () => t[name]({ eps: -1 }), `${name}: eps must be a number ≥ 0, got -1`],
      ],
    ),
    [
      'scaleByNAdam',
      () => t.scaleByNAdam({ momentumDecay: -1 }),
      'momentumDecay must be a number ≥ 0, got -1',
    ],
    ['scaleByRms', () => t.scaleByRms({ decay: 1 }), 'scaleByRms: decay must lie in [0, 1), got 1'],
    ['scaleByRms', () => t.scaleByRms({ eps: NaN }), 'scaleByRms: eps must be a number ≥ 0, got NaN'],
    ...(['rateDecay', 'initial', 'eps'] as const).map((name): [string, () => unknown, string] => [
      `scaleByAdagrad, ${name}`,
      () => t.scaleByAdagrad({ [name]: -1 }),
      `scaleByAdagrad: ${name} must be a number ≥ 0, got -1`,
    ]),
    [
      'scaleByAdadelta',
      () => t.scaleByAdadelta({ decay: 1 }),
      'scaleByAdadelta: decay must lie in [0, 1), got 1',
    ],
    [
      'scaleByAdadelta',
      () => t.scaleByAdadelta({ eps: -1 }),
      'scaleByAdadelta: eps must be a number ≥ 0, got -1',
    ],
    ['scaleByTrustRatio', () => t.scaleByTrustRatio({ mostNorm: 0 }), 'mostNorm must be > 0, got 0'],
    [
      'scaleByFactoredRms',
      () => t.scaleByFactoredRms({ decayPower: -1 }),
      'decayPower must be a number ≥ 0, got -1',
    ],
    ['scaleByFactoredRms', () => t.scaleByFactoredRms({ eps: -1 }), 'eps must be a number ≥ 0, got -1'],
    ['clipByRms', () => t.clipByRms(0), 'clipByRms: limit must be > 0, got 0'],
    ['scaleByParameterRms', () => t.scaleByParameterRms(-1), 'least must be a number ≥ 0, got -1'],
    ['orthogonalize', () => t.orthogonalize({ iterations: -1 }), 'iterations must be an integer ≥ 0, got -1'],
    [
      'orthogonalize',
      () => t.orthogonalize({ coefficients: [1, NaN, 1] }),
      'coefficients must be three numbers, got 1, NaN, 1',
    ],
    ['orthogonalize', () => t.orthogonalize({ eps: -1 }), 'orthogonalize: eps must be a number ≥ 0, got -1'],
    ['scaleByShape', () => t.scaleByShape('x' as 'none'), "scaleByShape: there is no adjustment 'x'"],
  ];
  test.each(rows)('%s', (_, body, says) => {
    expect(body).toThrow(ValueError);
    expect(body).toThrow(says);
  });
});
