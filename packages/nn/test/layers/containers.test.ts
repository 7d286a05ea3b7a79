/** Containers: what they hold, in which order, and what they hand a key to. */
import * as nn from '@infinigrad/nn';
import { IndexError, Key, ones, ValueError, zeros } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';

const key = new Key(0);

describe('containers', () => {
  const linear = (n = 2): nn.Linear => new nn.Linear(n, n, { key });
  test('ModuleList: names, places, growth', () => {
    const list = new nn.ModuleList([linear(2), linear(3)]);
    expect([list.length, list[1], list.at(-1)]).toEqual([2, list.at(1), list.at(1)]);
    expect(list.push(linear(4))).toBe(3);
    expect([...list].map((layer) => layer.inFeatures)).toEqual([2, 3, 4]);
    expect([...list.namedParameters().keys()]).toEqual([
      '0.weight',
      '0.bias',
      '1.weight',
      '1.bias',
      '2.weight',
      '2.bias',
    ]);
    const copy = list.deepCopy();
    expect([copy.length, copy.at(2) === list.at(2)]).toEqual([3, false]);
  });
  test('ModuleDict: names, order, replacement', () => {
    const dict = new nn.ModuleDict<nn.Linear>({ b: linear(2), a: linear(3) });
    expect([...dict.keys()]).toEqual(['b', 'a']);
    expect([...dict].map(([name, layer]) => [name, layer.inFeatures])).toEqual([
      ['b', 2],
      ['a', 3],
    ]);
    expect(dict.set('b', linear(5)).get('b').inFeatures).toBe(5);
    expect([...dict.namedModules().keys()]).toEqual(['', 'b', 'a']);
    expect([dict.has('a'), dict.has('c'), dict.has('training')]).toEqual([true, false, false]);
  });
  test('Sequential needs a key only where something draws', () => {
    const layers = new nn.Sequential(linear(), new nn.Dropout(0.5));
    expect(() => layers.forward(ones([2]))).toThrow('Dropout: needs a key in training');
    layers.eval();
    expect(layers.forward(ones([2])).shape).toEqual([2]);
  });
  test.each<[string, () => unknown, new (...args: never[]) => Error, string]>([
    [
      'what is no module',
      () => new nn.ModuleList([linear(), 3 as never]),
      ValueError,
      'ModuleList: entry 1 is not a module',
    ],
    [
      'what is no module',
      () => new nn.Sequential(zeros([1]) as never),
      ValueError,
      'entry 0 is not a module',
    ],
    [
      'a place that is none',
      () => new nn.ModuleList([linear()]).at(1),
      IndexError,
      'there is no entry 1 among 1',
    ],
    [
      'what is no module',
      () => new nn.ModuleDict({ a: {} as never }),
      ValueError,
      'ModuleDict: a is not a module',
    ],
    [
      'a name that is taken',
      () => new nn.ModuleDict({ train: linear() }),
      ValueError,
      'ModuleDict: the name train is taken',
    ],
    ['a path', () => new nn.ModuleDict({ 'a.b': linear() }), ValueError, "'a.b' is no name of one part"],
    [
      'a name that is none',
      () => new nn.ModuleDict({ a: linear() }).get('b'),
      IndexError,
      'there is no module b. Hint: there is a',
    ],
  ])('refuse %s', (_, body, type, says) => {
    expect(body).toThrow(type);
    expect(body).toThrow(says);
  });
});
