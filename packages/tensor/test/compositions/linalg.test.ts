/** Factorisations and equations: each method against its definition, on matrices of all shapes in every layout, and what it refuses. */
import {
  eye,
  fromData,
  IndexError,
  InfinigradError,
  multiDot,
  ShapeError,
  tensor,
  ValueError,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { linalgMethods } from '../../src/compositions/linalg.ts';
import { fromTensor, naive, type Naive } from '../naive.ts';
import { linalgReferences } from '../ops/references-linalg.ts';
import {
  cases,
  expectClose,
  expectOrthonormal,
  expectTriangle,
  holds,
  identity,
  t,
} from './linalg-support.ts';

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
