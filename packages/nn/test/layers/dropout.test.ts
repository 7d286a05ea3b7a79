/** Dropout: what is dropped, what is scaled, and when nothing happens. */
import { Dropout } from '@infinigrad/nn';
import { Key, ones, ValueError } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { numbers } from '../support.ts';

const key = new Key(5);
const x = (n = 10_000) => new Key(1).normal([n], { dtype: 'f64' });

describe('in training', () => {
  test.each([0.1, 0.5, 0.9])(
    'with p = %d elements are zero or scaled by 1/(1 - p), at the right rate',
    (p) => {
      const [input, output] = [numbers(x()), numbers(new Dropout(p).forward(x(), key))];
      output.forEach((y, i) => expect(y === 0 || Math.abs(y - input[i]! / (1 - p)) < 1e-12).toBe(true));
      const dropped = output.filter((y) => y === 0).length / output.length;
      expect(Math.abs(dropped - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / output.length));
    },
  );
  test('the gradient goes where the value went', () => {
    const leaf = x(100).requireGrad();
    const y = new Dropout(0.3).forward(leaf, key);
    y.sum().backward();
    const [values, gradient] = [numbers(y), numbers(leaf.grad!)];
    values.forEach((v, i) => expect(gradient[i]).toBeCloseTo(v === 0 ? 0 : 1 / 0.7, 12));
    expect(new Set(gradient.map((g) => g === 0)).size).toBe(2);
  });
  test('the key decides', () => {
    const drop = new Dropout(0.5);
    expect(numbers(drop.forward(x(), key))).toEqual(numbers(drop.forward(x(), key)));
    expect(numbers(drop.forward(x(), key))).not.toEqual(numbers(drop.forward(x(), key.foldIn(1))));
  });
  test('p = 1 leaves zeros, with gradients of zero', () => {
    const leaf = ones([4], { dtype: 'f64' }).requireGrad();
    const y = new Dropout(1).forward(leaf, key);
    y.sum().backward();
    expect([numbers(y), numbers(leaf.grad!)]).toEqual([
      [0, 0, 0, 0],
      [0, 0, 0, 0],
    ]);
  });
  test('a key is needed, unless p is 0', () => {
    expect(() => new Dropout(0.5).forward(x())).toThrow(ValueError);
    expect(() => new Dropout(0.5).forward(x())).toThrow('needs a key in training');
    const input = x();
    expect(new Dropout(0).forward(input)).toBe(input);
  });
});

test('in evaluation nothing happens, key or not', () => {
  const drop = new Dropout(0.5).eval();
  const input = x();
  expect(drop.forward(input)).toBe(input);
  expect(drop.forward(input, key)).toBe(input);
});

test.each([-0.1, 1.1, NaN])('p = %d is refused', (p) => expect(() => new Dropout(p)).toThrow(ValueError));
