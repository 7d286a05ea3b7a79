/** Programs drawn at random: graphs in which results are shared, stretched, reduced and viewed in every order. */
import { backward, gradcheck, noGrad, vjp } from '@infinigrad/autograd';
import { Key, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { expectClose, gradientOf, list, runs, spread } from './support.ts';

/** One op on results so far. All are smooth, and keep numbers small. */
const steps = {
  add: (x: Tensor, y: Tensor) => x.add(y).mul(0.5),
  sub: (x: Tensor, y: Tensor) => x.sub(y).mul(0.5),
  mul: (x: Tensor, y: Tensor) => x.mul(y),
  div: (x: Tensor, y: Tensor) => x.div(y.square().add(1)),
  matmul: (x: Tensor, y: Tensor) => x.matmul(y.transpose()).matmul(y).mul(0.1),
  sin: (x: Tensor) => x.sin(),
  tanh: (x: Tensor) => x.tanh(),
  exp: (x: Tensor) => x.tanh().exp(),
  rows: (x: Tensor) => x.sum(1, true).mul(0.3),
  columns: (x: Tensor) => x.mean(0, true),
  all: (x: Tensor) => x.mean(),
  softmax: (x: Tensor, y: Tensor) => x.softmax(-1).mul(y),
  turned: (x: Tensor) => x.flip([0, 1]),
  shifted: (x: Tensor, y: Tensor) =>
    x
      .slice([null, [1]])
      .pad([
        [0, 0],
        [1, 0],
      ])
      .add(y),
} satisfies Record<string, (x: Tensor, y: Tensor) => Tensor>;

interface Step {
  readonly op: keyof typeof steps;
  /** Which results so far, counted around. */
  readonly left: number;
  readonly right: number;
}

const inputShapes = [[2, 3], [3], [2, 1], []] as const;
const shape = [2, 3];

/** The sum of the last results of a program, every one of them of the same shape. */
function run(program: readonly Step[], inputs: readonly Tensor[]): Tensor {
  const results = inputs.map((x) => x.expand(shape));
  for (const { op, left, right } of program) {
    const [x, y] = [results[left % results.length]!, results[right % results.length]!];
    results.push(steps[op](x, y).expand(shape));
  }
  return results
    .slice(-3)
    .reduce((x, y) => x.add(y))
    .tanh();
}

const programs = fc.array(
  fc.record<Step>({
    op: fc.constantFrom(...(Object.keys(steps) as Step['op'][])),
    left: fc.nat(20),
    right: fc.nat(20),
  }),
  { minLength: 1, maxLength: 10 },
);
const inputs = (seed: number): Tensor[] =>
  inputShapes.map((s, i) => new Key(seed).foldIn(i).uniform(s, { min: -1, max: 1, dtype: 'f64' }));

it('a program keeps its gradients to finite differences, to second order', () => {
  const law = fc.property(programs, fc.nat(), (program, seed) =>
    gradcheck((...xs) => run(program, xs), inputs(seed), { order: 2, mode: 'direction', key: new Key(seed) }),
  );
  fc.assert(law, { numRuns: runs });
});

it('both doors lead to the same gradients', () => {
  const law = fc.property(programs, fc.nat(), (program, seed) => {
    const weights = spread(shape, seed);
    const leaves = inputs(seed).map((x) => x.requireGrad());
    const y = run(program, leaves);
    backward(y, weights);
    const constants = inputs(seed);
    const { value, pullback } = vjp((...xs) => run(program, xs), ...constants);
    expect(list(value)).toEqual(list(y));
    pullback(weights).forEach((g, i) => {
      const x = leaves[i]!;
      expect([g.shape, g.dtype, g.requiresGrad]).toEqual([x.shape, x.dtype, false]);
      // A leaf that nothing depends on has no gradient behind one door, and zeros behind the other.
      expectClose(list(g), x.grad ? gradientOf(x) : new Array<number>(x.size).fill(0), 1e-14);
    });
  });
  fc.assert(law, { numRuns: runs });
});

it('the gradient is linear in the weights of the output, and does not depend on recording', () => {
  const law = fc.property(programs, fc.nat(), (program, seed) => {
    const { value, pullback } = vjp((...xs) => run(program, xs), ...inputs(seed));
    const [u, v] = [spread(shape, 1), spread(shape, 2)];
    const [gu, gv, both] = [u, v, u.mul(2).sub(v)].map((w) => pullback(w));
    both!.forEach((g, i) => {
      const expected = list(gu![i]!).map((a, k) => 2 * a - list(gv![i]!)[k]!);
      expectClose(list(g), expected, 1e-12);
    });
    expect(list(noGrad(() => run(program, inputs(seed))))).toEqual(list(value));
  });
  fc.assert(law, { numRuns: runs });
});
