/** Linear layers: a written-out reference, gradients, initial values, errors. */
import fc from 'fast-check';
import { Linear } from '@infinigrad/nn';
import { Key, ShapeError, ValueError } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { dot, expectGradients, expectNumbers, gradcheckModule, lines, numbers } from '../support.ts';

const dtype = 'f64' as const;
const sizes = fc.integer({ min: 1, max: 4 });

test('equals Σ w x + b, for any leading axes', () =>
  fc.assert(
    fc.property(
      fc.record({
        lead: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
        inputs: sizes,
        outputs: sizes,
        bias: fc.boolean(),
        seed: fc.nat(),
      }),
      ({ lead, inputs, outputs, bias, seed }) => {
        const layer = new Linear(inputs, outputs, { key: new Key(seed), bias, dtype });
        const x = new Key(seed).foldIn(7).normal([...lead, inputs], { dtype });
        const w = lines(layer.weight);
        const b = layer.bias ? numbers(layer.bias) : new Array<number>(outputs).fill(0);
        const y = layer.forward(x);
        expect(y.shape).toEqual([...lead, outputs]);
        expectNumbers(
          numbers(y),
          lines(x).flatMap((row) => w.map((line, o) => dot(line, row) + b[o]!)),
        );
      },
    ),
  ));

test('passes gradcheck and gives every parameter a gradient', () =>
  fc.assert(
    fc.property(
      fc.record({
        lead: fc.array(sizes, { maxLength: 2 }),
        inputs: sizes,
        outputs: sizes,
        bias: fc.boolean(),
        seed: fc.nat(),
      }),
      ({ lead, inputs, outputs, bias, seed }) => {
        const layer = new Linear(inputs, outputs, { key: new Key(seed), bias, dtype });
        const x = new Key(seed).foldIn(7).normal([...lead, inputs], { dtype });
        gradcheckModule(layer, (y) => layer.forward(y), [x], { order: 2, mode: 'direction' });
        expectGradients(layer, layer.forward(x).square().sum());
      },
    ),
    { numRuns: 20 },
  ));

test('reads strided inputs', () => {
  const layer = new Linear(3, 2, { key: new Key(1), dtype });
  const x = new Key(2).normal([3, 4, 2], { dtype });
  const moved = x.permute([2, 1, 0]);
  expect(numbers(layer.forward(moved))).toEqual(numbers(layer.forward(moved.clone())));
});

describe('initial values', () => {
  test('are uniform within ±1/√inFeatures, bias too', () => {
    const { weight, bias } = new Linear(64, 256, { key: new Key(3) });
    for (const values of [numbers(weight), numbers(bias!)]) {
      expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(1 / 8);
      const meanSquare = values.reduce((total, w) => total + w * w, 0) / values.length;
      // The variance of ±b uniform is b²/3, its estimate from n draws within 5 b²/3 · √(0.8/n)
      expect(Math.abs(meanSquare * 64 * 3 - 1)).toBeLessThan(5 * Math.sqrt(0.8 / values.length));
    }
    expect(numbers(weight).slice(0, 256)).not.toEqual(numbers(bias!));
  });
  test('are normal with `std` where told, with no bias to start with; a function of the inputs will do', () => {
    const { weight, bias } = new Linear(64, 256, { key: new Key(3), std: 0.02 });
    const values = numbers(weight);
    const meanSquare = values.reduce((total, w) => total + w * w, 0) / values.length;
    expect(Math.abs(meanSquare / 0.02 ** 2 - 1)).toBeLessThan(5 * Math.sqrt(2 / values.length));
    expect(numbers(bias!).every((b) => b === 0)).toBe(true);
    const scaled = new Linear(64, 256, { key: new Key(3), std: (fanIn) => 0.02 * (fanIn / 64) });
    expect(numbers(scaled.weight)).toEqual(values);
  });
  test('depend on the key alone', () => {
    const make = (seed: number): number[] => numbers(new Linear(3, 3, { key: new Key(seed) }).weight);
    expect(make(1)).toEqual(make(1));
    expect(make(1)).not.toEqual(make(2));
  });
});

describe('errors', () => {
  const layer = new Linear(3, 2, { key: new Key(0), dtype });
  const key = new Key(0);
  test('name what the last axis must be', () => {
    expect(() => layer.forward(key.normal([2, 4], { dtype }))).toThrow(ShapeError);
    expect(() => layer.forward(key.normal([2, 4], { dtype }))).toThrow(
      'Linear: the last axis must have size 3: [2, 4] f64, [2, 3] f64',
    );
    expect(() => layer.forward(key.normal([], { dtype }))).toThrow(ShapeError);
  });
  test('refuse sizes that are none', () => {
    expect(() => new Linear(0, 2, { key })).toThrow(ValueError);
    expect(() => new Linear(2, 1.5, { key })).toThrow('outFeatures must be an integer ≥ 1, got 1.5');
  });
});
