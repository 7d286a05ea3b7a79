/** Linear algebra: each method against its definition by plain loops, on matrices of all shapes in every layout, and what it refuses. */
import {
  eye,
  fromData,
  IndexError,
  InfinigradError,
  intercept,
  multiDot,
  ShapeError,
  tensor,
  ValueError,
  zeros,
  type DType,
  type Tensor,
} from '@infinigrad/tensor';
import { drawLayout, drawMatrices, expectAllClose, realise } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linalgMethods } from '../../src/compositions/linalg.ts';
import type { MatrixKind } from '../../src/ops/record.ts';
import { flat, fromTensor, indices, naive, range, type Naive } from '../naive.ts';
import { linalgReferences } from '../ops/references-linalg.ts';
import { runs } from '../support.ts';

const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
const t = (values: Parameters<typeof tensor>[0], dtype: DType = 'f64'): Tensor => tensor(values, { dtype });

interface Drawn {
  readonly int: (min: number, max: number) => number;
  /** Leading axes. */
  readonly batch: () => number[];
  /** Matrices of a kind, in any layout. */
  readonly matrices: (kind: MatrixKind, shape: readonly number[]) => Tensor;
  /** Numbers from -3 to 3, 0 among them, in any layout. */
  readonly numbers: (shape: readonly number[]) => Tensor;
}

function holds(check: (drawn: Drawn) => void): void {
  const law = fc.property(fc.gen(), (g) => {
    const int: Drawn['int'] = (min, max) => g(between, min, max);
    const laid = (values: readonly number[], shape: readonly number[]): Tensor =>
      realise(values, shape, 'f64', drawLayout(g, shape, { repeats: false }));
    check({
      int,
      batch: () => Array.from({ length: int(0, 2) }, () => int(1, 2)),
      matrices: (kind, shape) => laid(drawMatrices(g, kind, 'f64', shape), shape),
      numbers: (shape) =>
        laid(
          indices(shape).map(() => int(-12, 12) / 4),
          shape,
        ),
    });
  });
  fc.assert(law, { numRuns: runs });
}

function expectClose(actual: Tensor, expected: Tensor | Naive, tolerance = 1e-12): void {
  const wanted = 'at' in expected && !('storage' in expected) ? expected : fromTensor(expected as Tensor);
  expect(actual.shape).toEqual(wanted.shape);
  expectAllClose(actual, flat(wanted), { rtol: tolerance, atol: tolerance });
}

const identity = (shape: readonly number[], n: number): Naive =>
  naive([...shape, n, n], (index) => Number(index.at(-2) === index.at(-1)));
/** Zero below the diagonal (above it, for `lower`). */
function expectTriangle(x: Tensor, lower = false): void {
  const values = fromTensor(x);
  for (const index of indices(values.shape)) {
    const [i, j] = index.slice(-2) as [number, number];
    if (lower ? j > i : j < i) expect(values.at(index) + 0).toBe(0);
  }
}
const expectOrthonormal = (q: Tensor): void =>
  expectClose(q.transpose().matmul(q), identity(q.shape.slice(0, -2), q.shape.at(-1)!));
const cases = (draw: Drawn): [number[], number, number] => [draw.batch(), draw.int(1, 5), draw.int(1, 5)];

describe('factors', () => {
  it('qr: orthonormal columns times a triangle of diagonal ≥ 0', () => {
    holds((draw) => {
      const [batch, m, n] = cases(draw);
      const a = draw.matrices('full-rank', [...batch, m, n]);
      for (const mode of ['reduced', 'complete'] as const) {
        const { q, r } = a.qr({ mode });
        const k = mode === 'complete' ? m : Math.min(m, n);
        expect([q.shape, r.shape]).toEqual([
          [...batch, m, k],
          [...batch, k, n],
        ]);
        expectClose(q.matmul(r), a);
        expectOrthonormal(q);
        expectTriangle(r);
        expect(Array.from(r.diagonal(0, -2, -1).dataSync()).every((v) => v >= 0)).toBe(true);
      }
    });
  });
  it('lu: a permutation times a unit triangle of elements up to 1 times a triangle', () => {
    holds((draw) => {
      const [batch, m, n] = cases(draw);
      // Of any rank.
      const a = draw.numbers([...batch, m, n]);
      const { p, l, u } = a.lu();
      const k = Math.min(m, n);
      expect([p.shape, l.shape, u.shape]).toEqual([
        [...batch, m, m],
        [...batch, m, k],
        [...batch, k, n],
      ]);
      expectClose(p.matmul(l).matmul(u), a);
      expectOrthonormal(p);
      expect(Array.from(p.dataSync()).every((v) => v === 0 || v === 1)).toBe(true);
      expectTriangle(l, true);
      expectTriangle(u);
      expectClose(
        l.diagonal(0, -2, -1),
        naive([...batch, k], () => 1),
        0,
      );
      expect(Array.from(l.dataSync()).every((v) => Math.abs(v) <= 1)).toBe(true);
    });
  });
  it('eigh and eigvalsh: values in ascending order and their vectors, of the symmetric part', () => {
    holds((draw) => {
      const [batch, n] = cases(draw);
      const symmetric = draw.matrices('symmetric', [...batch, n, n]);
      const noise = draw.numbers([...batch, n, n]);
      const a = symmetric.add(noise).sub(noise.transpose());
      const { values, vectors } = a.eigh();
      expectClose(symmetric.matmul(vectors), vectors.mul(values.unsqueeze(-2)));
      expectOrthonormal(vectors);
      const known = linalgReferences.eighPacked([fromTensor(symmetric)], {});
      const inRow = (row: number): Naive =>
        naive([...batch, n], (index) => known.at(index.toSpliced(batch.length, 0, row)));
      expectClose(values, inRow(0), 1e-11);
      expectClose(a.eigvalsh(), inRow(0), 1e-11);
      expectClose(
        vectors,
        naive([...batch, n, n], (index) => known.at(index.with(batch.length, index[batch.length]! + 1))),
        1e-11,
      );
    });
  });
  it('svd and svdvals: orthonormal columns, values in descending order, orthonormal rows', () => {
    holds((draw) => {
      const [batch, m, n] = cases(draw);
      const a = draw.matrices('full-rank', [...batch, m, n]);
      const k = Math.min(m, n);
      const { u, s, vh } = a.svd();
      expect([u.shape, s.shape, vh.shape]).toEqual([
        [...batch, m, k],
        [...batch, k],
        [...batch, k, n],
      ]);
      expectClose(u.mul(s.unsqueeze(-2)).matmul(vh), a);
      expectOrthonormal(u);
      expectOrthonormal(vh.transpose());
      const known = linalgReferences.svdPacked([fromTensor(a)], {});
      const values = naive([...batch, k], (index) => known.at(index.toSpliced(batch.length, 0, 0)));
      expectClose(s, values, 1e-11);
      expectClose(a.svdvals(), values, 1e-11);
      const full = a.svd({ fullMatrices: true });
      expect([full.u.shape, full.vh.shape]).toEqual([
        [...batch, m, m],
        [...batch, n, n],
      ]);
      expectOrthonormal(full.u);
      expectOrthonormal(full.vh);
      expectClose(full.u.narrow(-1, 0, k), u, 0);
      expectClose(full.vh.narrow(-2, 0, k), vh, 0);
    });
  });
});

describe('equations', () => {
  it('choleskySolve, choleskyInverse and inverse: what gives the right side back', () => {
    holds((draw) => {
      const [batch, n, k] = cases(draw);
      const a = draw.matrices('positive-definite', [...batch, n, n]);
      const b = draw.numbers([...(draw.int(0, 1) === 0 ? [] : batch), n, k]);
      const upper = draw.int(0, 1) === 1;
      const factor = a.cholesky(upper);
      expectClose(a.matmul(b.choleskySolve(factor, { upper })), b.add(zeros([...batch, n, k])));
      expectClose(a.matmul(factor.choleskyInverse({ upper })), identity(batch, n));
      const general = draw.matrices('full-rank', [...batch, n, n]);
      expectClose(general.inverse().matmul(general), identity(batch, n));
    });
  });
  it('solve takes matrices, and a vector', () => {
    holds((draw) => {
      const [batch, n, k] = cases(draw);
      const a = draw.matrices('full-rank', [...batch, n, n]);
      const [b, v] = [draw.numbers([n, k]), draw.numbers([n])];
      expectClose(a.matmul(a.solve(b)), b.add(zeros([...batch, n, k])));
      expect(a.solve(v).shape).toEqual([...batch, n]);
      expectClose(a.matmul(a.solve(v).unsqueeze(-1)).squeeze(-1), v.add(zeros([...batch, n])));
    });
  });
  it('solveTriangular reads one triangle, from either side', () => {
    holds((draw) => {
      const [batch, n, k] = cases(draw);
      const a = draw.matrices('dominant', [...batch, n, n]);
      const [upper, left, unit] = [draw.int(0, 1) === 1, draw.int(0, 1) === 1, draw.int(0, 1) === 1];
      const strict = upper ? a.triu(1) : a.tril(-1);
      const diagonal = a.sub(a.triu(1)).sub(a.tril(-1));
      const read = strict.add(unit ? diagonal.div(diagonal.sum(-1, true)) : diagonal);
      const b = draw.numbers([...batch, ...(left ? [n, k] : [k, n])]);
      const x = a.solveTriangular(b, { upper, left, unitTriangular: unit });
      expectClose(left ? read.matmul(x) : x.matmul(read), b, 1e-11);
    });
  });
  it('slogdet and logdet: of the determinant by its definition', () => {
    holds((draw) => {
      const [batch, n] = cases(draw);
      const a = draw.matrices('full-rank', [...batch, n, n]);
      const known = linalgReferences.slogdetPacked([fromTensor(a)], {});
      const { sign, logAbsDet } = a.slogdet();
      const part = (i: number): Naive => naive(batch, (index) => known.at([...index, i]));
      expectClose(sign, part(0), 0);
      expectClose(logAbsDet, part(1));
      expectClose(
        a.logdet(),
        naive(batch, (index) => (known.at([...index, 0]) < 0 ? NaN : known.at([...index, 1]))),
      );
    });
    const flatOnes = t([
      [1, 1],
      [1, 1],
    ]);
    expect(flatOnes.slogdet().sign.itemSync()).toBe(0);
    expect(flatOnes.slogdet().logAbsDet.itemSync()).toBe(-Infinity);
    expect(flatOnes.logdet().itemSync()).toBe(-Infinity);
    const huge = t([
      [1e200, 0],
      [0, -1e200],
    ]);
    expect(huge.slogdet().sign.itemSync()).toBe(-1);
    expect(huge.slogdet().logAbsDet.itemSync()).toBeCloseTo(400 * Math.log(10), 10);
  });
  it('lstsq: nothing of what is left lies in the columns, nothing of the solution outside the rows', () => {
    holds((draw) => {
      const [batch, m, n] = cases(draw);
      const k = draw.int(1, Math.min(m, n));
      // Of rank k.
      const a = draw
        .matrices('full-rank', [...batch, m, k])
        .matmul(draw.matrices('full-rank', [...batch, k, n]));
      const vector = batch.length === 0 && draw.int(0, 1) === 0;
      const b = draw.numbers(vector ? [m] : [...batch, m, 2]);
      const { solution, residuals, rank, singularValues } = a.lstsq(b);
      const [x, right] = vector ? [solution.unsqueeze(-1), b.unsqueeze(-1)] : [solution, b];
      expect(solution.shape).toEqual(vector ? [n] : [...batch, n, 2]);
      const left = right.sub(a.matmul(x));
      expectClose(a.transpose().matmul(left), x.mul(0), 1e-11);
      // A basis of the rows.
      const rows = a.svd().vh.narrow(-2, 0, k);
      expectClose(rows.transpose().matmul(rows.matmul(x)), x, 1e-11);
      const sums = left.square().sum(-2);
      expectClose(residuals, vector ? sums.squeeze(-1) : sums, 1e-11);
      expectClose(
        rank,
        naive(batch, () => k),
        0,
      );
      expectClose(singularValues, a.svdvals(), 0);
    });
    const x = t([
      [2, 0],
      [0, 1e-3],
    ]);
    expect(x.lstsq(t([2, 1]), { rtol: 1e-2 }).rank.itemSync()).toBe(1);
    expectClose(x.lstsq(t([2, 1]), { rtol: 1e-2 }).solution, t([1, 0]));
  });
  it('matrixPower multiplies so many times', () => {
    holds((draw) => {
      const [batch, n] = cases(draw);
      const a = draw.matrices('full-rank', [...batch, n, n]);
      const power = draw.int(-4, 9);
      let expected: Tensor = a.mul(0).add(eye(n, n, { dtype: 'f64' }));
      for (let i = 0; i < Math.abs(power); i++) expected = expected.matmul(power < 0 ? a.inverse() : a);
      const result = a.matrixPower(power);
      expect(result.shape).toEqual(a.shape);
      const scale = Math.max(1, ...Array.from(expected.dataSync(), Math.abs));
      expectClose(result.div(scale), expected.div(scale), 1e-11);
    });
  });
});

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

describe('dtypes', () => {
  it('integers are factored in f32, f32 stays f32', () => {
    const whole = tensor([
      [4, 1],
      [1, 3],
    ]);
    for (const x of [whole, whole.cast('i32'), whole.cast('u8')]) {
      const results = [
        ...Object.values(x.qr()),
        ...Object.values(x.qr({ mode: 'complete' })),
        ...Object.values(x.lu()),
        ...Object.values(x.eigh()),
        ...Object.values(x.svd()),
        ...Object.values(x.slogdet()),
        x.inverse(),
        x.cholesky().choleskyInverse(),
        x.solveTriangular(x),
        x.matrixPower(2),
        x.matrixPower(0),
        x.matrixPower(-1),
        x.vectorNorm(3),
        x.matrixNorm('nuc'),
        x.matrixNorm(1),
        x.cond(),
        x.lstsq(x).solution,
        x.logdet(),
      ];
      expect(results.map(({ dtype }) => dtype)).toEqual(results.map(() => 'f32'));
      expectAllClose(x.inverse().matmul(x), [1, 0, 0, 1], { atol: 1e-6 });
    }
  });
});

describe('matrices of size 0', () => {
  const empty = (m: number, n: number): Tensor => zeros([2, m, n], { dtype: 'f64' });
  it('have factors', () => {
    for (const [m, n] of [
      [0, 0],
      [3, 0],
      [0, 3],
    ] as const) {
      const a = empty(m, n);
      const k = 0;
      const { q, r } = a.qr();
      expect([q.shape, r.shape]).toEqual([
        [2, m, k],
        [2, k, n],
      ]);
      const whole = a.qr({ mode: 'complete' });
      expect([whole.q.shape, whole.r.shape]).toEqual([
        [2, m, m],
        [2, m, n],
      ]);
      expectOrthonormal(whole.q);
      const { p, l, u } = a.lu();
      expect([p.shape, l.shape, u.shape]).toEqual([
        [2, m, m],
        [2, m, k],
        [2, k, n],
      ]);
      const full = a.svd({ fullMatrices: true });
      expect([full.u.shape, full.s.shape, full.vh.shape]).toEqual([
        [2, m, m],
        [2, 0],
        [2, n, n],
      ]);
      expectOrthonormal(full.u);
      expect(a.pinv().shape).toEqual([2, n, m]);
      expect(Array.from(a.matrixRank().dataSync())).toEqual([0, 0]);
      expect(Array.from(a.matrixNorm('nuc').dataSync())).toEqual([0, 0]);
    }
  });
  it('have a determinant of 1, an inverse, and solutions', () => {
    const a = empty(0, 0);
    expect(Array.from(a.det().dataSync())).toEqual([1, 1]);
    expect(Array.from(a.slogdet().logAbsDet.dataSync())).toEqual([0, 0]);
    for (const x of [
      a.inverse(),
      a.cholesky(),
      a.matrixExp(),
      a.cofactor(),
      a.eigh().vectors,
      a.matrixPower(-3),
    ])
      expect(x.shape).toEqual([2, 0, 0]);
    expect(a.solve(empty(0, 3)).shape).toEqual([2, 0, 3]);
    expect(a.eigvalsh().shape).toEqual([2, 0]);
    expect(zeros([0, 3, 3]).inverse().shape).toEqual([0, 3, 3]);
  });
});

describe('refused', () => {
  type Row = [string, () => unknown, new (...args: never[]) => InfinigradError, string];
  const [x, square, ones] = [zeros([2, 3]), zeros([2, 2]), zeros([2, 2]).add(1)];
  const vector = zeros([3]);
  const rows: Row[] = [
    ['qr', () => vector.qr(), ShapeError, 'qr: needs matrices, two axes or more: [3] f32'],
    ['qr', () => x.qr({ mode: 'r' as never }), ValueError, 'qr: the mode is reduced or complete, got r'],
    ['lu', () => vector.lu(), ShapeError, 'lu: needs matrices'],
    ['eigh', () => x.eigh(), ShapeError, 'eigh: needs square matrices, got 2 × 3: [2, 3] f32'],
    ['eigh', () => square.add(NaN).eigh(), ValueError, 'eigh: the matrix holds NaN or infinite elements'],
    ['eigvalsh', () => x.eigvalsh(), ShapeError, 'eigvalsh: needs square matrices'],
    ['svd', () => vector.svd(), ShapeError, 'svd: needs matrices'],
    ['svd', () => square.add(Infinity).svd(), ValueError, 'svd: the matrix holds NaN or infinite elements'],
    ['svdvals', () => vector.svdvals(), ShapeError, 'svdvals: needs matrices'],
    [
      'choleskySolve',
      () => zeros([3, 1]).choleskySolve(ones),
      ShapeError,
      'choleskySolve: 3 rows on the right for 2 on the left: [3, 1] f32, [2, 2] f32',
    ],
    [
      'choleskySolve',
      () => square.choleskySolve(square),
      ValueError,
      'choleskySolve: the matrix is singular',
    ],
    ['choleskyInverse', () => x.choleskyInverse(), ShapeError, 'choleskyInverse: needs square matrices'],
    ['solveTriangular', () => x.solveTriangular(x), ShapeError, 'solveTriangular: needs square matrices'],
    [
      'solveTriangular',
      () => square.solveTriangular(x),
      ValueError,
      'solveTriangular: the matrix is singular: element 0 of the diagonal is 0: [2, 2] f32, [2, 3] f32',
    ],
    [
      'solveTriangular',
      () => ones.solveTriangular(vector, { left: false }),
      IndexError,
      'solveTriangular: axis -2',
    ],
    ['inverse', () => x.inverse(), ShapeError, 'inverse: needs square matrices'],
    [
      'inverse',
      () => ones.inverse(),
      ValueError,
      'inverse: the matrix is singular: pivot 1 is 0: [2, 2] f32. Hint',
    ],
    ['slogdet', () => x.slogdet(), ShapeError, 'slogdet: needs square matrices'],
    ['logdet', () => x.logdet(), ShapeError, 'logdet: needs square matrices'],
    ['lstsq', () => x.lstsq(vector), ShapeError, 'lstsq: 3 rows on the right for 2 on the left'],
    ['lstsq', () => x.lstsq(square, { rtol: -1 }), ValueError, 'lstsq: needs an rtol ≥ 0, got -1'],
    ['matrixPower', () => x.matrixPower(2), ShapeError, 'matrixPower: needs square matrices'],
    ['matrixPower', () => ones.matrixPower(0.5), ValueError, 'matrixPower: needs an integer, got 0.5'],
    ['matrixPower', () => ones.matrixPower(-1), ValueError, 'matrixPower: the matrix is singular'],
    ['vectorNorm', () => x.vectorNorm(NaN), ValueError, 'vectorNorm: the order must be a number, got NaN'],
    ['vectorNorm', () => x.vectorNorm(3, 2), IndexError, 'vectorNorm: axis 2 is out of range'],
    [
      'vectorNorm',
      () => zeros([0]).vectorNorm(Infinity),
      ValueError,
      'vectorNorm: no value for an empty range',
    ],
    ['matrixNorm', () => x.matrixNorm(3), ValueError, 'matrixNorm: no norm of order 3'],
    [
      'matrixNorm',
      () => x.matrixNorm(1, [0, -2]),
      ValueError,
      'matrixNorm: axes [0, -2] name one axis twice',
    ],
    ['matrixNorm', () => vector.matrixNorm(), IndexError, 'matrixNorm: axis -2 is out of range'],
    [
      'matrixNorm',
      () => zeros([0, 2]).matrixNorm(Infinity),
      ValueError,
      'matrixNorm: no value for an empty range',
    ],
    ['cond', () => vector.cond(), ShapeError, 'cond: needs matrices'],
    ['cond', () => zeros([0, 2]).cond(), ShapeError, 'cond: needs matrices with elements'],
    ['cond', () => ones.cond(1), ValueError, 'cond: the matrix is singular'],
    ['cond', () => ones.add(square).cond(3), ValueError, 'cond: no norm of order 3'],
    ['matrixRank', () => vector.matrixRank(), ShapeError, 'matrixRank: needs matrices'],
    ['matrixRank', () => x.matrixRank({ atol: -1 }), ValueError, 'needs tolerances ≥ 0, got atol -1'],
    ['matrixRank', () => x.matrixRank({ rtol: NaN }), ValueError, 'and rtol NaN'],
    [
      'cross',
      () => x.cross(x, 0),
      ShapeError,
      'cross: needs vectors of 3 along axis 0: [2, 3] f32, [2, 3] f32',
    ],
    ['cross', () => vector.cross(zeros([2])), ShapeError, 'cross: shapes do not broadcast'],
    ['cross', () => zeros([1]).cross(vector), ShapeError, 'cross: needs vectors of 3'],
    ['cross', () => vector.cross(zeros([3, 2]).transpose(), 0), ShapeError, 'cross: needs vectors of 3'],
    ['cross', () => x.cross(x, 2), IndexError, 'cross: axis 2 is out of range'],
    ['vander', () => zeros([]).vander(), ShapeError, 'vander: needs an axis'],
    ['vander', () => vector.vander(-1), ValueError, 'vander: needs a count ≥ 0, got -1'],
    ['multiDot', () => multiDot([x]), ValueError, 'multiDot: needs two tensors or more, got 1'],
    ['multiDot', () => multiDot([x, x]), ShapeError, 'multiDot: inner sizes differ (3 and 2)'],
    [
      'multiDot',
      () => multiDot([x, vector, x]),
      ShapeError,
      'multiDot: needs matrices, and vectors only at the ends',
    ],
    ['multiDot', () => multiDot([zeros([1, 2, 2]), x]), ShapeError, 'multiDot: needs matrices'],
  ];
  it.each(rows)('%s %#', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
  it('every method has a row', () => {
    const tried = new Set(rows.map(([name]) => name));
    expect([...Object.keys(linalgMethods), 'multiDot'].filter((name) => !tried.has(name))).toEqual([]);
  });
  it('an error within a batch says where', () => {
    const batch = fromData(Float64Array.of(1, 0, 0, 1, 1, 1, 1, 1), [2, 2, 2]);
    expect(() => batch.inverse()).toThrow('pivot 1 is 0 (batch index [1])');
    expect(() => batch.cholesky()).toThrow('order 2 is not positive (pivot 0) (batch index [1])');
  });
});
