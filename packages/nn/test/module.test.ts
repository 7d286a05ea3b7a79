/** Module trees: names, the training flag, saving and loading. */
import { Dropout, Linear, Module, Parameter, RMSNorm, StateError, type LoadReport } from '@infinigrad/nn';
import { Key, ones, tensor, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { numbers } from './support.ts';

class Block extends Module {
  readonly norm = new RMSNorm(3, { dtype: 'f64' });
  readonly proj: Linear;
  readonly drop = new Dropout(0.5);
  readonly shift: Parameter | null = null;
  readonly root: Module;

  constructor(key: Key, root: Module) {
    super();
    this.proj = new Linear(3, 3, { key, dtype: 'f64' });
    this.root = root;
  }
}

class Model extends Module {
  readonly name = 'a model';
  readonly layers: readonly Block[];
  readonly heads: Readonly<Record<string, Linear>>;
  readonly scales = [new Parameter(ones([2])), new Parameter(ones([2]))];
  readonly tied: Parameter;
  readonly plain = ones([5]);

  constructor(seed: number) {
    super();
    const keys = new Key(seed).split(3);
    this.layers = [new Block(keys[0]!, this), new Block(keys[1]!, this)];
    this.heads = { out: new Linear(3, 2, { key: keys[2]!, bias: false, dtype: 'f64' }) };
    this.tied = this.layers[0]!.proj.weight;
  }

  forward(x: Tensor): Tensor {
    return this.heads['out']!.forward(
      this.layers.reduce((y, { norm, proj }) => proj.forward(norm.forward(y)), x),
    );
  }
}

const names = [
  'layers.0.norm.weight',
  'layers.0.proj.weight',
  'layers.0.proj.bias',
  'layers.1.norm.weight',
  'layers.1.proj.weight',
  'layers.1.proj.bias',
  'heads.out.weight',
  'scales.0',
  'scales.1',
];
const x = () => new Key(9).normal([4, 3], { dtype: 'f64' });
const valuesOf = (model: Module): number[][] => model.parameters().map(numbers);

describe('names', () => {
  test('are paths through fields, arrays and plain objects; a shared parameter is listed once', () => {
    expect([...new Model(0).namedParameters().keys()]).toEqual(names);
  });
  test('lead to modules, each once, the root first', () => {
    const model = new Model(0);
    expect([...model.namedModules().keys()]).toEqual([
      '',
      'layers.0',
      'layers.0.norm',
      'layers.0.proj',
      'layers.0.drop',
      'layers.1',
      'layers.1.norm',
      'layers.1.proj',
      'layers.1.drop',
      'heads.out',
    ]);
    expect(model.namedModules().get('layers.1.proj')).toBe(model.layers[1]!.proj);
  });
  test('count every number once', () => expect(new Model(0).numParameters()).toBe(2 * (3 + 9 + 3) + 6 + 4));
});

test('train and eval reach every module', () => {
  const model = new Model(0);
  const flags = (): boolean[] => [...model.namedModules().values()].map(({ training }) => training);
  expect(new Set(flags())).toEqual(new Set([true]));
  expect(model.eval()).toBe(model);
  expect(new Set(flags())).toEqual(new Set([false]));
  model.layers[0]!.train();
  expect(flags().filter(Boolean).length).toBe(10); // the block's field leads back to the root
  model.eval().heads['out']!.train();
  expect(flags().filter(Boolean).length).toBe(1);
});

describe('stateDict and loadStateDict', () => {
  test('carry a model over to another exactly', () => {
    const [a, b] = [new Model(1), new Model(2)];
    expect(numbers(b.forward(x()))).not.toEqual(numbers(a.forward(x())));
    expect(b.loadStateDict(a.stateDict())).toEqual({ missing: [], unexpected: [], mismatched: [], tied: [] });
    expect(numbers(b.forward(x()))).toEqual(numbers(a.forward(x())));
    expect(valuesOf(b)).toEqual(valuesOf(a));
  });

  test('a state keeps the values it was taken with, and no history', () => {
    const model = new Model(1);
    const state = model.stateDict();
    const before = numbers(state['scales.0']!);
    model.scales[0]!.assign(zeros([2]));
    expect(numbers(state['scales.0']!)).toEqual(before);
    expect(Object.values(state).some(({ requiresGrad }) => requiresGrad)).toBe(false);
    expect(Object.keys(state)).toEqual(names);
  });

  test('values arrive in the parameter’s dtype', () => {
    const model = new Model(1);
    model.loadStateDict({ 'layers.0.norm.weight': tensor([1, 2, 3]) }, { strict: false });
    expect(model.layers[0]!.norm.weight.dtype).toBe('f64');
    expect(numbers(model.layers[0]!.norm.weight)).toEqual([1, 2, 3]);
  });

  const load = (
    change: (state: Record<string, Tensor>) => void,
    strict?: boolean,
  ): { report?: LoadReport; error?: Error; model: Model } => {
    const model = new Model(1);
    const state = new Model(2).stateDict();
    change(state);
    try {
      return { report: model.loadStateDict(state, strict === undefined ? {} : { strict }), model };
    } catch (error) {
      return { error: error as Error, model };
    }
  };
  const spoil = (state: Record<string, Tensor>): void => {
    delete state['layers.1.proj.bias'];
    delete state['scales.1'];
    state['layers.2.proj.bias'] = zeros([3]);
    state['toString'] = zeros([1]);
  };

  test('strict: one error lists all that is missing, unexpected and mismatched, and nothing is changed', () => {
    const { error, model } = load((state) => {
      spoil(state);
      state['layers.0.proj.weight'] = zeros([3, 4]);
      state['scales.0'] = tensor([1, 2], { dtype: 'i32' });
    });
    expect(error).toBeInstanceOf(ValueError);
    expect(error!.message).toContain('missing layers.1.proj.bias, scales.1;');
    expect(error!.message).toContain('unexpected layers.2.proj.bias, toString;');
    expect(error!.message).toContain(
      'mismatched layers.0.proj.weight (parameter [3, 3] f64, state [3, 4] f32), scales.0 (parameter [2] f32, state [2] i32)',
    );
    expect(valuesOf(model)).toEqual(valuesOf(new Model(1)));
  });

  test('not strict: loads what is there and reports the rest', () => {
    const { report, model } = load(spoil, false);
    expect(report).toEqual({
      missing: ['layers.1.proj.bias', 'scales.1'],
      unexpected: ['layers.2.proj.bias', 'toString'],
      mismatched: [],
      tied: [],
    });
    expect(numbers(model.layers[0]!.proj.weight)).toEqual(numbers(new Model(2).layers[0]!.proj.weight));
    expect(numbers(model.layers[1]!.proj.bias!)).toEqual(numbers(new Model(1).layers[1]!.proj.bias!));
  });

  test('what is no tensor is refused by name', () => {
    const { error } = load((state) => (state['scales.0'] = [1, 2] as never));
    expect(error!.message).toContain('mismatched scales.0 (is no tensor)');
  });

  test('ignoreMismatched leaves out what does not fit, and reports it', () => {
    const [model, state] = [new Model(1), new Model(2).stateDict()];
    state['layers.0.proj.weight'] = zeros([3, 4]);
    const { mismatched } = model.loadStateDict(state, { ignoreMismatched: true });
    expect(mismatched).toEqual([
      { name: 'layers.0.proj.weight', reason: 'parameter [3, 3] f64, state [3, 4] f32' },
    ]);
    expect(numbers(model.layers[0]!.proj.weight)).toEqual(numbers(new Model(1).layers[0]!.proj.weight));
    expect(numbers(model.scales[0]!)).toEqual(numbers(state['scales.0']!));
    expect(numbers(model.layers[1]!.proj.weight)).toEqual(numbers(new Model(2).layers[1]!.proj.weight));
  });

  test('the error holds the report', () => {
    const { error } = load((state) => delete state['scales.0']);
    expect(error).toBeInstanceOf(StateError);
    expect((error as StateError).report).toEqual({
      missing: ['scales.0'],
      unexpected: [],
      mismatched: [],
      tied: [],
    });
  });

  test('not strict: a shape that does not fit is still an error', () => {
    const { error, model } = load((state) => (state['layers.0.proj.weight'] = zeros([3, 4])), false);
    expect(error).toBeInstanceOf(ValueError);
    expect(valuesOf(model)).toEqual(valuesOf(new Model(1)));
  });
});
