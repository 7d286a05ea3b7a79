/**
 * Where a function has no derivative (a kink, a tie) the gradient is a convention. Finite differences have no say there, so the
 * conventions are written out, and held.
 */
import { apply, fromData, isFloat, onesLike, type Attrs, type DType, type OpName } from '@infinigrad/tensor';
import { allClose } from '@infinigrad/tensor/testing';
import { vjp } from '../functional.ts';

export interface Convention {
  readonly op: OpName;
  /** What is chosen, in words. */
  readonly says: string;
  /** Vectors, or numbers; f64 unless told. */
  readonly inputs: readonly (number | readonly number[])[];
  /** The dtype of each input, where one is not f64. */
  readonly dtypes?: readonly DType[];
  readonly attrs?: Attrs;
  /** The gradients of the sum of the result; null for an input that has none. */
  readonly gradients: readonly (number | readonly number[] | null)[];
}

const all = { axes: [0], keepDims: false };
const ties = 'equal values share the gradient';

export const conventions: readonly Convention[] = [
  { op: 'abs', says: '0 at 0', inputs: [[-2, 0, 2]], gradients: [[-1, 0, 1]] },
  { op: 'relu', says: '0 at 0', inputs: [[-2, 0, 2]], gradients: [[0, 0, 1]] },
  { op: 'elu', says: '1 at 0', inputs: [[0, 2]], gradients: [[1, 1]] },
  {
    op: 'clip',
    says: '1 at both ends',
    inputs: [[-2, -1, 0, 1, 2]],
    attrs: { min: -1, max: 1 },
    gradients: [[0, 1, 1, 1, 0]],
  },
  {
    op: 'maximum',
    says: ties,
    inputs: [
      [1, 2, 3],
      [2, 2, 2],
    ],
    gradients: [
      [0, 0.5, 1],
      [1, 0.5, 0],
    ],
  },
  {
    op: 'minimum',
    says: ties,
    inputs: [
      [1, 2, 3],
      [2, 2, 2],
    ],
    gradients: [
      [1, 0.5, 0],
      [0, 0.5, 1],
    ],
  },
  { op: 'hardsigmoid', says: '0 at both ends', inputs: [[-3, 3]], gradients: [[0, 0]] },
  { op: 'hardswish', says: '0 at -3, 1 at 3', inputs: [[-3, 3]], gradients: [[0, 1]] },
  {
    op: 'leakyRelu',
    says: 'the slope at 0',
    inputs: [[-1, 0, 1]],
    attrs: { slope: 0.1 },
    gradients: [[0.1, 0.1, 1]],
  },
  {
    op: 'logAddExp',
    says: 'half each where both are one infinity',
    inputs: [
      [Infinity, -Infinity],
      [Infinity, -Infinity],
    ],
    gradients: [
      [0.5, 0.5],
      [0.5, 0.5],
    ],
  },
  { op: 'hypot', says: '0 where both are 0', inputs: [[0], [0]], gradients: [[0], [0]] },
  {
    op: 'xlogy',
    says: '0 where x is 0 and y has no logarithm',
    inputs: [
      [0, 0, 2],
      [0, -1, 0],
    ],
    gradients: [
      [0, 0, -Infinity],
      [0, 0, Infinity],
    ],
  },
  {
    op: 'xlog1py',
    says: '0 where x is 0 and 1 + y has no logarithm',
    inputs: [
      [0, 2],
      [-1, -1],
    ],
    gradients: [
      [0, -Infinity],
      [0, Infinity],
    ],
  },
  ...(['scatterMax', 'scatterMin'] as const).map((op): Convention => {
    const sign = op === 'scatterMax' ? 1 : -1;
    return {
      op,
      says: `${ties}, what was there before included`,
      inputs: [[1, 5, 2].map((v) => sign * v), [0, 0, 0, 1, 2, 2], [1, 0, 1, 7, 4, 4].map((v) => sign * v)],
      dtypes: ['f64', 'i32', 'f64'],
      attrs: { axis: 0 },
      gradients: [[1 / 3, 0, 0], null, [1 / 3, 0, 1 / 3, 1, 0.5, 0.5]],
    };
  }),
  { op: 'max', says: ties, inputs: [[3, 1, 3]], attrs: all, gradients: [[0.5, 0, 0.5]] },
  { op: 'min', says: ties, inputs: [[1, 1, 1, 1]], attrs: all, gradients: [[0.25, 0.25, 0.25, 0.25]] },
  {
    op: 'prod',
    says: 'the product of the others, also where one is 0',
    inputs: [[2, 0, 4]],
    attrs: all,
    gradients: [[0, 8, 0]],
  },
  {
    op: 'pow',
    says: 'finite at base 0: 0 for the exponent, y·0^(y-1) for the base (0 for 0^0)',
    inputs: [
      [0, 0, 0],
      [0, 1, 2],
    ],
    gradients: [
      [0, 1, 0],
      [0, 0, 0],
    ],
  },
];

/** The gradients of an op at the points that have a convention are what it says, in f64. */
export function conventionsHold(op: OpName): void {
  for (const { inputs, dtypes, attrs = {}, gradients, says } of conventions.filter((row) => row.op === op)) {
    const tensors = inputs.map((values, i) => {
      const shape = typeof values === 'number' ? [] : [values.length];
      return fromData(Float64Array.from([values].flat()), shape).cast(dtypes?.[i] ?? 'f64');
    });
    const { value, pullback } = vjp((...x) => apply(op, x, attrs), ...tensors);
    const found = pullback(onesLike(value));
    gradients.forEach((expected, i) => {
      if (expected === null || !isFloat(tensors[i]!.dtype)) return;
      const message = allClose(found[i]!, [expected].flat());
      if (message !== null) throw new Error(`${op} (${says}): gradient of input ${i}: ${message}`);
    });
  }
}
