/** Derivatives: orders of elements along an axis, running extremes, products and log-sums, and diagonals. */
import { sizeOf } from '@infinigrad/tensor';
import { byComposition, linear, notDifferentiable } from './rule.ts';

const position = notDifferentiable('the result is a position');

export const sorting = {
  argSort: position,
  argTopK: position,
  argCumMax: position,
  argCumMin: position,
  cumprod: byComposition,
  logCumSumExp: byComposition,
  // The transpose writes g back on the diagonal of zeros: every (n + 1)th element of the matrix [m, n] laid flat.
  diagonal: linear((g, call) => {
    const [shape] = call.shapes as [readonly number[]];
    const offset = call.attrs['offset'] as number;
    const [a, b] = call.attrs['axes'] as readonly [number, number];
    const rest = shape.map((_, i) => i).filter((i) => i !== a && i !== b);
    const lead = rest.map((i) => shape[i]!);
    const [m, n] = [shape[a]!, shape[b]!];
    const start = offset >= 0 ? offset : -offset * n;
    const order = [...rest, a, b];
    return g
      .unslice([...lead, sizeOf([m, n])], [...lead.map(() => 0), start], [...lead.map(() => 1), n + 1])
      .reshape([...lead, m, n])
      .permute(order.map((_, i) => order.indexOf(i)));
  }),
};
