/**
 * Linear algebra: values and gradients against PyTorch in f64 (fixtures made by scripts/fixtures/linalg.py), gradients of what
 * is composed against finite differences to second order, and what becomes of gradients where there is none.
 */
import { readFileSync } from 'node:fs';
import { detectAnomaly, grad, gradcheck } from '@infinigrad/autograd';
import { eye, fromData, Key, multiDot, withBackend, type Shape, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { expectClose, leaf, list, t, thrownBy } from './support.ts';

interface Stored {
  readonly shape: Shape;
  readonly data: readonly number[];
}
interface Case {
  readonly name: string;
  readonly inputs: readonly Stored[];
  readonly output: Stored;
  readonly weights: Stored;
  readonly gradients: readonly Stored[];
}

const { cases } = JSON.parse(readFileSync(new URL('fixtures/linalg.json', import.meta.url), 'utf8')) as {
  readonly cases: readonly Case[];
};
const restored = ({ shape, data }: Stored): Tensor => fromData(Float64Array.from(data), shape);
const identity = (n: number): Tensor => eye(n, n, { dtype: 'f64' });
const positive = (x: Tensor): Tensor => x.matmul(x.transpose()).add(identity(x.shape.at(-1)!));
const normal = (seed: number, shape: Shape): Tensor => new Key(seed).normal(shape, { dtype: 'f64' });

function ofSpectrum(x: Tensor, f: (values: Tensor) => Tensor): Tensor {
  const { values, vectors } = x.eigh();
  return vectors.mul(f(values).unsqueeze(-2)).matmul(vectors.transpose());
}
function ofSingular(x: Tensor, f: (values: Tensor) => Tensor): Tensor {
  const { u, s, vh } = x.svd();
  return u.mul(f(s).unsqueeze(-2)).matmul(vh);
}

type Program = (x: Tensor, ...rest: Tensor[]) => Tensor;
const number = (order: string): number => Number(order.replace('inf', 'Infinity'));
const orderOf = (order: string): number | 'fro' | 'nuc' =>
  order === 'fro' || order === 'nuc' ? order : number(order);

/** What a case's name stands for. */
const programs: Readonly<Record<string, Program>> = {
  cholesky: (x) => positive(x).cholesky(),
  'cholesky upper': (x) => positive(x).cholesky(true),
  choleskySolve: (x, b) => b!.choleskySolve(positive(x).cholesky()),
  choleskyInverse: (x) => positive(x).cholesky(true).choleskyInverse({ upper: true }),
  solve: (a, b) => a.solve(b!),
  'solve a vector': (a, b) => a.solve(b!),
  solveTriangular: (a, b) => a.add(identity(4).mul(3)).solveTriangular(b!),
  'solveTriangular upper': (a, b) => a.add(identity(4).mul(3)).solveTriangular(b!, { upper: true }),
  'solveTriangular right unit': (a, b) =>
    a.solveTriangular(b!, { upper: true, left: false, unitTriangular: true }),
  inverse: (x) => x.inverse(),
  det: (x) => x.det(),
  slogdet: (x) => x.slogdet().logAbsDet,
  logdet: (x) => positive(x).logdet(),
  'lu l': (x) => x.lu().l,
  'lu u': (x) => x.lu().u,
  'qr q': (x) => x.qr().q,
  'qr r': (x) => x.qr().r,
  eigvalsh: (x) => x.eigvalsh(),
  eigh: (x) => ofSpectrum(x, (values) => values.exp()),
  svdvals: (x) => x.svdvals(),
  svd: (x) => ofSingular(x, (s) => s.log1p()),
  matrixExp: (x) => x.matrixExp(),
  'matrixExp of a large one': (x) => x.mul(3).matrixExp(),
  pinv: (x) => x.pinv(),
  'pinv of low rank': (b, c) => b.matmul(c!).pinv(),
  lstsq: (a, b) => a.lstsq(b!).solution,
  cross: (x, y) => x.cross(y!, 1),
  vander: (x) => x.vander(5),
  multiDot: (...all) => multiDot(all),
};

function programOf(name: string): Program {
  const [method, order = ''] = name.split(' ');
  return (
    programs[name] ??
    {
      matrixPower: (x: Tensor) => x.matrixPower(number(order)),
      vectorNorm: (x: Tensor) => x.vectorNorm(number(order), 1),
      matrixNorm: (x: Tensor) => x.matrixNorm(orderOf(order)),
      cond: (x: Tensor) => x.cond(orderOf(order)),
    }[method as 'cond']
  );
}

function expectStored(actual: Tensor, { shape, data }: Stored): void {
  expect(actual.shape).toEqual(shape);
  expectClose(list(actual), data, 1e-10);
}

it('every program has a case', () => {
  const named = new Set(cases.map(({ name }) => name));
  expect(Object.keys(programs).filter((name) => !named.has(name))).toEqual([]);
  expect(cases.length).toBeGreaterThan(55);
});

describe.each(['js', 'wasm'])('on %s', (backend) => {
  it.each(cases.map((one, i) => [one.name, i, one] as const))(
    '%s (%d) is as PyTorch has it',
    (name, _, one) =>
      withBackend(backend, () => {
        const inputs = one.inputs.map((stored) => restored(stored).requireGrad());
        const [first, ...rest] = inputs as [Tensor, ...Tensor[]];
        const output = programOf(name)(first, ...rest);
        expectStored(output, one.output);
        output.backward(restored(one.weights));
        inputs.forEach((x, i) => expectStored(x.grad!, one.gradients[i]!));
      }),
  );
});

describe('to second order', () => {
  const wide = normal(1, [2, 3, 4]);
  const square = normal(2, [3, 3]).add(identity(3).mul(2));
  const rows: [string, Program, ...Tensor[]][] = [
    ['choleskySolve', programs['choleskySolve']!, square, normal(3, [3, 2])],
    ['solveTriangular', programs['solveTriangular right unit']!, square, normal(4, [2, 3])],
    ['inverse', (x) => x.inverse(), square],
    ['slogdet', (x) => x.slogdet().logAbsDet, square],
    ['lu', (x) => x.lu().u.sum().add(x.lu().l.square().sum()), wide],
    ['qr, wide', (x) => x.qr().q.sum().add(x.qr().r.square().sum()), wide],
    ['eigh', (x) => ofSpectrum(x, (values) => values.tanh()), square],
    ['svd', (x) => ofSingular(x, (s) => s.square().add(1).log()), wide],
    ['lstsq', (a, b) => a.lstsq(b!).solution, wide, normal(5, [3])],
    ['lstsq, residuals', (a, b) => a.lstsq(b!).residuals, normal(6, [4, 2]), normal(7, [4])],
    ['pinv', (x) => x.pinv(), wide],
    ['matrixPower', (x) => x.matrixPower(-3), square],
    ['vectorNorm', (x) => x.vectorNorm(2.5, [0, 2]), wide],
    ['matrixNorm', (x) => x.matrixNorm('nuc', [0, 2]), wide],
    ['cond', (x) => x.cond(), wide],
    ['cross', (x, y) => x.cross(y!, 1), normal(8, [2, 3, 2]), normal(9, [3, 1])],
    ['vander', (x) => x.vander(), normal(10, [2, 3])],
  ];
  it.each(rows)('%s agrees with finite differences', (_, f, ...inputs) =>
    gradcheck(f as (...all: Tensor[]) => Tensor, inputs, { order: 2, mode: 'direction' }),
  );
  it('eigenvalues have the Hessian that perturbation theory gives', () => {
    // Of λₘ at a diagonal matrix: ∂²/∂aᵢⱼ² along eᵢeⱼᵀ + eⱼeᵢᵀ is 2/(λₘ - λₖ) for {i, j} = {m, k}.
    const diagonal = t([
      [1, 0, 0],
      [0, 3, 0],
      [0, 0, 7],
    ]);
    const direction = (i: number, j: number): Tensor =>
      identity(3).select(0, i).unsqueeze(1).mul(identity(3).select(0, j)).add(0);
    for (const [i, j] of [
      [0, 1],
      [1, 2],
      [2, 0],
    ] as const) {
      const f = (s: Tensor): Tensor =>
        diagonal
          .add(direction(i, j).add(direction(j, i)).mul(s))
          .eigvalsh()
          .select(0, i);
      const lambda = [1, 3, 7];
      expectClose(list(grad((s: Tensor) => grad(f)(s))(t(0))), [2 / (lambda[i]! - lambda[j]!)], 1e-12);
    }
  });
});

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
