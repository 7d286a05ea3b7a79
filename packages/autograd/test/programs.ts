/** Programs drawn at random: graphs in which results are shared, stretched, reduced and viewed in every order. */
import { Key, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';

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

export interface Step {
  readonly op: keyof typeof steps;
  /** Which results so far, counted around. */
  readonly left: number;
  readonly right: number;
}

const inputShapes = [[2, 3], [3], [2, 1], []] as const;
export const shape = [2, 3];

/** The sum of the last results of a program, every one of them of the same shape. */
export function run(program: readonly Step[], inputs: readonly Tensor[]): Tensor {
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

export const programs = fc.array(
  fc.record<Step>({
    op: fc.constantFrom(...(Object.keys(steps) as Step['op'][])),
    left: fc.nat(20),
    right: fc.nat(20),
  }),
  { minLength: 1, maxLength: 10 },
);
export const inputs = (seed: number): Tensor[] =>
  inputShapes.map((s, i) => new Key(seed).foldIn(i).uniform(s, { min: -1, max: 1, dtype: 'f64' }));
