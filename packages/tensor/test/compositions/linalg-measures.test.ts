/** Norms, ranks and products of linear algebra against their definitions by plain loops. */
import { intercept, multiDot, zeros, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { flat, fromTensor, naive, range, type Naive } from '../naive.ts';
import { linalgReferences } from '../ops/references-linalg.ts';
import { cases, expectClose, holds, t } from './linalg-support.ts';

describe('measures', () => {
  const power = (values: readonly number[], p: number): number => {
    const sizes = values.map(Math.abs);
    if (p === Infinity) return Math.max(...sizes);
    if (p === -Infinity) return Math.min(...sizes);
    if (p === 0) return sizes.filter((v) => v !== 0).length;
    return sizes.map((v) => v ** p).reduce((a, b) => a + b, 0) ** (1 / p);
  };
  it('vectorNorm sums powers over axes', () => {
    holds((draw) => {
      const shape = Array.from({ length: draw.int(1, 3) }, () => draw.int(1, 4));
      const x = draw.numbers(shape);
      const values = fromTensor(x);
      const axis = draw.int(0, shape.length - 1);
      for (const p of [0, 0.5, 1, 2, 3.5, -1, -2, Infinity, -Infinity]) {
        const lines = naive(shape.toSpliced(axis, 1), (index) =>
          power(
            range(shape[axis]!).map((i) => values.at(index.toSpliced(axis, 0, i))),
            p,
          ),
        );
        expectClose(x.vectorNorm(p, axis - shape.length), lines);
        expect(x.vectorNorm(p, axis, true).shape).toEqual(shape.with(axis, 1));
        expectClose(
          x.vectorNorm(p),
          naive([], () => power(flat(values), p)),
        );
      }
      expectClose(x.vectorNorm(), x.norm(), 0);
    });
  });
  it('matrixNorm: sums of columns and rows, of squares, and of singular values, on any two axes', () => {
    holds((draw) => {
      const [batch, m, n] = cases(draw);
      const a = draw.matrices('full-rank', [...batch, m, n]);
      const values = fromTensor(a);
      const singular = linalgReferences.svdPacked([values], {});
      const sums = (along: 'row' | 'column', lead: readonly number[]): number[] =>
        range(along === 'row' ? m : n).map((i) =>
          range(along === 'row' ? n : m)
            .map((j) => Math.abs(values.at([...lead, ...(along === 'row' ? [i, j] : [j, i])])))
            .reduce((x, y) => x + y, 0),
        );
      const spectrum = (lead: readonly number[]): number[] =>
        range(Math.min(m, n)).map((i) => singular.at([...lead, 0, i]));
      const definitions: [Parameters<Tensor['matrixNorm']>[0], (lead: readonly number[]) => number][] = [
        [
          'fro',
          (lead) => Math.hypot(...range(m * n).map((i) => values.at([...lead, Math.floor(i / n), i % n]))),
        ],
        ['nuc', (lead) => spectrum(lead).reduce((x, y) => x + y, 0)],
        [2, (lead) => Math.max(...spectrum(lead))],
        [-2, (lead) => Math.min(...spectrum(lead))],
        [1, (lead) => Math.max(...sums('column', lead))],
        [-1, (lead) => Math.min(...sums('column', lead))],
        [Infinity, (lead) => Math.max(...sums('row', lead))],
        [-Infinity, (lead) => Math.min(...sums('row', lead))],
      ];
      const [last, before] = [a.rank - 1, a.rank - 2];
      for (const [order, f] of definitions) {
        const expected = naive(batch, f);
        expectClose(a.matrixNorm(order), expected, 1e-11);
        expect(a.matrixNorm(order, [-2, -1], true).shape).toEqual([...batch, 1, 1]);
        // Rows and columns at other places, and in the other order.
        expectClose(a.transpose().matrixNorm(order, [last, before]), expected, 1e-11);
        expectClose(a.moveAxis(-1, 0).matrixNorm(order, [-1, 0]), expected, 1e-11);
        expect(a.moveAxis(-1, 0).matrixNorm(order, [-1, 0], true).shape).toEqual([1, ...batch, 1]);
      }
      expectClose(a.matrixNorm(), a.matrixNorm('fro'), 0);
    });
  });
  it('cond: the ratio of singular values, or the norms of A and its inverse', () => {
    holds((draw) => {
      const [batch, m, n] = cases(draw);
      const a = draw.matrices('full-rank', [...batch, m, n]);
      const s = a.svdvals();
      const ratio = s.max(-1).div(s.min(-1));
      expectClose(a.cond(), ratio);
      expectClose(a.cond(-2), ratio.reciprocal());
      const square = draw.matrices('full-rank', [...batch, n, n]);
      for (const order of ['fro', 'nuc', 1, -1, Infinity, -Infinity] as const)
        expectClose(square.cond(order), square.matrixNorm(order).mul(square.inverse().matrixNorm(order)));
    });
    expect(
      t([
        [1, 0],
        [0, 0],
      ])
        .cond()
        .itemSync(),
    ).toBe(Infinity);
  });
  it('matrixRank counts the singular values above the tolerances', () => {
    holds((draw) => {
      const [batch, m, n] = cases(draw);
      const k = draw.int(0, Math.min(m, n));
      const a =
        k === 0
          ? zeros([...batch, m, n], { dtype: 'f64' })
          : draw.matrices('full-rank', [...batch, m, k]).matmul(draw.matrices('full-rank', [...batch, k, n]));
      for (const x of [a, a.cast('f32')]) {
        expect(x.matrixRank().dtype).toBe('i32');
        expectClose(
          x.matrixRank(),
          naive(batch, () => k),
          0,
        );
      }
      const s = a.svdvals();
      const limit = draw.int(0, 40) / 10 + 0.05;
      expectClose(a.matrixRank({ atol: limit }), s.gt(limit).cast('i32').sum(-1), 0);
      const relative = draw.int(0, 10) / 10 + 0.05;
      expectClose(
        a.matrixRank({ rtol: relative }),
        s.gt(s.max(-1, true).mul(relative)).cast('i32').sum(-1),
        0,
      );
    });
    // With an atol alone, no rtol.
    expect(
      t([
        [1, 0],
        [0, 1e-18],
      ])
        .matrixRank({ atol: 1e-20 })
        .itemSync(),
    ).toBe(2);
    expect(
      t([
        [1, 0],
        [0, 1e-18],
      ])
        .matrixRank()
        .itemSync(),
    ).toBe(1);
  });
});

describe('products', () => {
  it('cross: perpendicular to both, by its definition', () => {
    holds((draw) => {
      const shape = Array.from({ length: draw.int(1, 3) }, () => draw.int(1, 3));
      const axis = draw.int(0, shape.length - 1);
      const [x, y] = [draw.numbers(shape.with(axis, 3)), draw.numbers(shape.map(() => 1).with(axis, 3))];
      const [a, b] = [fromTensor(x), fromTensor(y)];
      expectClose(
        x.cross(y, axis - shape.length),
        naive(shape.with(axis, 3), (index) => {
          const at = (v: Naive, i: number): number =>
            v.at(index.map((k, place) => (place === axis ? i % 3 : v.shape[place] === 1 ? 0 : k)));
          const i = index[axis]!;
          return at(a, i + 1) * at(b, i + 2) - at(a, i + 2) * at(b, i + 1);
        }),
      );
      expectClose(x.cross(y, axis), x.cross(y, axis - shape.length), 0);
    });
    expectClose(t([1, 0, 0]).cross(t([0, 1, 0])), t([0, 0, 1]), 0);
    expect(zeros([3]).cross(zeros([2, 3])).shape).toEqual([2, 3]);
  });
  it('vander holds powers', () => {
    holds((draw) => {
      const x = draw.numbers([...draw.batch(), draw.int(1, 4)]);
      const values = fromTensor(x);
      const count = draw.int(0, 5);
      expectClose(
        x.vander(count),
        naive([...x.shape, count], (index) => values.at(index.slice(0, -1)) ** index.at(-1)!),
      );
      expectClose(x.vander(), x.vander(x.shape.at(-1)!), 0);
    });
  });
  it('multiDot multiplies in the cheapest order', () => {
    /** Multiplications of the cheapest of all bracketings. */
    const cheapest = (sizes: readonly number[]): number =>
      sizes.length <= 2
        ? 0
        : Math.min(
            ...range(sizes.length - 2).map(
              (k) =>
                cheapest(sizes.slice(0, k + 2)) +
                cheapest(sizes.slice(k + 1)) +
                sizes[0]! * sizes[k + 1]! * sizes.at(-1)!,
            ),
          );
    holds((draw) => {
      const sizes = range(draw.int(3, 6)).map(() => draw.int(1, 6));
      const ends = [draw.int(0, 3) === 0, draw.int(0, 3) === 0];
      if (ends[0]) sizes[0] = 1;
      if (ends[1]) sizes[sizes.length - 1] = 1;
      const all = range(sizes.length - 1).map((i) => draw.numbers([sizes[i]!, sizes[i + 1]!]));
      const expected = all.reduce((a, b) => a.matmul(b));
      if (ends[0]) all[0] = all[0]!.squeeze(0);
      if (ends[1]) all[all.length - 1] = all.at(-1)!.squeeze(-1);
      let cost = 0;
      const stop = intercept((call, next) => {
        if (call.op === 'matmul') cost += call.inputs[0]!.size * call.inputs[1]!.shape.at(-1)!;
        return next(call);
      });
      let result: Tensor;
      try {
        result = multiDot(all);
      } finally {
        stop();
      }
      expect(cost).toBe(cheapest(sizes));
      const squeezed = ends[0] ? expected.squeeze(0) : expected;
      expectClose(result, ends[1] ? squeezed.squeeze(-1) : squeezed);
    });
  });
});
