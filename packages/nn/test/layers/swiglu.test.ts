/** SwiGLU: a written-out reference, gradients. */
import fc from 'fast-check';
import { SwiGLU } from '@infinigrad/nn';
import { Key, ShapeError } from '@infinigrad/tensor';
import { expect, test } from 'vitest';
import { dot, expectGradients, expectNumbers, gradcheckModule, lines, numbers } from '../support.ts';

const dtype = 'f64' as const;

test('equals down(silu(gate x) · up x)', () =>
  fc.assert(
    fc.property(
      fc.record({
        dim: fc.integer({ min: 1, max: 4 }),
        hidden: fc.integer({ min: 1, max: 4 }),
        seed: fc.nat(),
      }),
      ({ dim, hidden, seed }) => {
        const layer = new SwiGLU(dim, hidden, { key: new Key(seed), std: 1, dtype });
        const x = new Key(seed).foldIn(7).normal([2, 3, dim], { dtype });
        const [gate, up, down] = [layer.gateProj, layer.upProj, layer.downProj].map(({ weight }) =>
          lines(weight),
        ) as [number[][], number[][], number[][]];
        const expected = lines(x).flatMap((row) => {
          const inner = gate.map((line, i) => {
            const z = dot(line, row);
            return (z / (1 + Math.exp(-z))) * dot(up[i]!, row);
          });
          return down.map((line) => dot(line, inner));
        });
        expectNumbers(numbers(layer.forward(x)), expected);
      },
    ),
  ));

test('passes gradcheck, gives every parameter a gradient, has no biases', () => {
  const layer = new SwiGLU(3, 4, { key: new Key(1), dtype });
  const x = new Key(2).normal([2, 3], { dtype });
  gradcheckModule(layer, (y) => layer.forward(y), [x], { order: 2 });
  expectGradients(layer, layer.forward(x).square().sum());
  expect([...layer.namedParameters().keys()]).toEqual([
    'gateProj.weight',
    'upProj.weight',
    'downProj.weight',
  ]);
});

test('its three layers start differently, each scaled by its own inputs', () => {
  const layer = new SwiGLU(4, 64, { key: new Key(1), std: (fanIn) => (fanIn === 64 ? 0 : 1) });
  expect(numbers(layer.downProj.weight).every((w) => w === 0)).toBe(true);
  expect(numbers(layer.gateProj.weight)).not.toEqual(numbers(layer.upProj.weight));
  expect(() => layer.forward(new Key(2).normal([2, 3]))).toThrow(ShapeError);
});
