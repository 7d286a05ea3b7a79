/** Linear algebra where a rule could divide by 0, and where there is no gradient. */
import { detectAnomaly, grad } from '@infinigrad/autograd';
import type { Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { identity, ofSpectrum } from './matrices.ts';
import { expectClose, leaf, list, t, thrownBy } from './support.ts';

describe('where a rule could divide by 0', () => {
  const gradientOf = (f: (x: Tensor) => Tensor, x: Tensor): number[] => list(grad(f)(x));

  it('a determinant has a gradient where it is 0: the cofactors', () => {
    const singular = t([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
    ]);
    expectClose(
      gradientOf((x) => x.det(), singular),
      [-3, 6, -3, 6, -12, 6, -3, 6, -3],
      1e-13,
    );
    expect(
      gradientOf(
        (x) => x.det(),
        t([
          [0, 0, 0],
          [0, 0, 0],
          [0, 0, 5],
        ]),
      ),
    ).toEqual(new Array(9).fill(0));
    expect(
      gradientOf(
        (x) => x.det(),
        t([
          [2, 0],
          [0, 0],
        ]),
      ).map((v) => v + 0),
    ).toEqual([0, 0, 0, 2]);
    expect(gradientOf((x) => x.det(), t([[7]]))).toEqual([1]);
  });
  it('equal eigenvalues have gradients: their sum is the trace, the sum of their squares the norm', () => {
    expectClose(
      gradientOf((x) => x.eigvalsh().sum(), identity(3)),
      list(identity(3)),
      1e-15,
    );
    const x = t([
      [2, 1, 1],
      [1, 2, 1],
      [1, 1, 2],
    ]);
    expectClose(
      gradientOf((a) => a.eigvalsh().square().sum(), x),
      list(x.mul(2)),
      1e-14,
    );
  });
  it('equal singular values, and those that are 0, have gradients', () => {
    expectClose(
      gradientOf((x) => x.svdvals().sum(), identity(3)),
      list(identity(3)),
      1e-15,
    );
    const low = t([
      [3, 0, 0],
      [4, 0, 0],
    ]);
    expectClose(
      gradientOf((x) => x.svdvals().square().sum(), low),
      list(low.mul(2)),
      1e-14,
    );
    expectClose(
      gradientOf((x) => x.matrixNorm(2), low),
      [0.6, 0, 0, 0.8, 0, 0],
      1e-14,
    );
  });
  it('nothing on the way there is NaN or infinite', () => {
    const low = t([
      [3, 0, 0],
      [4, 0, 0],
    ]);
    detectAnomaly(() => {
      gradientOf((x) => x.eigvalsh().square().sum(), identity(3));
      gradientOf((x) => x.svdvals().square().sum(), low);
      gradientOf((x) => x.det(), low.matmul(low.transpose()));
      for (const order of [0.5, 1.5, 2, 3]) gradientOf((x) => x.vectorNorm(order), t([0, 0]));
    });
  });
  it('vectors of equal values have none, and say so', () => {
    const weights = t([
      [1, 2],
      [3, 5],
    ]);
    const ofVectors = gradientOf((x) => x.eigh().vectors.mul(weights).sum(), identity(2));
    expect(ofVectors.every(Number.isFinite)).toBe(false);
    // Where the values' function is one of the matrix the derivative exists, but not by way of vectors: no number beats a wrong one.
    const ofMatrix = gradientOf(
      (x) =>
        ofSpectrum(x, (values) => values.exp())
          .mul(weights)
          .sum(),
      identity(2),
    );
    expect(ofMatrix.every(Number.isFinite)).toBe(false);
    const left = gradientOf((x) => x.svd().u.mul(weights).sum(), identity(2));
    expect(left.every(Number.isFinite)).toBe(false);
    const outside = gradientOf(
      (x) =>
        x
          .svd()
          .u.mul(
            t([
              [1, 2],
              [3, 5],
              [4, 7],
            ]),
          )
          .sum(),
      t([
        [1, 0],
        [0, 0],
        [0, 0],
      ]),
    );
    expect(outside.every(Number.isFinite)).toBe(false);
  });
  it('the norm of nothing but zeros has the gradient 0, as have zeros under a power', () => {
    for (const order of [0.5, 1, 1.5, 2, 3])
      expect(gradientOf((x) => x.vectorNorm(order), t([0, 0]))).toEqual([0, 0]);
    expectClose(
      gradientOf((x) => x.vectorNorm(3), t([0, -2])),
      [0, -1],
      1e-15,
    );
    expect(gradientOf((x) => x.vectorNorm(0.5), t([0, -2]))).toEqual([0, -1]);
    expect(gradientOf((x) => x.matrixNorm(), t([[0, 0]]))).toEqual([0, 0]);
  });
  it('the exponential of a zero matrix passes the gradient on, and is linear in it, however large', () => {
    const g = t([
      [1, 2],
      [3, 4],
    ]);
    expectClose(
      gradientOf((x) => x.matrixExp().mul(g).sum(), g.mul(0)),
      [1, 2, 3, 4],
      1e-15,
    );
    const once = gradientOf((x) => x.matrixExp().mul(g).sum(), g);
    const large = gradientOf(
      (x) =>
        x
          .matrixExp()
          .mul(g.mul(2 ** 60))
          .sum(),
      g,
    );
    expectClose(
      large.map((v) => v / 2 ** 60),
      once,
      1e-13,
    );
    expect(gradientOf((x) => x.matrixExp().mul(0).sum(), g)).toEqual([0, 0, 0, 0]);
  });
});

describe('what has no gradient', () => {
  const tall = (): Tensor => leaf([[1], [2], [3]]);
  it('refuses it, with the reason', () => {
    expect(thrownBy(() => tall().qr({ mode: 'complete' })).message).toContain('one of many');
    expect(thrownBy(() => tall().svd({ fullMatrices: true })).message).toContain('one of many');
  });
  it('does not stand in the way of what has one', () => {
    const { q, r } = tall().qr();
    expect(q.requiresGrad && r.requiresGrad).toBe(true);
    const { p, l, u } = tall().lu();
    expect([p.requiresGrad, l.requiresGrad, u.requiresGrad]).toEqual([false, true, true]);
    const x = tall();
    const { solution, rank } = x.lstsq(t([1, 2, 4]));
    expect([solution.requiresGrad, rank.requiresGrad]).toEqual([true, false]);
    expect(tall().matrixRank().requiresGrad).toBe(false);
  });
});
