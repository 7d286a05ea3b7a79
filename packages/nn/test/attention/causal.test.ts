/** Causal attention: a written-out reference, who sees whom, masks, grouped heads, positions, gradients, errors. */
import fc from 'fast-check';
import { gradcheck, vjp, vmap } from '@infinigrad/autograd';
import { causalAttention, CausalSelfAttention, Parameter, RotaryEmbedding } from '@infinigrad/nn';
import {
  concat,
  DTypeError,
  fromData,
  Key,
  ShapeError,
  tensor,
  ValueError,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { dot, expectGradients, expectNumbers, gradcheckModule, lines, numbers, sum } from '../support.ts';

const dtype = 'f64' as const;
const normal = (shape: number[], seed: number): Tensor => new Key(seed).normal(shape, { dtype });
const bools = (values: readonly boolean[], shape: readonly number[]): Tensor =>
  fromData(Uint8Array.from(values, Number), shape, { dtype: 'bool' });

/** One head by loops: q [Tq][d], k [Tk][d], v [Tk][dv], and who may see whom beyond causality. */
function reference(
  q: readonly number[][],
  k: readonly number[][],
  v: readonly number[][],
  allowed: (i: number, j: number) => boolean,
  scale: number,
): number[][] {
  const width = v[0]!.length;
  return q.map((query, i) => {
    const seen = k.flatMap((_, j) => (j <= i + k.length - q.length && allowed(i, j) ? [j] : []));
    const scores = seen.map((j) => scale * dot(query, k[j]!));
    const top = Math.max(...scores);
    const weights = scores.map((s) => Math.exp(s - top));
    const total = sum(weights);
    return Array.from({ length: width }, (_, c) =>
      seen.reduce((y, j, n) => y + (weights[n]! / total) * v[j]![c]!, 0),
    );
  });
}

const shapes = {
  batch: fc.integer({ min: 1, max: 3 }),
  keys: fc.integer({ min: 1, max: 6 }),
  fewer: fc.nat(5),
  d: fc.integer({ min: 1, max: 4 }),
  dv: fc.integer({ min: 1, max: 4 }),
  seed: fc.nat(),
};

describe('causalAttention', () => {
  test('equals the loops', () =>
    fc.assert(
      fc.property(
        fc.record({ ...shapes, scale: fc.constantFrom(undefined, 0, 0.5, 2), masked: fc.boolean() }),
        ({ batch, keys, fewer, d, dv, seed, scale, masked }) => {
          const queries = Math.max(1, keys - fewer);
          const [q, k, v] = [
            normal([batch, queries, d], seed),
            normal([batch, keys, d], seed + 1),
            normal([batch, keys, dv], seed + 2),
          ];
          const seen = numbers(new Key(seed).foldIn(3).bernoulli(0.6, [batch, queries, keys])).map(Boolean);
          const mask = bools(seen, [batch, queries, keys]);
          const y = causalAttention(q, k, v, {
            ...(scale !== undefined && { scale }),
            ...(masked && { mask }),
          });
          expect(y.shape).toEqual([batch, queries, dv]);
          const at = (x: Tensor, b: number): number[][] => lines(x.select(0, b));
          const expected = Array.from({ length: batch }, (_, b) =>
            reference(
              at(q, b),
              at(k, b),
              at(v, b),
              (i, j) => !masked || seen[(b * queries + i) * keys + j]!,
              scale ?? 1 / Math.sqrt(d),
            ),
          );
          expectNumbers(numbers(y), expected.flat(2), 1e-11);
        },
      ),
    ));

  test('leading axes of queries, keys and values broadcast', () => {
    const [q, k, v] = [normal([2, 3, 4, 2], 1), normal([3, 4, 2], 2), normal([2, 1, 4, 5], 3)];
    const whole = causalAttention(q, k.expand([2, 3, 4, 2]), v.expand([2, 3, 4, 5]));
    const y = causalAttention(q, k, v);
    expect(y.shape).toEqual([2, 3, 4, 5]);
    expectNumbers(numbers(y), numbers(whole));
  });
  test('scores beyond the range of exp do not overflow, in f32', () => {
    const [q, k] = [tensor([[1e3], [1e3]]), tensor([[1e3], [-1e3]])];
    const y = causalAttention(q, k, tensor([[1], [2]]));
    expect(numbers(y)).toEqual([1, 1]);
  });
  test('a scale of 0 gives the mean of what is seen', () => {
    const y = causalAttention(normal([3, 2], 1), normal([3, 2], 2), tensor([[3], [6], [12]], { dtype }), {
      scale: 0,
    });
    expectNumbers(numbers(y), [3, 4.5, 7]);
  });
  test('a single query sees all keys', () => {
    const [q, k, v] = [normal([1, 2], 1), normal([5, 2], 2), normal([5, 3], 3)];
    const weights = q
      .matmul(k.transpose())
      .mul(1 / Math.sqrt(2))
      .softmax();
    expectNumbers(numbers(causalAttention(q, k, v)), numbers(weights.matmul(v)));
  });

  describe('causality', () => {
    test('by gradient: query i knows keys and values up to i + T_k - T_q, and those all', () =>
      fc.assert(
        fc.property(fc.record(shapes), ({ batch, keys, fewer, d, dv, seed }) => {
          const queries = Math.max(1, keys - fewer);
          const [q, k, v] = [
            normal([batch, queries, d], seed),
            normal([batch, keys, d], seed + 1),
            normal([batch, keys, dv], seed + 2),
          ];
          const { pullback } = vjp((a: Tensor, b: Tensor, c: Tensor) => causalAttention(a, b, c), q, k, v);
          for (let i = 0; i < queries; i++) {
            const only = numbers(zeros([batch, queries, dv])).map((_, n) =>
              Number(Math.floor(n / dv) % queries === i),
            );
            const [gq, gk, gv] = pullback(fromData(Float64Array.from(only), [batch, queries, dv]));
            const last = i + keys - queries;
            const touched = (g: Tensor): boolean[] => lines(g).map((line) => line.some((x) => x !== 0));
            const [values, whose] = [touched(gv), touched(gk)];
            for (let b = 0; b < batch; b++)
              for (let j = 0; j < keys; j++) {
                expect(values[b * keys + j]).toBe(j <= last);
                if (j > last) expect(whose[b * keys + j]).toBe(false);
              }
            touched(gq).forEach((moved, n) => moved && expect(n % queries).toBe(i));
          }
        }),
      ));
    test('by value: what comes later changes nothing, bit for bit', () => {
      const [q, k, v] = [normal([6, 4], 1), normal([6, 4], 2), normal([6, 4], 3)];
      const y = causalAttention(q, k, v);
      for (let t = 1; t < 6; t++) {
        const other = (x: Tensor, seed: number): Tensor =>
          concat([x.narrow(0, 0, t), normal([6 - t, 4], seed)]);
        const z = causalAttention(other(q, 7), other(k, 8), other(v, 9));
        expect(numbers(z.narrow(0, 0, t))).toEqual(numbers(y.narrow(0, 0, t)));
        expect(numbers(z.narrow(0, t, 1))).not.toEqual(numbers(y.narrow(0, t, 1)));
      }
    });
  });

  describe('masks', () => {
    test('a query that sees no key gives zeros, and no gradient to anything', () => {
      const [q, k, v] = [normal([3, 2], 1), normal([3, 2], 2), normal([3, 2], 3)].map((x) =>
        x.requireGrad(),
      ) as [Tensor, Tensor, Tensor];
      const mask = bools([true, true, true, false, false, true, true, false, true], [3, 3]);
      const y = causalAttention(q, k, v, { mask });
      expect(lines(y)[1]).toEqual([0, 0]);
      y.narrow(0, 1, 1).sum().backward(undefined, { retainGraph: true });
      for (const x of [q, k, v]) expect(numbers(x.grad!)).toEqual([0, 0, 0, 0, 0, 0]);
      for (const x of [q, k, v]) x.grad = null;
      y.square().sum().backward();
      expect(lines(q.grad!)[1]).toEqual([0, 0]);
      for (const x of [q, k, v]) expect(numbers(x.grad!).every(Number.isFinite)).toBe(true);
      // Key 1 is seen by nobody.
      expect([lines(k.grad!)[1], lines(v.grad!)[1]]).toEqual([
        [0, 0],
        [0, 0],
      ]);
    });
    test('of false throughout gives zeros throughout', () => {
      const mask = bools([false], [1, 1]);
      const y = causalAttention(normal([2, 3, 2], 1), normal([2, 3, 2], 2), normal([2, 3, 2], 3), { mask });
      expect(numbers(y).every((x) => x === 0)).toBe(true);
    });
    test('of true throughout changes nothing', () => {
      const [q, k, v] = [normal([2, 3, 2], 1), normal([2, 3, 2], 2), normal([2, 3, 2], 3)];
      expectNumbers(
        numbers(causalAttention(q, k, v, { mask: bools([true], [1, 1]) })),
        numbers(causalAttention(q, k, v)),
      );
    });
    test('broadcast: one for all queries, one for all heads', () => {
      const [q, k, v] = [normal([2, 3, 4, 2], 1), normal([2, 3, 4, 2], 2), normal([2, 3, 4, 2], 3)];
      const seen = [true, false, true, true, false, true, true, true];
      const mask = bools(seen, [2, 1, 1, 4]);
      const y = causalAttention(q, k, v, { mask });
      expectNumbers(numbers(y), numbers(causalAttention(q, k, v, { mask: mask.expand([2, 3, 4, 4]) })));
      // What a masked key holds does not matter.
      const other = k.add(mask.reshape([2, 1, 4, 1]).where(0, 5));
      expectNumbers(numbers(causalAttention(q, other, v, { mask })), numbers(y));
    });
  });

  test.each([
    ['plain', undefined],
    [
      'with a mask that hides a line',
      bools([true, false, true, false, false, true, true, true, true, false, true, true], [3, 4]),
    ],
  ])('passes gradcheck to second order, %s', (_, mask) => {
    gradcheck(
      (q, k, v) => causalAttention(q, k, v, mask ? { mask } : {}),
      [normal([2, 3, 2], 1), normal([4, 2], 2), normal([2, 4, 3], 3)],
      { order: 2 },
    );
  });

  describe('errors', () => {
    const [q, k, v] = [zeros([3, 2]), zeros([4, 2]), zeros([4, 5])];
    const rows: [string, () => unknown, new (...args: never[]) => Error, string][] = [
      [
        'a vector',
        () => causalAttention(zeros([2]), k, v),
        ShapeError,
        'causalAttention: needs queries, keys and values [..., T, d]: [2] f32, [4, 2] f32, [4, 5] f32',
      ],
      [
        'queries and keys of different sizes',
        () => causalAttention(q, zeros([4, 3]), v),
        ShapeError,
        'causalAttention: queries and keys differ in size',
      ],
      [
        'keys and values of different numbers',
        () => causalAttention(q, k, zeros([3, 5])),
        ShapeError,
        'causalAttention: keys and values differ in number',
      ],
      [
        'more queries than keys',
        () => causalAttention(zeros([5, 2]), k, v),
        ShapeError,
        'causalAttention: 5 queries for 4 keys: [5, 2] f32, [4, 2] f32, [4, 5] f32. Hint: the last query stands beside the last key',
      ],
      [
        'a mask of numbers',
        () => causalAttention(q, k, v, { mask: zeros([3, 4]) }),
        DTypeError,
        'causalAttention: the mask must be bool: [3, 4] f32. Hint: true where a query may see a key',
      ],
      [
        'a mask that does not broadcast',
        () => causalAttention(q, k, v, { mask: bools([true, true], [2, 1]) }),
        ShapeError,
        'shapes do not broadcast (sizes 3 and 2 meet at axis -2)',
      ],
    ];
    test.each(rows)('%s', (_, body, kind, says) => {
      expect(body).toThrow(kind);
      expect(body).toThrow(says);
    });
  });
});

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
