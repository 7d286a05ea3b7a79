/** Children, freezing by patterns, ties, copies, moves. */
import { graphText } from '@infinigrad/autograd';
import { AdamW, Linear, Module, ModuleBuffer, Parameter, tie, tiedNames } from '@infinigrad/nn';
import {
  BackendError,
  DTypeError,
  getBackend,
  Key,
  ones,
  ShapeError,
  tensor,
  ValueError,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { numbers } from './support.ts';

const key = new Key(0);

class Block extends Module {
  readonly up = new Linear(3, 4, { key: key.foldIn(1) });
  readonly down = new Linear(4, 3, { key: key.foldIn(2) });
  readonly seen = new ModuleBuffer(zeros([3]));
  forward(x: Tensor): Tensor {
    return this.down.forward(this.up.forward(x).relu());
  }
}

class Model extends Module {
  readonly embedding = new Parameter(key.normal([5, 3]));
  readonly layers = [new Block(), new Block()];
  readonly named = { head: new Linear(3, 5, { key: key.foldIn(3), bias: false }) };
  readonly options = { sizes: [1, 2], key };
  readonly steps = new ModuleBuffer(zeros([], { dtype: 'i32' }));
  forward(x: Tensor): Tensor {
    return this.named.head.forward(this.layers.reduce((y, layer) => y.add(layer.forward(y)), x));
  }
}

const x = (): Tensor => new Key(9).normal([2, 3]);
const values = (m: Module): number[][] => Object.values(m.stateDict()).map(numbers);

describe('children', () => {
  test('are the modules in the fields, not those below', () => {
    const model = new Model();
    expect([...model.namedChildren().keys()]).toEqual(['layers.0', 'layers.1', 'named.head']);
    expect(model.children()[2]).toBe(model.named.head);
    expect([...model.layers[0]!.namedChildren().keys()]).toEqual(['up', 'down']);
  });
  test('apply comes to those below first', () => {
    const seen: string[] = [];
    new Block().apply((_, name) => seen.push(name));
    expect(seen).toEqual(['down', 'up', '']);
  });
});

describe('freeze', () => {
  const frozen = (model: Model): string[] =>
    [...model.namedParameters()].filter(([, p]) => !p.requiresGrad).map(([name]) => name);
  test.each([
    [
      'a module',
      'layers.0',
      ['layers.0.up.weight', 'layers.0.up.bias', 'layers.0.down.weight', 'layers.0.down.bias'],
    ],
    ['a parameter', 'embedding', ['embedding']],
    ['a star', 'layers.*.up.bias', ['layers.0.up.bias', 'layers.1.up.bias']],
    ['an expression', /down\.bias$/g, ['layers.0.down.bias', 'layers.1.down.bias']],
    ['a function', (name: string) => name === 'embedding', ['embedding']],
    ['several', ['embedding', 'named'], ['embedding', 'named.head.weight']],
  ] as const)('by %s', (_, pattern, expected) => {
    const model = new Model();
    expect(model.freeze(pattern)).toEqual(expected);
    expect(frozen(model)).toEqual(expected);
    expect(model.unfreeze(pattern)).toEqual(expected);
    expect(frozen(model)).toEqual([]);
  });
  test('all; and no gradient comes to what is frozen', () => {
    const model = new Model();
    expect(model.freeze().length).toBe(model.parameters().length);
    expect(model.forward(x()).requiresGrad).toBe(false);
    new AdamW(model.parameters(), { learningRate: 0.1 }).zeroGrad();
    model.unfreeze('layers.1');
    model.forward(x()).square().sum().backward();
    expect([model.layers[0]!.up.weight.grad, model.layers[1]!.up.weight.grad === null]).toEqual([
      null,
      false,
    ]);
  });
  test('refuses what fits nothing, also among others, and changes nothing', () => {
    const model = new Model();
    expect(() => model.freeze(['embedding', 'layer.0'])).toThrow(ValueError);
    expect(() => model.freeze(['embedding', 'layer.0'])).toThrow(
      "freeze: no parameter fits 'layer.0'. Hint: there is embedding, layers.0",
    );
    expect(() => model.unfreeze(/nothing/)).toThrow('unfreeze: no parameter fits /nothing/');
    expect(frozen(model)).toEqual([]);
  });
});

describe('tie', () => {
  test('makes parameters one: counted, saved and given a gradient once', () => {
    const model = new Model();
    const [before, kept] = [model.numParameters(), numbers(model.embedding)];
    expect(tie(model, 'embedding', 'named.head.weight')).toEqual(['embedding', 'named.head.weight']);
    expect(model.named.head.weight).toBe(model.embedding);
    expect([model.numParameters(), numbers(model.embedding)]).toEqual([before - 15, kept]);
    expect(Object.keys(model.stateDict())).not.toContain('named.head.weight');
    expect(tiedNames(model)).toEqual([['embedding', 'named.head.weight']]);
    model.forward(x()).sum().backward();
    expect(model.embedding.grad).not.toBeNull();
  });
  test('its values are those of the first named, also where the other stands first', () => {
    const model = new Model();
    const head = numbers(model.named.head.weight);
    expect(tie(model, 'named.head.weight', 'embedding')).toEqual(['embedding', 'named.head.weight']);
    expect(numbers(model.embedding)).toEqual(head);
  });
  test.each<[string, readonly string[], new (...args: never[]) => Error, string]>([
    ['names of nothing', ['embedding', 'head.weight'], ValueError, 'tie: there is no parameter head.weight'],
    ['buffers', ['embedding', 'steps'], ValueError, 'there is no parameter steps'],
    ['one name', ['embedding'], ValueError, 'needs the names of two parameters or more'],
    [
      'other shapes',
      ['embedding', 'named.head.weight', 'layers.0.up.bias'],
      ShapeError,
      'differ in shape: [5, 3] f32, [4] f32',
    ],
  ])('refuses %s', (_, names, type, says) => {
    const model = new Model();
    const [first, ...others] = names as [string, ...string[]];
    expect(() => tie(model, first, ...others)).toThrow(type);
    expect(() => tie(model, first, ...others)).toThrow(says);
    expect(tiedNames(model)).toEqual([]);
  });
  test('refuses other dtypes', () => {
    const model = new Model();
    model.named.head.to({ dtype: 'f64' });
    expect(() => tie(model, 'embedding', 'named.head.weight')).toThrow(DTypeError);
  });

  describe('and loadStateDict', () => {
    const tied = (): Model => {
      const model = new Model();
      tie(model, 'embedding', 'named.head.weight');
      return model;
    };
    const given = ones([5, 3]);
    test('takes either name, and tells of the further one', () => {
      const { embedding: _, ...state } = tied().stateDict();
      const model = tied();
      expect(model.loadStateDict({ ...state, 'named.head.weight': given })).toEqual({
        missing: [],
        unexpected: [],
        mismatched: [],
        tied: [{ name: 'named.head.weight', first: 'embedding' }],
      });
      expect(numbers(model.embedding)).toEqual(numbers(given));
    });
    test('takes both where they agree, and refuses them where they do not', () => {
      const model = tied();
      const state = model.stateDict();
      const both = { ...state, 'named.head.weight': state['embedding']!.clone() };
      expect(model.loadStateDict(both).tied).toEqual([{ name: 'named.head.weight', first: 'embedding' }]);
      expect(() => model.loadStateDict({ ...both, 'named.head.weight': given })).toThrow(
        'mismatched named.head.weight (differs from embedding, with which it is tied)',
      );
    });
  });
});

describe('deepCopy', () => {
  test('has the same values, and nothing that changes in common', () => {
    const model = new Model();
    tie(model, 'embedding', 'named.head.weight');
    model.freeze('layers.0');
    model.layers[1]!.eval();
    const off = model.onForward(() => zeros([1]));
    const copy = model.deepCopy();
    off();
    expect(copy).toBeInstanceOf(Model);
    expect(values(copy)).toEqual(values(model));
    expect(numbers(copy.forward(x()))).toEqual(numbers(model.forward(x())));
    expect(tiedNames(copy)).toEqual([['embedding', 'named.head.weight']]);
    const flags = (m: Model): boolean[] => m.parameters().map((p) => p.requiresGrad);
    expect(flags(copy)).toEqual(flags(model));
    expect(copy.layers[1]!.training).toBe(false);
    const parts = new Set<unknown>([...model.parameters(), ...model.buffers(), ...model.modules()]);
    for (const part of [...copy.parameters(), ...copy.buffers(), ...copy.modules()])
      expect(parts.has(part)).toBe(false);
    expect(copy.options).not.toBe(model.options);
    expect(copy.options.key).toBe(key);
    const before = values(model);
    const optimizer = new AdamW(copy.parameters(), { learningRate: 0.1 });
    for (let i = 0; i < 3; i++) optimizer.minimize(() => copy.forward(x()).square().sum());
    copy.steps.assign(copy.steps.detach().add(1));
    expect(values(model)).toEqual(before);
    expect(values(copy)).not.toEqual(before);
    const middle = values(copy);
    model.embedding.assign(zeros([5, 3]));
    expect(values(copy)).toEqual(middle);
  });
  test('follows cycles', () => {
    class Loop extends Module {
      readonly self: Module = this;
    }
    const copy = new Loop().deepCopy();
    expect(copy.self).toBe(copy);
  });
});

describe('to', () => {
  test('another dtype: the same parameters, gradients too, and an optimizer that goes on', () => {
    const model = new Model();
    const optimizer = new AdamW(model.parameters(), { learningRate: 0.1 });
    model.forward(x()).square().sum().backward();
    const before = model.parameters();
    const exact = before.map(numbers);
    expect(model.to({ dtype: 'f64' })).toBe(model);
    expect(model.parameters()).toEqual(before);
    expect(model.parameters().every((p, i) => p === before[i] && p.dtype === 'f64' && p.isLeaf)).toBe(true);
    expect(model.parameters().map(numbers)).toEqual(exact);
    expect([...new Set(before.flatMap((p) => p.grad?.dtype ?? []))]).toEqual(['f64']);
    expect(model.steps.dtype).toBe('i32');
    optimizer.step();
    expect(model.parameters().map(numbers)).not.toEqual(exact);
    for (const p of before) p.grad = null;
    const y = model.forward(x().cast('f64')).square().sum();
    expect(graphText(y)).not.toContain('f32');
    y.backward();
    expect([...new Set(before.flatMap((p) => p.grad?.dtype ?? []))]).toEqual(['f64']);
    expect(() => (model.embedding.grad = zeros([5, 3]))).toThrow('one dtype');
  });
  test('another backend, and back, at once or later', async () => {
    const model = new Model();
    const [before, output] = [values(model), numbers(model.forward(x()))];
    const first = model.embedding.backend.name;
    model.to({ backend: 'js' });
    expect(model.embedding.backend).toBe(getBackend('js'));
    expect(model.layers[0]!.seen.backend).toBe(getBackend('js'));
    expect(values(model)).toEqual(before);
    expect(await model.toAsync({ backend: first })).toBe(model);
    expect(values(model)).toEqual(before);
    expect(numbers(model.forward(x()))).toEqual(output);
  });
  test('halves, and states of other backends', () => {
    const model = new Model().to({ dtype: 'bf16', backend: 'js' });
    const other = new Model();
    other.embedding.assign(tensor(Array.from({ length: 5 }, () => [1, 2, 3])));
    model.loadStateDict(other.stateDict());
    expect([model.embedding.dtype, model.embedding.backend.name]).toEqual(['bf16', 'js']);
    expect(numbers(model.embedding).slice(0, 3)).toEqual([1, 2, 3]);
    model.to({ backend: 'wasm' });
    expect(numbers(model.embedding).slice(0, 3)).toEqual([1, 2, 3]);
  });
  test('refuses a backend that is not at hand', () => {
    expect(() => new Model().to({ backend: 'abacus' })).toThrow(BackendError);
  });
});
