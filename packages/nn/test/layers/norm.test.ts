/** RMSNorm and LayerNorm: written-out references, invariances, gradients, errors. */
import fc from 'fast-check';
import { LayerNorm, RMSNorm, type Module, type Parameter } from '@infinigrad/nn';
import { Key, ShapeError, ValueError, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectGradients, expectNumbers, gradcheckModule, lines, numbers, sum } from '../support.ts';

const dtype = 'f64' as const;
type Norm = Module & {
  readonly weight: Parameter;
  readonly bias?: Parameter | null;
  forward(x: Tensor): Tensor;
};

/** Parameters moved away from the ones and zeros that they start as. */
function moved<M extends Norm>(layer: M, key: Key): M {
  layer.parameters().forEach((p, i) => p.assign(key.foldIn(i).normal(p.shape, { dtype })));
  return layer;
}

const kinds = {
  RMSNorm: {
    make: (dim: number, eps: number): Norm => new RMSNorm(dim, { eps, dtype }),
    line: (x: number[], eps: number): number[] =>
      x.map((v) => v / Math.sqrt(sum(x.map((u) => u * u)) / x.length + eps)),
  },
  LayerNorm: {
    make: (dim: number, eps: number): Norm => new LayerNorm(dim, { eps, dtype }),
    line: (x: number[], eps: number): number[] => {
      const mean = sum(x) / x.length;
      const variance = sum(x.map((v) => (v - mean) ** 2)) / x.length;
      return x.map((v) => (v - mean) / Math.sqrt(variance + eps));
    },
  },
  'LayerNorm without bias': {
    make: (dim: number, eps: number): Norm => new LayerNorm(dim, { eps, bias: false, dtype }),
    line: (x: number[], eps: number): number[] => kinds.LayerNorm.line(x, eps),
  },
};

describe.each(Object.entries(kinds))('%s', (name, { make, line }) => {
  const settings = {
    lead: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
    dim: fc.integer({ min: 1, max: 5 }),
    eps: fc.constantFrom(1e-6, 1e-2, 1),
    seed: fc.nat(),
  };
  test('equals its formula', () =>
    fc.assert(
      fc.property(fc.record(settings), ({ lead, dim, eps, seed }) => {
        const layer = moved(make(dim, eps), new Key(seed));
        const x = new Key(seed).foldIn(7).normal([...lead, dim], { dtype, std: 3 });
        const [w, b] = [numbers(layer.weight), layer.bias ? numbers(layer.bias) : []];
        const y = layer.forward(x);
        expect(y.shape).toEqual(x.shape);
        expectNumbers(
          numbers(y),
          lines(x).flatMap((row) => line(row, eps).map((v, i) => v * w[i]! + (b[i] ?? 0))),
        );
      }),
    ));

  test('passes gradcheck and gives every parameter a gradient', () =>
    fc.assert(
      fc.property(fc.record({ seed: fc.nat() }), ({ seed }) => {
        const layer = moved(make(4, 1e-2), new Key(seed));
        const x = new Key(seed).foldIn(7).normal([2, 4], { dtype });
        gradcheckModule(layer, (y) => layer.forward(y), [x], { order: 2 });
        expectGradients(
          layer,
          layer
            .forward(x)
            .mul(new Key(seed).foldIn(8).normal([2, 4], { dtype }))
            .sum(),
        );
      }),
      { numRuns: 10 },
    ));

  test('starts as plain normalisation', () => {
    const x = new Key(1).normal([3, 4], { dtype });
    expectNumbers(
      numbers(make(4, 1e-3).forward(x)),
      lines(x).flatMap((row) => line(row, 1e-3)),
    );
    expect([...make(4, 1e-3).namedParameters().keys()]).toEqual(
      name === 'LayerNorm' ? ['weight', 'bias'] : ['weight'],
    );
  });

  test('errors', () => {
    const layer = make(4, 1e-3);
    expect(() => layer.forward(new Key(0).normal([4, 3], { dtype }))).toThrow(ShapeError);
    expect(() => layer.forward(new Key(0).normal([], { dtype }))).toThrow('the last axis must have size 4');
    expect(() => make(0, 1e-3)).toThrow(ValueError);
    expect(() => make(4, -1)).toThrow('eps must be a number ≥ 0');
    expect(() => make(4, NaN)).toThrow(ValueError);
  });
});

test('the default eps are 1e-6 and 1e-5', () => {
  expect([new RMSNorm(2).eps, new LayerNorm(2).eps]).toEqual([1e-6, 1e-5]);
});
