/** Derivatives of reductions, views, products and indexing. */
import { fullLike, type Shape, type Tensor } from '@infinigrad/tensor';
import {
  affine,
  fromBoth,
  linear,
  linearGiven,
  notDifferentiable,
  ofInputs,
  spread,
  sumTo,
  withAxes,
  zerosOf,
  type DifferentiableRule,
} from './rule.ts';

/** Equal extremes share the gradient. */
const extreme: DifferentiableRule = fromBoth((g, x, y, call) => {
  const hits = x.eq(withAxes(y, call)).cast(g.dtype);
  const axes = call.attrs['axes'] as readonly number[];
  return spread(g, call).mul(hits).div(hits.sum(axes, true));
});

/**
 * For each element along the last axis the product of all the others, by a tree of pairwise products: exact where
 * elements are zero, and differentiable any number of times.
 */
function productOfOthers(x: Tensor): Tensor {
  const n = x.shape.at(-1)!;
  if (n <= 1) return fullLike(x, 1);
  const lead = x.shape.slice(0, -1);
  const even = n % 2 === 0 ? x : x.pad([...lead.map((): [number, number] => [0, 0]), [0, 1]], 1);
  const pairs = even.reshape([...lead, even.shape.at(-1)! / 2, 2]);
  const outside = productOfOthers(pairs.select(-1, 0).mul(pairs.select(-1, 1))).unsqueeze(-1);
  return outside.mul(pairs.flip(-1)).reshape(even.shape).narrow(-1, 0, n);
}

export const reductions = {
  sum: linear(spread),
  mean: linear((g, call) => spread(g, call).mul(sizeRatio(call.shape, call.shapes[0]!))),
  prod: ofInputs([
    (g, call) => {
      const x = call.input(0);
      const gone = call.attrs['axes'] as readonly number[];
      const stay = x.shape.map((_, i) => i).filter((i) => !gone.includes(i));
      const order = [...stay, ...gone];
      const moved = x.permute(order);
      const flat = moved.reshape([
        ...stay.map((i) => x.shape[i]!),
        gone.reduce((size, i) => size * x.shape[i]!, 1),
      ]);
      const others = productOfOthers(flat)
        .reshape(moved.shape)
        .permute(order.map((_, i) => order.indexOf(i)));
      return spread(g, call).mul(others);
    },
  ]),
  max: extreme,
  min: extreme,
  any: notDifferentiable('the result is a truth value'),
  all: notDifferentiable('the result is a truth value'),
};

function sizeRatio(out: Shape, inner: Shape): number {
  const size = (shape: Shape): number => shape.reduce((a, b) => a * b, 1);
  return size(out) / size(inner);
}

export const views = {
  reshape: linear((g, call) => g.reshape(call.shapes[0]!)),
  permute: linear((g, call) => {
    const axes = call.attrs['axes'] as readonly number[];
    return g.permute(axes.map((_, i) => axes.indexOf(i)));
  }),
  expand: linear((g, call) => sumTo(g, call.shapes[0]!)),
  slice: linear((g, call) =>
    g.unslice(
      call.shapes[0]!,
      call.attrs['starts'] as readonly number[],
      call.attrs['steps'] as readonly number[],
    ),
  ),
};

export const products = {
  // C = A B: dA = G Bᵀ, dB = Aᵀ G
  matmul: {
    ...ofInputs([
      (g, call, i) => sumTo(g.matmul(call.input(1).transpose()), call.shapes[i]!),
      (g, call, i) => sumTo(call.input(0).transpose().matmul(g), call.shapes[i]!),
    ]),
    linear: 'separately',
  } satisfies DifferentiableRule as DifferentiableRule,
};

export const rows = {
  cumsum: linear((g, call) => {
    const axis = call.attrs['axis'] as number;
    return g.flip(axis).cumsum(axis).flip(axis);
  }),
  logSumExp: ofInputs([
    (g, call) => spread(g, call).mul(call.input(0).softmax(call.attrs['axis'] as number)),
  ]),
  argMax: notDifferentiable('the result is a position'),
  argMin: notDifferentiable('the result is a position'),
};

export const indexing = {
  concat: linear((g, call, index) => {
    const axis = call.attrs['axis'] as number;
    const start = call.shapes.slice(0, index).reduce((at, shape) => at + shape[axis]!, 0);
    return g.narrow(axis, start, call.shapes[index]![axis]!);
  }),
  pad: affine((g, call) => {
    const widths = call.attrs['widths'] as readonly (readonly [number, number])[];
    return g.slice(call.shapes[0]!.map((n, i) => [widths[i]![0], widths[i]![0] + n]));
  }),
  unslice: linear((g, call) => {
    const { starts, steps } = call.attrs as unknown as {
      starts: readonly number[];
      steps: readonly number[];
    };
    const ranges = call.shapes[0]!.map((n, i): readonly [number, number | null, number] => {
      const stop = starts[i]! + n * steps[i]!;
      return [starts[i]!, stop < 0 ? null : stop, steps[i]!];
    });
    return g.slice(ranges);
  }),
  indexSelect: linearGiven(
    [1],
    [(g, call) => zerosOf(call.shapes[0]!, g).indexAdd(call.attrs['axis'] as number, call.input(1), g), null],
  ),
  indexAdd: linearGiven(
    [1],
    [(g) => g, null, (g, call) => g.indexSelect(call.attrs['axis'] as number, call.input(1))],
  ),
  gather: linearGiven(
    [1],
    [
      (g, call) => zerosOf(call.shapes[0]!, g).scatterAdd(call.attrs['axis'] as number, call.input(1), g),
      null,
    ],
  ),
};
