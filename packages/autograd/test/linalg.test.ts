/**
 * Linear algebra: values and gradients against PyTorch in f64 (fixtures made by scripts/fixtures/linalg.py), and gradients of what
 * is composed against finite differences to second order.
 */
import { readFileSync } from 'node:fs';
import { grad, gradcheck } from '@infinigrad/autograd';
import { fromData, Key, multiDot, withBackend, type Shape, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { identity, ofSpectrum } from './matrices.ts';
import { expectClose, list, t } from './support.ts';

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
const positive = (x: Tensor): Tensor => x.matmul(x.transpose()).add(identity(x.shape.at(-1)!));
const normal = (seed: number, shape: Shape): Tensor => new Key(seed).normal(shape, { dtype: 'f64' });
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
