/** Settings of the named optimizers: what is refused, in the optimizer and in a group; changing them; freezing. */
import {
  Adadelta,
  Adafactor,
  Adagrad,
  Adam,
  Adamax,
  AdamW,
  ChainOptimizer,
  clipGradValue,
  LAMB,
  Lion,
  Muon,
  NAdam,
  Parameter,
  RAdam,
  RMSprop,
  ScheduleFreeAdamW,
  SGD,
  transforms,
  type Optimizer,
} from '@infinigrad/nn';
import { IndexError, ones, ShapeError, tensor, ValueError } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectNumbers, numbers } from '../support.ts';

const matrix = (): Parameter => new Parameter(ones([2, 2]));
type Made = new (params: never, options?: never) => Optimizer;

const notNegative = (...names: string[]): [object, string][] =>
  names.flatMap((name): [object, string][] => [
    [{ [name]: -1 }, `${name} must be a number ≥ 0, got -1`],
    [{ [name]: NaN }, `${name} must be a number ≥ 0, got NaN`],
  ]);
const truth = (name: string): [object, string] => [{ [name]: 1 }, `${name} must be true or false, got 1`];
const betas: [object, string][] = [
  [{ betas: [1, 0] }, 'betas must lie in [0, 1), got 1, 0'],
  [{ betas: [0] }, 'betas must lie in [0, 1), got 0'],
  [{ betas: 0.9 }, 'betas must lie in [0, 1), got 0.9'],
];

const rows: [Made, [object, string][]][] = [
  [
    SGD,
    [
      ...notNegative('learningRate', 'momentum', 'weightDecay'),
      [{ dampening: NaN }, 'dampening must be finite, got NaN'],
      truth('nesterov'),
      [{ nesterov: true }, 'nesterov needs momentum > 0 and no dampening'],
      [{ nesterov: true, momentum: 0.9, dampening: 0.1 }, 'nesterov needs momentum > 0 and no dampening'],
    ],
  ],
  [Adam, [...notNegative('learningRate', 'eps', 'weightDecay'), ...betas, truth('amsgrad')]],
  [AdamW, [...notNegative('learningRate', 'eps', 'weightDecay'), ...betas, truth('amsgrad')]],
  [NAdam, [...notNegative('eps', 'weightDecay', 'momentumDecay'), ...betas, truth('decoupledWeightDecay')]],
  [RAdam, [...notNegative('eps', 'weightDecay'), ...betas, truth('decoupledWeightDecay')]],
  [Adamax, [...notNegative('eps', 'weightDecay'), ...betas]],
  [LAMB, [...notNegative('eps', 'weightDecay'), ...betas, [{ mostNorm: 0 }, 'mostNorm must be > 0, got 0']]],
  [Lion, [...notNegative('weightDecay'), ...betas]],
  [Adagrad, notNegative('rateDecay', 'weightDecay', 'initial', 'eps')],
  [
    RMSprop,
    [
      ...notNegative('eps', 'weightDecay', 'momentum'),
      [{ decay: 1 }, 'decay must lie in [0, 1), got 1'],
      truth('centered'),
    ],
  ],
  [Adadelta, [...notNegative('eps', 'weightDecay'), [{ decay: -1 }, 'decay must lie in [0, 1), got -1']]],
  [
    Adafactor,
    [
      ...notNegative('decayPower', 'weightDecay'),
      [{ eps: [1] }, 'eps must be two numbers'],
      [{ eps: [-1, 1] }, 'eps[0] must be a number ≥ 0, got -1'],
      [{ eps: [null, NaN] }, 'eps[1] must be a number ≥ 0, got NaN'],
      [{ clipThreshold: 0 }, 'clipThreshold must be a number > 0, got 0'],
      [{ momentum: 1 }, 'momentum must lie in [0, 1), got 1'],
      truth('relativeStep'),
      truth('scaleParameter'),
    ],
  ],
  [
    Muon,
    [
      ...notNegative('weightDecay', 'eps'),
      [{ momentum: 1 }, 'momentum must lie in [0, 1), got 1'],
      truth('nesterov'),
      [{ coefficients: [1, 2] }, 'coefficients must be three numbers'],
      [{ coefficients: [1, 2, Infinity] }, 'coefficients[2] must be finite, got Infinity'],
      [{ iterations: 0.5 }, 'iterations must be an integer ≥ 0, got 0.5'],
      [{ adjustment: 'x' }, "adjustment must be 'original', 'matchRmsAdamW' or 'none', got 'x'"],
    ],
  ],
  [
    ScheduleFreeAdamW,
    [...notNegative('eps', 'weightDecay', 'warmupSteps', 'averagePower', 'ratePower'), ...betas],
  ],
];

describe.each(rows.map(([kind, refused]) => [kind.name, kind, refused] as const))(
  '%s',
  (name, Kind, refused) => {
    test.each(refused)('refuses %j', (options, says) => {
      const bodies: [() => Optimizer, string][] = [
        [() => new Kind([matrix()] as never, options as never), '0'],
        [
          () => new Kind([{ params: [matrix()] }, { params: [matrix()], name: 'x', ...options }] as never),
          'x',
        ],
      ];
      for (const [body, group] of bodies) {
        expect(body).toThrow(ValueError);
        expect(body).toThrow(`${name}: ${says} (group ${group})`);
      }
      const optimizer = new Kind([matrix()] as never);
      const before = optimizer.groups;
      expect(() => optimizer.configure(0, options)).toThrow(`${name}.configure: ${says} (group 0)`);
      expect(optimizer.groups).toBe(before);
    });
    test('refuses options and settings that there are not', () => {
      const make = (): Optimizer => new Kind([matrix()] as never, { lr: 1 } as never);
      expect(make).toThrow(ValueError);
      expect(make).toThrow(`${name}: there is no option lr. Hint: options: learningRate`);
      expect(() => new Kind([{ params: [matrix()], lr: 1 }] as never)).toThrow(
        `${name}: there is no setting lr (group 0)`,
      );
    });
  },
);

describe('options of all', () => {
  const p = matrix();
  test.each([
    [{ maxGradNorm: 0 }, 'SGD: maxNorm must be > 0, got 0'],
    [{ maxGradValue: NaN }, 'SGD: maxGradValue must be > 0, got NaN'],
    [{ maxGradNorm: 1, maxGradValue: 1 }, 'SGD: takes maxGradNorm or maxGradValue, not both'],
    [{ lookahead: { every: 0 } }, 'SGD: lookahead.every must be an integer ≥ 1, got 0'],
    [{ lookahead: { weight: 0 } }, 'SGD: lookahead.weight must lie in (0, 1], got 0'],
  ])('%j is refused', (options, says) => {
    expect(() => new SGD([p], options)).toThrow(ValueError);
    expect(() => new SGD([p], options)).toThrow(says);
  });
  test('clipGradValue refuses a limit that is not > 0', () => {
    expect(() => clipGradValue([p], 0)).toThrow(ValueError);
    expect(() => clipGradValue([p], NaN)).toThrow('clipGradValue: limit must be > 0, got NaN');
  });
  test('clipGradValue brings elements within the limit, and is as maxGradValue', () => {
    const [a, b, c] = [matrix(), matrix(), matrix()];
    a.grad = b.grad = tensor([
      [5, -5],
      [0.1, -0.1],
    ]);
    clipGradValue([a, a, c], 0.5);
    expect([numbers(a.grad), c.grad]).toEqual([[0.5, -0.5, ...numbers(tensor([0.1, -0.1]))], null]);
    new SGD([a], { learningRate: 1 }).step();
    new SGD([b], { learningRate: 1, maxGradValue: 0.5 }).step();
    expect(numbers(a)).toEqual(numbers(b));
  });
  test('Muon refuses vectors', () => {
    const make = (): Muon => new Muon([matrix(), new Parameter(ones([2]))]);
    expect(make).toThrow(ShapeError);
    expect(make).toThrow('Muon: takes matrices: [2] f32. Hint: give biases, gains and embeddings to AdamW');
  });
  test('schedule-free averages refuse lookahead, and steps while the average is shown', () => {
    expect(() => new ScheduleFreeAdamW([p], { lookahead: {} })).toThrow(
      'has an average already: no lookahead',
    );
    const own = matrix();
    const optimizer = new ScheduleFreeAdamW([own]);
    optimizer.minimize(() => own.square().sum());
    optimizer.eval();
    const before = numbers(own);
    expect(() => optimizer.minimize(() => own.square().sum())).toThrow(
      'ScheduleFreeAdamW: the parameters are the average. Hint: call train() before a step',
    );
    expect([numbers(own), optimizer.stepCount]).toEqual([before, 1]);
    expect([optimizer.training, optimizer.averaged(() => optimizer.training), optimizer.training]).toEqual([
      false,
      false,
      false,
    ]);
  });
});

describe('configure', () => {
  const g = tensor([
    [1, 1],
    [1, 1],
  ]);
  test('changes what it is told, from the next step on', () => {
    const [a, b] = [matrix(), matrix()];
    const optimizer = new SGD([{ params: [a], name: 'a' }, { params: [b] }], { learningRate: 0.5 });
    const step = (): number[] => {
      a.grad = b.grad = g;
      optimizer.step();
      return [numbers(a)[0]!, numbers(b)[0]!];
    };
    expect(step()).toEqual([0.5, 0.5]);
    optimizer.configure('a', { learningRate: 0.25 });
    optimizer.configure(1, { frozen: true });
    expect(optimizer.groups.map(({ learningRate, frozen = false }) => [learningRate, frozen])).toEqual([
      [0.25, false],
      [0.5, true],
    ]);
    expect(step()).toEqual([0.25, 0.5]);
    expect(optimizer.lastGradNorm).toBe(2);
    optimizer.configure(1, { frozen: false });
    expect(step()).toEqual([0, 0]);
  });
  test('of a chain takes settings of its transforms', () => {
    const a = matrix();
    const optimizer = new AdamW([a], {
      amsgrad: true,
      learningRate: 0.5,
      betas: [0, 0],
      eps: 0,
      weightDecay: 0,
    });
    a.grad = g;
    optimizer.step();
    expectNumbers(numbers(a), [0.5, 0.5, 0.5, 0.5], 1e-6);
    optimizer.configure(0, { weightDecay: 1 });
    optimizer.step();
    expectNumbers(numbers(a), [-0.25, -0.25, -0.25, -0.25], 1e-6);
  });
  test.each(['x', 1, -1])('there is no group %s', (group) => {
    const optimizer = new ChainOptimizer([matrix()], transforms.chain(transforms.scale(1)));
    expect(() => optimizer.configure(group, {})).toThrow(IndexError);
    expect(() => optimizer.configure(group, {})).toThrow(
      `ChainOptimizer.configure: there is no group ${group}. Hint: groups: 0`,
    );
  });
});
