/**
 * Factorisations of matrices that are hard: nearly or wholly singular, graded over many orders of magnitude, with equal
 * eigenvalues, huge or tiny, large. Residuals and orthogonality are held to a small multiple of n times f64's rounding.
 */
import {
  contiguousLayout,
  eye,
  fromData,
  Key,
  recordOf,
  ValueError,
  zeros,
  type BufferView,
  type KernelCall,
  type OpName,
  type Tensor,
} from '@infinigrad/tensor';
import fc, { type Stream } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pinv, svdPacked } from '../../src/backends/js/kernels/linalg/svd.ts';
import { eighPacked } from '../../src/backends/js/kernels/linalg/symmetric.ts';
import { range } from '../naive.ts';
import { runs } from '../support.ts';

const epsilon = 2 ** -52;
const of = (m: number, n: number, at: (i: number, j: number) => number): Tensor =>
  fromData(
    Float64Array.from({ length: m * n }, (_, k) => at(Math.floor(k / n), k % n)),
    [m, n],
  );
const identity = (n: number): Tensor => eye(n, n, { dtype: 'f64' });
const normal = (seed: number, m: number, n: number): Tensor => new Key(seed).normal([m, n], { dtype: 'f64' });
const diagonal = (values: readonly number[]): Tensor =>
  of(values.length, values.length, (i, j) => (i === j ? values[i]! : 0));
const orthogonal = (seed: number, n: number): Tensor => normal(seed, n, n).qr().q;

/** The largest absolute value; NaN where there is one. */
const largest = (x: Tensor): number => Math.max(0, ...Array.from(x.dataSync(), Math.abs));
/** The largest element of x beside that of `whole`, in units of n times the rounding. */
function error(x: Tensor, whole: Tensor | number): number {
  const scale = typeof whole === 'number' ? whole : largest(whole);
  const n = Math.max(1, ...x.shape);
  return largest(x) / (scale || 1) / (n * epsilon);
}
/** Without overflow on the way: matrices as they are multiplied are of size 1. */
function scaled(x: Tensor): Tensor {
  const top = largest(x);
  return top === 0 ? x : x.div(top);
}

function expectOrthonormal(q: Tensor): void {
  expect(largest(q.transpose().matmul(q).sub(identity(q.shape[1]!))) / epsilon).toBeLessThan(
    16 + q.shape[0]! / 4,
  );
}

/** Everything that any matrix has. */
function expectFactors(a: Tensor): void {
  const top = largest(a) || 1;
  const unit = scaled(a);

  const { q, r } = a.qr();
  expectOrthonormal(q);
  expect(error(q.matmul(r.div(top)).sub(unit), unit)).toBeLessThan(8);

  const { p, l, u } = a.lu();
  // Elimination by rows is as exact as U's growth lets it be.
  expect(error(p.matmul(l.matmul(u.div(top))).sub(unit), Math.max(1, largest(u.div(top))))).toBeLessThan(8);

  const svd = a.svd();
  expectOrthonormal(svd.u);
  expectOrthonormal(svd.vh.transpose());
  expect(error(svd.u.mul(svd.s.div(top)).matmul(svd.vh).sub(unit), svd.s.div(top))).toBeLessThan(8);
  const s = Array.from(svd.s.dataSync());
  expect(s.every((v, i) => v >= 0 && (i === 0 || v <= s[i - 1]!))).toBe(true);
}

function expectEigen(a: Tensor): void {
  const top = largest(a) || 1;
  const unit = scaled(a.div(2).add(a.transpose().div(2)).div(top));
  const { values, vectors } = unit.eigh();
  expectOrthonormal(vectors);
  const size = Math.max(largest(values), 1e-300);
  expect(error(unit.matmul(vectors).sub(vectors.mul(values)), size)).toBeLessThan(8);
  const v = Array.from(values.dataSync());
  expect(v.every((x, i) => i === 0 || x >= v[i - 1]!)).toBe(true);
}

const hilbert = (n: number): Tensor => of(n, n, (i, j) => 1 / (i + j + 1));
const wilkinson = (n: number): Tensor =>
  of(n, n, (i, j) => (i === j ? Math.abs((n - 1) / 2 - i) : Number(Math.abs(i - j) === 1)));
const kahan = (n: number): Tensor =>
  of(n, n, (i, j) => (j < i ? 0 : Math.sin(1.2) ** i * (j === i ? 1 : -Math.cos(1.2))));
const powers = (n: number, base: number): number[] => range(n).map((i) => base ** i);

const matrices: [string, Tensor][] = [
  ['the number 0', of(1, 1, () => 0)],
  ['a negative number', of(1, 1, () => -3)],
  ['nothing', zeros([0, 0], { dtype: 'f64' })],
  ['zeros', of(5, 5, () => 0)],
  ['ones', of(6, 6, () => 1)],
  ['the identity', identity(7)],
  ['a permutation', of(6, 6, (i, j) => Number(j === (i * 5 + 2) % 6))],
  ['a Jordan block', of(8, 8, (i, j) => Number(j === i + 1))],
  ['Hilbert 12', hilbert(12)],
  ['Wilkinson 21', wilkinson(21)],
  ['Kahan 30', kahan(30)],
  [
    'growth: 1, -1 below, 1 in the last column',
    of(20, 20, (i, j) => (i === j || j === 19 ? 1 : j < i ? -1 : 0)),
  ],
  [
    'graded downwards',
    diagonal(powers(16, 0.1))
      .matmul(normal(1, 16, 16))
      .matmul(diagonal(powers(16, 0.1))),
  ],
  [
    'graded upwards',
    diagonal(powers(16, 0.1).reverse())
      .matmul(normal(2, 16, 16))
      .matmul(diagonal(powers(16, 0.1).reverse())),
  ],
  ['rank 3 of 12', normal(3, 12, 3).matmul(normal(4, 3, 12))],
  ['rank 1, with zero rows', of(9, 9, (i, j) => (i % 3) * (j % 2))],
  [
    'equal eigenvalues',
    orthogonal(5, 12)
      .mul(
        fromData(
          Float64Array.from(range(12), (i) => Math.floor(i / 4)),
          [12],
        ),
      )
      .matmul(orthogonal(5, 12).transpose()),
  ],
  [
    'eigenvalues nearly equal',
    orthogonal(6, 10)
      .mul(
        fromData(
          Float64Array.from(range(10), (i) => 1 + i * 1e-15),
          [10],
        ),
      )
      .matmul(orthogonal(6, 10).transpose()),
  ],
  ['two values far apart', of(2, 2, (i, j) => [1, 1e-170, 1e-170, 1e-300][2 * i + j]!)],
  ['huge', normal(7, 10, 10).mul(1e300)],
  ['tiny', normal(8, 10, 10).mul(1e-300)],
  ['skew', normal(9, 9, 9).sub(normal(9, 9, 9).transpose())],
  ['random 80', normal(10, 80, 80)],
  ['random 200', normal(11, 200, 200)],
];
const rectangles: [string, Tensor][] = [
  ['tall', normal(12, 60, 7)],
  ['wide', normal(13, 7, 60)],
  ['a column', normal(14, 9, 1)],
  ['a row', normal(15, 1, 9)],
  ['tall of rank 2', normal(16, 20, 2).matmul(normal(17, 2, 6))],
  ['wide of rank 2', normal(18, 6, 2).matmul(normal(19, 2, 20))],
  ['wide with singular first columns', of(4, 9, (i, j) => (j < 3 ? 1 : i * j + (j % 3)))],
  ['tall zeros', of(6, 2, () => 0)],
  ['Vandermonde', of(20, 12, (i, j) => (i / 19) ** j)],
];

describe('hard matrices', () => {
  it.each([...matrices, ...rectangles])('%s have factors', (_, a) => expectFactors(a));
  it.each(matrices)('%s have eigenvalues and vectors', (_, a) => expectEigen(a));
  it('subnormal ones have orthonormal factors; products are beyond what can be held', () => {
    const a = of(4, 4, (i, j) => (1 + ((3 * i + 5 * j) % 7)) * 5e-324);
    const { u, vh } = a.svd();
    for (const x of [a.qr().q, u, vh, a.eigh().vectors]) expectOrthonormal(x);
  });
  it('any of small whole numbers, rescaled by row and column', () => {
    const law = fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 9 }),
      fc.infiniteStream(fc.integer({ min: -2, max: 2 })),
      fc.infiniteStream(fc.integer({ min: -20, max: 20 })),
      (m, n, entries, exponents) => {
        const take = (stream: Stream<number>, count: number): number[] => [...stream.take(count)];
        const values = take(entries, m * n);
        const scales = take(exponents, m + n);
        const plain = of(m, n, (i, j) => values[i * n + j]!);
        const graded = of(m, n, (i, j) => values[i * n + j]! * 2 ** (scales[i]! + scales[m + j]!));
        for (const a of [plain, graded]) {
          expectFactors(a);
          if (m === n) expectEigen(a);
        }
      },
    );
    fc.assert(law, { numRuns: runs });
  });
});

it('one NaN or infinity among many elements is noticed', () => {
  for (const wrong of [NaN, Infinity, -Infinity])
    for (const at of [0, 4, 8]) {
      const a = of(3, 3, (i, j) => (3 * i + j === at ? wrong : 1));
      expect(() => a.svd()).toThrow('NaN or infinite');
      expect(() => a.pinv()).toThrow('NaN or infinite');
      expect(() => a.eigh()).toThrow('NaN or infinite');
    }
});

describe('an iteration that does not settle', () => {
  const view = (shape: readonly number[], data: Float64Array): BufferView => ({
    buffer: data,
    dtype: 'f64',
    ...contiguousLayout(shape),
  });
  const kernels = { eighPacked, svdPacked, pinv };
  it.each(Object.entries(kernels))(
    'is an error of %s, with the place and the number of sweeps',
    (op, kernel) => {
      const x = normal(50, 2, 9).reshape([2, 3, 3]);
      const rows = { eighPacked: 4, svdPacked: 7, pinv: 3 }[op]!;
      const call: KernelCall = {
        op,
        record: recordOf(op as OpName),
        inputs: [view([2, 3, 3], x.dataSync() as Float64Array)],
        output: view([2, rows, 3], new Float64Array(2 * rows * 3)),
        attrs: { rtol: 0 },
      };
      expect(() => kernel(call, 0)).toThrow(
        `${op}: no convergence in 0 sweeps (batch index [0]): [2, 3, 3] f64`,
      );
      expect(() => kernel(call, 1)).toThrow(ValueError);
      expect(() => kernel(call)).not.toThrow();
    },
  );
});

describe('known spectra', () => {
  it('of second differences: 2 - 2 cos(kπ/(n + 1))', () => {
    const n = 100;
    const a = of(n, n, (i, j) => (i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0));
    const known = range(n).map((k) => 2 - 2 * Math.cos(((k + 1) * Math.PI) / (n + 1)));
    const values = a.eigvalsh();
    expect(error(values.sub(fromData(Float64Array.from(known), [n])), 4)).toBeLessThan(2);
    const singular = a.svdvals().flip();
    expect(error(singular.sub(fromData(Float64Array.from(known), [n])), 4)).toBeLessThan(2);
  });
  it("of Wilkinson's matrix: pairs equal to all digits", () => {
    // The two largest, known to 16 digits.
    const values = Array.from(wilkinson(21).eigvalsh().dataSync());
    expect(Math.abs(values[20]! - 10.746194182903393)).toBeLessThan(1e-13);
    expect(Math.abs(values[19]! - 10.746194182903322)).toBeLessThan(1e-13);
  });
  it('of matrices with chosen singular values, to the last digits of the largest', () => {
    const chosen = powers(15, 0.1);
    const a = orthogonal(20, 15)
      .mul(fromData(Float64Array.from(chosen), [15]))
      .matmul(orthogonal(21, 15));
    const s = Array.from(a.svdvals().dataSync());
    s.forEach((v, i) => expect(Math.abs(v - chosen[i]!)).toBeLessThan(15 * epsilon));
  });
  it('of columns of very different lengths, each to its own digits', () => {
    const lengths = powers(12, 1e-10);
    const a = orthogonal(22, 12).mul(fromData(Float64Array.from(lengths), [12]));
    const s = Array.from(a.svdvals().dataSync());
    s.forEach((v, i) => expect(Math.abs(v / lengths[i]! - 1)).toBeLessThan(24 * epsilon));
  });
});

describe('solutions', () => {
  it('leave residuals as small as A, X and B are large', () => {
    const all = [
      normal(30, 60, 60),
      hilbert(12),
      kahan(30),
      diagonal(powers(16, 0.1)).matmul(normal(31, 16, 16)),
    ];
    for (const a of all) {
      const n = a.shape[0]!;
      const b = normal(32, n, 3);
      const x = a.solve(b);
      expect(error(a.matmul(x).sub(b), n * largest(a) * largest(x) + largest(b))).toBeLessThan(1);
    }
  });
  it('of positive definite equations likewise, and the factor gives A back', () => {
    for (const a of [
      hilbert(10),
      wilkinson(21).add(identity(21).mul(2)),
      normal(33, 100, 100)
        .matmul(normal(33, 100, 100).transpose())
        .add(identity(100)),
    ]) {
      const n = a.shape[0]!;
      const l = a.cholesky();
      expect(error(l.matmul(l.transpose()).sub(a), a)).toBeLessThan(4);
      const b = normal(34, n, 2);
      const x = b.choleskySolve(l);
      expect(error(a.matmul(x).sub(b), n * largest(a) * largest(x) + largest(b))).toBeLessThan(1);
    }
  });
  it('Hilbert 14 is positive definite, but not in f64', () => {
    expect(() => hilbert(14).cholesky()).toThrow('not positive definite');
  });
  it('least squares of an ill-conditioned matrix leave what is perpendicular to it', () => {
    const a = of(20, 12, (i, j) => (i / 19) ** j);
    const b = normal(35, 20, 1);
    const { solution } = a.lstsq(b);
    const left = b.sub(a.matmul(solution));
    expect(error(a.transpose().matmul(left), largest(solution))).toBeLessThan(1);
  });
  it('the pseudo-inverse keeps its four laws at any rank', () => {
    for (const a of [
      ...rectangles.slice(0, 8).map(([, x]) => x),
      matrices.find(([name]) => name === 'rank 3 of 12')![1],
    ]) {
      const p = a.pinv();
      const [top, turned] = [Math.max(largest(a), 1), Math.max(largest(p), 1)];
      const [ap, pa] = [a.matmul(p), p.matmul(a)];
      expect(error(ap.matmul(a).sub(a), top * top * turned)).toBeLessThan(64);
      expect(error(pa.matmul(p).sub(p), top * turned * turned)).toBeLessThan(64);
      expect(error(ap.sub(ap.transpose()), top * turned)).toBeLessThan(64);
      expect(error(pa.sub(pa.transpose()), top * turned)).toBeLessThan(64);
    }
  });
  it('cofactors of singular matrices: the product with Aᵀ is 0, and rank n - 2 leaves nothing', () => {
    const low = normal(36, 8, 7).matmul(normal(37, 7, 8));
    const c = low.cofactor();
    expect(largest(c)).toBeGreaterThan(1);
    expect(error(low.transpose().matmul(c), largest(low) * largest(c))).toBeLessThan(8);
    expect(largest(of(5, 5, (i, j) => (i % 3) * ((j % 3) + 1)).cofactor())).toBe(0);
  });
});

describe('exponentials', () => {
  const expectExp = (a: Tensor, expected: Tensor, tolerance = 8): void =>
    expect(error(a.matrixExp().sub(expected), expected)).toBeLessThan(tolerance);
  it('of what squares to 0, of turns, of large and small ones', () => {
    expectExp(
      of(2, 2, (i, j) => (j > i ? 1e6 : 0)),
      of(2, 2, (i, j) => (j > i ? 1e6 : Number(i === j))),
    );
    for (const angle of [1e-9, 0.5, 3, 30])
      expectExp(
        of(2, 2, (i, j) => (i === j ? 0 : i < j ? -angle : angle)),
        of(2, 2, (i, j) => (i === j ? Math.cos(angle) : i < j ? -Math.sin(angle) : Math.sin(angle))),
        // Squaring doubles an error each time.
        8 * Math.max(1, angle),
      );
    expectExp(diagonal([-700, -1, 0, 1, 20]), diagonal([-700, -1, 0, 1, 20].map(Math.exp)), 64);
  });
  it('of symmetric matrices: of their eigenvalues', () => {
    const x = normal(40, 30, 30);
    const a = x.add(x.transpose()).mul(0.3);
    const { values, vectors } = a.eigh();
    expectExp(a, vectors.mul(values.exp()).matmul(vectors.transpose()), 16);
  });
  it('of nothing finite is nothing', () => {
    expect(
      Array.from(
        of(2, 2, () => Infinity)
          .matrixExp()
          .dataSync(),
      ),
    ).toEqual([NaN, NaN, NaN, NaN]);
  });
});
