/** Embeddings: lines of the table by number, gradients that add up, errors. */
import fc from 'fast-check';
import { Embedding } from '@infinigrad/nn';
import { DTypeError, IndexError, Key, tensor, ValueError } from '@infinigrad/tensor';
import { expect, test } from 'vitest';
import { expectNumbers, gradcheckModule, lines, numbers } from '../support.ts';

const dtype = 'f64' as const;

test('gives the lines of its table, for ids of any shape; a line used often collects as often', () =>
  fc.assert(
    fc.property(
      fc.record({ shape: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }), seed: fc.nat() }),
      ({ shape, seed }) => {
        const layer = new Embedding(4, 3, { key: new Key(seed), dtype });
        const ids = new Key(seed).foldIn(1).randint(0, 4, shape);
        const y = layer.forward(ids);
        const table = lines(layer.weight);
        expect(y.shape).toEqual([...shape, 3]);
        expect(numbers(y)).toEqual(numbers(ids).flatMap((id) => table[id]!));
        const g = new Key(seed).foldIn(2).normal(y.shape, { dtype });
        y.mul(g).sum().backward();
        const expected = table.map(() => [0, 0, 0]);
        const given = lines(g);
        numbers(ids).forEach((id, i) => given[i]!.forEach((v, k) => (expected[id]![k]! += v)));
        expectNumbers(numbers(layer.weight.grad!), expected.flat());
      },
    ),
  ));

test('passes gradcheck', () => {
  const layer = new Embedding(4, 2, { key: new Key(0), dtype });
  const ids = tensor(
    [
      [3, 0, 3],
      [1, 1, 3],
    ],
    { dtype: 'i32' },
  );
  gradcheckModule(layer, () => layer.forward(ids), [], { order: 2 });
});

test('starts normal with the standard deviation asked for', () => {
  for (const std of [1, 0.02]) {
    const values = numbers(new Embedding(256, 64, { key: new Key(1), ...(std !== 1 && { std }) }).weight);
    const meanSquare = values.reduce((total, w) => total + w * w, 0) / values.length;
    expect(Math.abs(meanSquare / std ** 2 - 1)).toBeLessThan(5 * Math.sqrt(2 / values.length));
  }
});

test('errors', () => {
  const layer = new Embedding(4, 2, { key: new Key(0) });
  expect(() => layer.forward(tensor([4], { dtype: 'i32' }))).toThrow(IndexError);
  expect(() => layer.forward(tensor([-1], { dtype: 'i32' }))).toThrow(IndexError);
  expect(() => layer.forward(tensor([1]))).toThrow(DTypeError);
  expect(() => layer.forward(tensor([1]))).toThrow('Embedding: ids must be integers');
  expect(() => new Embedding(0, 2, { key: new Key(0) })).toThrow(ValueError);
});
