/** What L-BFGS remembers, and the direction that it makes of it (Nocedal and Wright, Algorithms 7.4 and 7.5). */
import { noGrad } from '@infinigrad/autograd';
import type { Tensor } from '@infinigrad/tensor';
import { times } from './wide.ts';

/** What the next direction is made of: all parameters in one vector. */
export interface History {
  readonly iterations: number;
  /** Steps of `direction` that were gone. */
  readonly rate: number;
  /** Of the first guess of the inverse Hessian. */
  readonly scale: number;
  readonly direction: Tensor;
  readonly gradient: Tensor;
  readonly pairs: readonly { readonly y: Tensor; readonly s: Tensor; readonly inverse: number }[];
}

export const tensorsOf = ({ direction, gradient, pairs }: History): Tensor[] => [
  direction,
  gradient,
  ...pairs.flatMap(({ y, s }) => [y, s]),
];
export const dot = (a: Tensor, b: Tensor): number => a.mul(b).sum().itemSync();
/** The pairs with that of the last line, where the function curves upwards along it. */
export function nextPairs(
  history: History | null,
  gradient: Tensor,
  most: number,
): { readonly pairs: History['pairs']; readonly scale: number } {
  if (!history) return { pairs: [], scale: 1 };
  return noGrad(() => {
    const y = gradient.sub(history.gradient);
    const s = times(history.direction, history.rate);
    const curvature = dot(y, s);
    if (!(curvature > 1e-10)) return history;
    const kept = history.pairs.slice(Math.max(0, history.pairs.length + 1 - most));
    return { pairs: [...kept, { y, s, inverse: 1 / curvature }], scale: curvature / dot(y, y) };
  });
}

/** -H g by the two loops of Algorithm 7.4. */
export function directionOf(gradient: Tensor, pairs: History['pairs'], scale: number): Tensor {
  let q = gradient.neg();
  const weights = pairs.toReversed().map(({ y, s, inverse }) => {
    const weight = dot(s, q) * inverse;
    q = q.sub(times(y, weight));
    return weight;
  });
  q = times(q, scale);
  pairs.forEach(({ y, s, inverse }, i) => {
    const weight = weights[weights.length - 1 - i]!;
    q = q.add(times(s, weight - dot(y, q) * inverse));
  });
  return q;
}
