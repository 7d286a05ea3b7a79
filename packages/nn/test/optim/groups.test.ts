/** Parameter groups: whose settings are whose, and what is refused. */
import { AdamW, Linear, Parameter, type AdamWOptions, type ParameterGroup } from '@infinigrad/nn';
import { Key, ones, tensor, ValueError } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { numbers } from '../support.ts';

const p = (): Parameter => new Parameter(ones([2]));

describe('groups', () => {
  test('a plain list is one group with the optimizer’s settings', () => {
    const params = [p(), p()];
    const { groups } = new AdamW(params, {
      learningRate: 0.5,
      betas: [0.1, 0.2],
      eps: 1e-3,
      weightDecay: 0.3,
    });
    expect(groups).toEqual([
      {
        params,
        name: '0',
        learningRate: 0.5,
        betas: [0.1, 0.2],
        eps: 1e-3,
        weightDecay: 0.3,
        amsgrad: false,
      },
    ]);
    expect(groups[0]!.params).toEqual(params);
  });
  test('what a group leaves out is as in the optimizer; names are places unless given', () => {
    const { groups } = new AdamW(
      [
        { params: [p()] },
        { params: [p()], learningRate: 1, name: 'fast' },
        { params: [p()], weightDecay: 0, betas: [0, 0] },
        { params: [p()], eps: 1 },
      ],
      { learningRate: 0.5, weightDecay: 0.25 },
    );
    const seen = groups.map(({ name, learningRate, weightDecay, betas, eps }) => [
      name,
      learningRate,
      weightDecay,
      betas,
      eps,
    ]);
    expect(seen).toEqual([
      ['0', 0.5, 0.25, [0.9, 0.999], 1e-8],
      ['fast', 1, 0.25, [0.9, 0.999], 1e-8],
      ['2', 0.5, 0, [0, 0], 1e-8],
      ['3', 0.5, 0.25, [0.9, 0.999], 1],
    ]);
  });
  test('parameters come from any iterable, and are counted through all groups', () => {
    const model = new Linear(2, 3, { key: new Key(0) });
    const named = model.namedParameters();
    const list = function* (): Generator<Parameter> {
      yield* named.values();
    };
    expect(new AdamW(list()).parameters).toEqual([model.weight, model.bias]);
    expect(new AdamW(named.values()).parameters).toEqual([model.weight, model.bias]);
    const optimizer = new AdamW([{ params: [model.bias!] }, { params: new Set([model.weight]) }]);
    expect(optimizer.parameters).toEqual([model.bias, model.weight]);
  });
  test('an empty group beside others is allowed', () => {
    const optimizer = new AdamW([{ params: [] }, { params: [p()] }]);
    expect(optimizer.groups.map(({ params }) => params.length)).toEqual([0, 1]);
  });
  test('each group moves by its own rate', () => {
    const [a, b] = [p(), p()];
    const optimizer = new AdamW([{ params: [a], learningRate: 0.25 }, { params: [b] }], {
      learningRate: 0.5,
      weightDecay: 0,
      eps: 0,
    });
    optimizer.minimize(() => a.sum().add(b.sum()));
    expect([numbers(a), numbers(b)]).toEqual([
      [0.75, 0.75],
      [0.5, 0.5],
    ]);
  });
});

describe('refused', () => {
  const shared = p();
  const rows: [string, () => AdamW, string][] = [
    ['no parameters', () => new AdamW([]), 'AdamW: needs at least one parameter'],
    ['only empty groups', () => new AdamW([{ params: [] }]), 'AdamW: needs at least one parameter'],
    [
      'parameters beside groups',
      () => new AdamW([p(), { params: [p()] }] as ParameterGroup[]),
      'AdamW: takes parameters or parameter groups, not both in one list',
    ],
    [
      'a parameter named twice',
      () => new AdamW([shared, shared]),
      'AdamW: group 0 holds a parameter that has been named before: [2] f32',
    ],
    [
      'a parameter in two groups',
      () => new AdamW([{ params: [shared] }, { params: [p(), shared], name: 'late' }]),
      'AdamW: group late holds a parameter that has been named before: [2] f32',
    ],
    [
      'a tensor that is no parameter',
      () => new AdamW([{ params: [tensor([1]) as Parameter] }]),
      'AdamW: group 0 holds something that is not a Parameter',
    ],
    [
      'tensors in place of parameters',
      () => new AdamW([tensor([1])] as unknown as Parameter[]),
      'AdamW: takes parameters, or groups with a list of them as params',
    ],
    [
      'a group without parameters',
      () => new AdamW([{ learningRate: 1 }] as unknown as ParameterGroup[]),
      'AdamW: takes parameters, or groups with a list of them as params',
    ],
  ];
  test.each(rows)('%s', (_, body, says) => {
    expect(body).toThrow(ValueError);
    expect(body).toThrow(says);
  });
  const settings: [AdamWOptions, string][] = [
    [{ learningRate: -1 }, 'learningRate must be a number ≥ 0, got -1'],
    [{ learningRate: NaN }, 'learningRate must be a number ≥ 0, got NaN'],
    [{ learningRate: Infinity }, 'learningRate must be a number ≥ 0, got Infinity'],
    [{ weightDecay: -0.1 }, 'weightDecay must be a number ≥ 0, got -0.1'],
    [{ weightDecay: NaN }, 'weightDecay must be a number ≥ 0, got NaN'],
    [{ betas: [1, 0.9] }, 'betas must lie in [0, 1), got 1, 0.9'],
    [{ betas: [0.9, -0.1] }, 'betas must lie in [0, 1), got 0.9, -0.1'],
    [{ betas: [0.9] as unknown as [number, number] }, 'betas must lie in [0, 1), got 0.9'],
    [{ eps: -1 }, 'eps must be a number ≥ 0, got -1'],
    [{ eps: NaN }, 'eps must be a number ≥ 0, got NaN'],
  ];
  test.each(settings)('%j, in the optimizer and in a group', (options, says) => {
    expect(() => new AdamW([p()], options)).toThrow(ValueError);
    expect(() => new AdamW([p()], options)).toThrow(`AdamW: ${says} (group 0)`);
    const { maxGradNorm: _, schedule: __, ...own } = options;
    expect(() => new AdamW([{ params: [p()] }, { params: [p()], name: 'x', ...own }])).toThrow(
      `${says} (group x)`,
    );
  });
});
