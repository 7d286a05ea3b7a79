/** What L-BFGS remembers, and the direction that it makes of it (Nocedal and Wright, Algorithms 7.4 and 7.5). */
import { noGrad } from '@infinigrad/autograd';
import { getBackend, scalar, type DType, type Tensor } from '@infinigrad/tensor';
import type { StateTensors } from './states.ts';
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

/** As tensors of a state: numbers are of f64, and can be read at once. */
export function savedHistory(history: History): Record<string, Tensor> {
  const { iterations, rate, scale, direction, gradient, pairs } = history;
  const number = (x: number): Tensor => scalar(x, 'f64', getBackend('js'));
  const tensors: Record<string, Tensor> = {
    iterations: number(iterations),
    rate: number(rate),
    scale: number(scale),
    direction: direction.detach(),
    gradient: gradient.detach(),
  };
  pairs.forEach(({ y, s, inverse }, k) => {
    tensors[`y.${k}`] = y.detach();
    tensors[`s.${k}`] = s.detach();
    tensors[`inverse.${k}`] = number(inverse);
  });
  return tensors;
}

/**
 * The history in saved tensors; null where there are none, and where something is wrong with them, which goes to `problems`.
 * @param size of all parameters together
 */
export function readHistory(
  tensors: StateTensors,
  size: number,
  dtype: DType,
  problems: string[],
): History | null {
  const given = Object.keys(tensors);
  if (given.length === 0) return null;
  const count = given.filter((name) => name.startsWith('y.')).length;
  const each = Array.from({ length: count }, (_, k) => k);
  const vectors = ['direction', 'gradient', ...each.flatMap((k) => [`y.${k}`, `s.${k}`])];
  const numbers = ['iterations', 'rate', 'scale', ...each.map((k) => `inverse.${k}`)];
  const wanted = [...numbers, ...vectors];
  const missing = wanted.filter((name) => !Object.hasOwn(tensors, name));
  const unexpected = given.filter((name) => !wanted.includes(name));
  const misfits = wanted.filter((name) => {
    if (missing.includes(name)) return false;
    const { shape, dtype: own, size: found } = tensors[name]!;
    return numbers.includes(name) ? found !== 1 : shape.length !== 1 || found !== size || own !== dtype;
  });
  if (missing.length > 0) problems.push(`missing ${missing.join(', ')}`);
  if (unexpected.length > 0) problems.push(`unexpected ${unexpected.join(', ')}`);
  for (const name of misfits) {
    const { shape, dtype: own } = tensors[name]!;
    problems.push(`${name} is [${shape.join(', ')}] ${own}, the parameters together [${size}] ${dtype}`);
  }
  if (missing.length > 0 || misfits.length > 0) return null;
  const number = (name: string): number => tensors[name]!.itemSync();
  const vector = (name: string): Tensor => tensors[name]!.detach();
  return {
    iterations: number('iterations'),
    rate: number('rate'),
    scale: number('scale'),
    direction: vector('direction'),
    gradient: vector('gradient'),
    pairs: each.map((k) => ({ y: vector(`y.${k}`), s: vector(`s.${k}`), inverse: number(`inverse.${k}`) })),
  };
}
