/** Causal self-attention: a written-out reference, grouped heads, positions, padding, gradients, errors. */
import fc from 'fast-check';
import { vmap } from '@infinigrad/autograd';
import { CausalSelfAttention, Parameter, RotaryEmbedding } from '@infinigrad/nn';
import {
  concat,
  DTypeError,
  Key,
  ShapeError,
  tensor,
  ValueError,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { dot, expectGradients, expectNumbers, gradcheckModule, lines, numbers } from '../support.ts';
import { bools, dtype, normal, reference } from './support.ts';

describe('CausalSelfAttention', () => {
  const key = new Key(11);
  const layerOf = (options: {
    numHeads: number;
    numKvHeads?: number;
    headDim?: number;
    rope?: RotaryEmbedding;
  }): CausalSelfAttention => new CausalSelfAttention(6, { key, dtype, std: 0.5, ...options });

  test('has four projections of the right shapes, no biases, and defaults for the rest', () => {
    const shapesOf = (layer: CausalSelfAttention): Record<string, readonly number[]> =>
      Object.fromEntries([...layer.namedParameters()].map(([name, { shape }]) => [name, shape]));
    const plain = layerOf({ numHeads: 3 });
    expect([plain.numKvHeads, plain.headDim, plain.rope]).toEqual([3, 2, null]);
    expect(shapesOf(plain)).toEqual({
      'qProj.weight': [6, 6],
      'kProj.weight': [6, 6],
      'vProj.weight': [6, 6],
      'oProj.weight': [6, 6],
    });
    expect(shapesOf(layerOf({ numHeads: 4, numKvHeads: 2, headDim: 5 }))).toEqual({
      'qProj.weight': [20, 6],
      'kProj.weight': [10, 6],
      'vProj.weight': [10, 6],
      'oProj.weight': [6, 20],
    });
    const first = [plain.qProj, plain.kProj, plain.vProj, plain.oProj].map(
      ({ weight }) => numbers(weight)[0],
    );
    expect(new Set(first).size).toBe(4);
  });

  test('each head by itself: the loops', () => {
    const [heads, d, T] = [3, 2, 4];
    const layer = layerOf({ numHeads: heads });
    const x = normal([2, T, 6], 1);
    const project = ({ weight }: { weight: Parameter }, b: number): number[][] =>
      lines(x.select(0, b)).map((row) => lines(weight).map((w) => dot(w, row)));
    const expected = [0, 1].flatMap((b) => {
      const [q, k, v] = [layer.qProj, layer.kProj, layer.vProj].map((p) => project(p, b)) as [
        number[][],
        number[][],
        number[][],
      ];
      const perHead = Array.from({ length: heads }, (_, h) => {
        const part = (rows: number[][]): number[][] => rows.map((row) => row.slice(h * d, (h + 1) * d));
        return reference(part(q), part(k), part(v), () => true, 1 / Math.sqrt(d));
      });
      return Array.from({ length: T }, (_, t) => {
        const joined = perHead.flatMap((head) => head[t]!);
        return lines(layer.oProj.weight).map((w) => dot(w, joined));
      });
    });
    expectNumbers(numbers(layer.forward(x)), expected.flat(), 1e-11);
  });

  test('grouped queries equal full heads with each key-value head repeated for its neighbours', () =>
    fc.assert(
      fc.property(
        fc.record({
          groups: fc.constantFrom([4, 2], [4, 1], [6, 3], [6, 2], [3, 3]),
          turned: fc.boolean(),
          seed: fc.nat(),
        }),
        ({ groups: [numHeads, numKvHeads], turned, seed }) => {
          const d = 4;
          const rope = turned ? { rope: new RotaryEmbedding(d) } : {};
          const grouped = layerOf({ numHeads: numHeads!, numKvHeads: numKvHeads!, headDim: d, ...rope });
          const full = layerOf({ numHeads: numHeads!, headDim: d, ...rope });
          const repeated = (weight: Parameter): Tensor =>
            weight
              .detach()
              .reshape([numKvHeads!, 1, d, 6])
              .expand([numKvHeads!, numHeads! / numKvHeads!, d, 6])
              .reshape([numHeads! * d, 6]);
          full.qProj.weight.assign(grouped.qProj.weight.detach());
          full.oProj.weight.assign(grouped.oProj.weight.detach());
          full.kProj.weight.assign(repeated(grouped.kProj.weight));
          full.vProj.weight.assign(repeated(grouped.vProj.weight));
          const x = normal([2, 5, 6], seed);
          expectNumbers(numbers(grouped.forward(x)), numbers(full.forward(x)));
        },
      ),
    ));

  describe('order', () => {
    const turned = layerOf({ numHeads: 2, headDim: 4, rope: new RotaryEmbedding(4) });
    const plain = layerOf({ numHeads: 2, headDim: 4 });
    test.each([
      ['with rope', turned],
      ['without', plain],
    ])('a beginning of the sequence gives the beginning of the result, %s', (_, layer) => {
      const x = normal([2, 6, 6], 1);
      const y = layer.forward(x);
      for (let t = 1; t <= 6; t++)
        expectNumbers(numbers(layer.forward(x.narrow(1, 0, t))), numbers(y.narrow(1, 0, t)));
    });
    test('without positions the last token does not care about the order of those before; with them it does', () => {
      const x = normal([1, 5, 6], 2);
      const shuffled = x.indexSelect(1, tensor([2, 0, 3, 1, 4], { dtype: 'i32' }));
      const last = (layer: CausalSelfAttention, z: Tensor): number[] =>
        numbers(layer.forward(z).narrow(1, 4, 1));
      expectNumbers(last(plain, shuffled), last(plain, x));
      const apart = last(turned, shuffled).map((v, i) => Math.abs(v - last(turned, x)[i]!));
      expect(Math.max(...apart)).toBeGreaterThan(1e-3);
    });
    test('with rope only distances count: padding in front, masked, changes nothing', () => {
      const x = normal([2, 4, 6], 3);
      for (const n of [1, 3, 20]) {
        const padded = concat([normal([2, n, 6], 4), x], 1);
        const mask = bools(
          Array.from({ length: 2 * (n + 4) }, (_, i) => i % (n + 4) >= n),
          [2, n + 4],
        );
        const y = turned.forward(padded, mask);
        expectNumbers(numbers(y.narrow(1, n, 4)), numbers(turned.forward(x)), 1e-10);
        // Padding sees nothing, not even itself.
        expect(numbers(y.narrow(1, 0, n)).every((v) => v === 0)).toBe(true);
      }
    });
  });

  test('masked tokens have no influence, each sequence by its own mask', () => {
    const layer = layerOf({ numHeads: 2, headDim: 4, rope: new RotaryEmbedding(4) });
    const x = normal([2, 4, 6], 1).requireGrad();
    const mask = bools([true, false, true, true, true, true, true, false], [2, 4]);
    const y = layer.forward(x, mask);
    const seen = mask.unsqueeze(-1).expand([2, 4, 6]);
    seen.where(y, 0).square().sum().backward();
    const rows = lines(x.grad!).map((line) => line.some((g) => g !== 0));
    expect(rows).toEqual([true, false, true, true, true, true, true, false]);
  });

  test('one sequence is a batch of one, and vmap over sequences is the batch', () => {
    const layer = layerOf({ numHeads: 2, headDim: 4, rope: new RotaryEmbedding(4) });
    const x = normal([2, 4, 6], 1);
    const mask = bools([true, false, true, true, true, true, true, false], [2, 4]);
    const whole = layer.forward(x, mask);
    const each = vmap((y: Tensor, m: Tensor) => layer.forward(y, m))(x, mask);
    expectNumbers(numbers(each), numbers(whole));
    expect(each.shape).toEqual(whole.shape);
    const one = layer.forward(x.select(0, 1), mask.select(0, 1));
    expectNumbers(numbers(one), numbers(whole.select(0, 1)));
    expectNumbers(numbers(layer.forward(x.select(0, 0))), numbers(layer.forward(x)).slice(0, 24));
  });

  test('passes gradcheck to second order and gives every parameter a gradient', () => {
    const layer = new CausalSelfAttention(3, {
      numHeads: 2,
      numKvHeads: 1,
      headDim: 2,
      key,
      dtype,
      rope: new RotaryEmbedding(2),
    });
    const x = normal([2, 3, 3], 1);
    const mask = bools([false, true, true, true, true, true], [2, 3]);
    gradcheckModule(layer, (y) => layer.forward(y, mask), [x], { order: 2 });
    expectGradients(layer, layer.forward(x, mask).square().sum());
  });

  describe('errors', () => {
    const layer = layerOf({ numHeads: 2 });
    const rows: [string, () => unknown, new (...args: never[]) => Error, string][] = [
      [
        'a vector',
        () => layer.forward(normal([6], 1)),
        ShapeError,
        'CausalSelfAttention: needs [batch, T, dim] or [T, dim]: [6] f64',
      ],
      [
        'masks of a batch for one sequence',
        () => layer.forward(normal([4, 6], 1), bools([true, true, true, true], [1, 4])),
        ShapeError,
        'CausalSelfAttention: needs [batch, T, dim] or [T, dim]: [4, 6] f64, [1, 4] bool',
      ],
      [
        'another width',
        () => layer.forward(normal([1, 4, 5], 1)),
        ShapeError,
        'the last axis must have size 6',
      ],
      [
        'a mask of another shape',
        () => layer.forward(normal([2, 4, 6], 1), bools([true, true], [2, 1])),
        ShapeError,
        'CausalSelfAttention: the mask must be [2, 4]: [2, 4, 6] f64, [2, 1] bool',
      ],
      ...[[1, 4], [2, 4, 1], [8]].map((shape): (typeof rows)[number] => [
        `a mask [${shape.join(', ')}]`,
        () =>
          layer.forward(
            normal([2, 4, 6], 1),
            bools(new Array<boolean>(8).fill(true), [8])
              .narrow(
                0,
                0,
                shape.reduce((a, b) => a * b),
              )
              .reshape(shape),
          ),
        ShapeError,
        'CausalSelfAttention: the mask must be [2, 4]',
      ]),
      [
        'a mask of numbers',
        () => layer.forward(normal([1, 2, 6], 1), zeros([1, 2])),
        DTypeError,
        'must be bool',
      ],
      [
        'heads that do not divide the width',
        () => layerOf({ numHeads: 4 }),
        ValueError,
        'CausalSelfAttention: headDim must be an integer ≥ 1, got 1.5',
      ],
      [
        'key-value heads that do not divide the heads',
        () => layerOf({ numHeads: 3, numKvHeads: 2 }),
        ValueError,
        'CausalSelfAttention: numHeads 3 is not a multiple of numKvHeads 2',
      ],
      ['no heads', () => layerOf({ numHeads: 0, headDim: 2 }), ValueError, 'numHeads must be an integer ≥ 1'],
      [
        'a rotary embedding for other heads',
        () => layerOf({ numHeads: 3, rope: new RotaryEmbedding(4) }),
        ValueError,
        'CausalSelfAttention: the rotary embedding is for headDim 4, not 2',
      ],
    ];
    test.each(rows)('%s', (_, body, kind, says) => {
      expect(body).toThrow(kind);
      expect(body).toThrow(says);
    });
  });
});
