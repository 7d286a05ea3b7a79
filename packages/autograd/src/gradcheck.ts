/** Gradients held against finite differences, to first and second order. */
import {
  fromData,
  GradientError,
  isFloat,
  Key,
  onesLike,
  sameShape,
  withBackend,
  type Shape,
  type Tensor,
} from '@infinigrad/tensor';
import { vjp } from './functional.ts';

export interface GradcheckOptions {
  /** 1: the gradient. 2: also the gradient of the gradient. Default 1. */
  readonly order?: 1 | 2;
  /**
   * `direction`: one random direction in, one random weighting out; cheap and misses nothing but by accident.
   * `full`: every element of every input alone, so that a failure names the element. Default `full` up to 64 input elements, else `direction`.
   */
  readonly mode?: 'full' | 'direction';
  /** Step of the central difference. Default 1e-5. */
  readonly step?: number;
  /** Agreement: |analytic - numeric| ≤ atol + rtol · |numeric|. Defaults 1e-7 and 1e-5 (10 times as much for order 2). */
  readonly rtol?: number;
  readonly atol?: number;
  /** Where the random directions come from. Default new Key(0). */
  readonly key?: Key;
}

type TensorFunction = (...inputs: Tensor[]) => Tensor;
type Elements = ArrayLike<number>;

interface Resolved {
  readonly mode: 'full' | 'direction';
  readonly step: number;
  readonly rtol: number;
  readonly atol: number;
}

const dot = (a: Elements, b: Elements): number => {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i]! * b[i]!;
  return total;
};

/**
 * Checks that the gradient of `f` (summed with random weights where it returns more than a number) agrees with
 * central differences, for every floating-point input. Works in f64, on a backend whose memory is in this process.
 * @throws GradientError that names the order, the input, the element, and both values; where inputs are on a GPU
 */
export function gradcheck(
  f: TensorFunction,
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): void {
  const order = options.order ?? 1;
  const size = inputs.reduce((total, x) => total + (isFloat(x.dtype) ? x.size : 0), 0);
  const loose = order === 2 ? 10 : 1;
  const resolved: Resolved = {
    mode: options.mode ?? (size <= 64 ? 'full' : 'direction'),
    step: options.step ?? 1e-5,
    rtol: options.rtol ?? 1e-5 * loose,
    atol: options.atol ?? 1e-7 * loose,
  };
  for (const [i, x] of inputs.entries()) {
    if (!x.backend.synchronous)
      throw new GradientError(
        'gradcheck',
        `input ${i} is on ${x.backend.name}, which has no f64 and is not read at once`,
        {
          operands: [x],
          hint: "derivative rules are the same everywhere: setBackend('wasm'), and make the inputs, and what the function holds, there",
        },
      );
    if (isFloat(x.dtype) && x.dtype !== 'f64')
      throw new GradientError('gradcheck', `input ${i} is ${x.dtype}, too coarse for finite differences`, {
        operands: [x],
        hint: "cast('f64')",
      });
  }
  const key = options.key ?? new Key(0);
  const check = (): void => {
    const shape = firstOrder(f, inputs, key.foldIn(1), resolved);
    if (order === 2) secondOrder(f, inputs, shape, key.foldIn(2), resolved);
  };
  // Directions and displaced inputs must live where the inputs do.
  if (inputs[0]) withBackend(inputs[0].backend.name, check);
  else check();
}

/** Parts of what a function gives at some inputs, as plain numbers. */
type Probe = (inputs: readonly Tensor[]) => readonly Elements[];

/**
 * Holds the gradients of Σ parts · weights, as backward passes give them, against differences of the parts.
 * @param gradients one for each input
 */
function holdGradients(
  probe: Probe,
  weights: readonly Elements[],
  inputs: readonly Tensor[],
  gradients: readonly Tensor[],
  key: Key,
  options: Resolved,
  nameOf: (input: number) => string,
): void {
  const { step } = options;
  inputs.forEach((x, i) => {
    if (!isFloat(x.dtype) || x.size === 0) return;
    const analytic = gradients[i]!;
    if (!sameShape(analytic.shape, x.shape) || analytic.dtype !== x.dtype)
      throw new GradientError(
        'gradcheck',
        `${nameOf(i)}: input and gradient must have one shape and one dtype`,
        { operands: [x, analytic] },
      );
    const at = x.dataSync();
    const moved = (direction: Elements, by: number): readonly Elements[] => {
      const data = at.map((v, k) => v + by * direction[k]!);
      return probe(inputs.with(i, fromData(data, x.shape)));
    };
    const slope = (direction: Elements): number => {
      const up = moved(direction, step);
      const down = moved(direction, -step);
      let total = 0;
      weights.forEach((weight, part) => {
        const [above, below] = [up[part]!, down[part]!];
        for (let k = 0; k < weight.length; k++) total += ((above[k]! - below[k]!) / (2 * step)) * weight[k]!;
      });
      return total;
    };
    const values = analytic.dataSync();
    if (options.mode === 'full')
      for (let k = 0; k < x.size; k++) {
        const direction = new Float64Array(x.size);
        direction[k] = 1;
        compare(values[k]!, slope(direction), options, () => `${nameOf(i)}, element ${place(k, x)}`, x);
      }
    else {
      const direction = key
        .foldIn(1 + i)
        .normal(x.shape, { dtype: 'f64' })
        .dataSync();
      const where = (): string => `${nameOf(i)}, along a random direction`;
      compare(dot(values, direction), slope(direction), options, where, x);
    }
  });
}

/** @returns the shape of the function's value */
function firstOrder(f: TensorFunction, inputs: readonly Tensor[], key: Key, options: Resolved): Shape {
  const { value, pullback } = vjp(f, ...inputs);
  if (value.dtype !== 'f64')
    throw new GradientError(
      'gradcheck',
      `the function returns ${value.dtype}, too coarse for finite differences`,
      { operands: [value] },
    );
  const weights = key.foldIn(0).normal(value.shape, { dtype: 'f64' });
  holdGradients(
    (xs) => [f(...xs).dataSync()],
    [weights.dataSync()],
    inputs,
    pullback(weights, { createGraph: false }),
    key,
    options,
    (i) => `order 1, input ${i}`,
  );
  return value.shape;
}

/** The gradient of x ↦ ⟨vjp of f at x, random weights⟩, with respect to the inputs and to the cotangent. */
function secondOrder(
  f: TensorFunction,
  inputs: readonly Tensor[],
  shape: Shape,
  key: Key,
  options: Resolved,
): void {
  const cotangent = key.foldIn(0).normal(shape, { dtype: 'f64' });
  const floats = inputs.flatMap((x, i) => (isFloat(x.dtype) ? [i] : []));
  const weights = floats.map((i) => key.foldIn(1 + i).normal(inputs[i]!.shape, { dtype: 'f64' }));
  const pull = (u: Tensor, xs: readonly Tensor[], createGraph: boolean): Tensor[] => {
    const gradients = vjp(f, ...xs).pullback(u, { createGraph });
    return floats.map((i) => gradients[i]!);
  };
  const variables = [cotangent, ...inputs];
  const { value, pullback } = vjp<Tensor[], Tensor>(
    (u, ...xs) =>
      pull(u!, xs, true)
        .map((g, k) => g.mul(weights[k]!).sum())
        .reduce((total, term) => total.add(term)),
    ...variables,
  );
  holdGradients(
    // Not recorded: what it gives, not how, is the truth here.
    ([u, ...xs]) => pull(u!, xs, false).map((g) => g.dataSync()),
    weights.map((w) => w.dataSync()),
    variables,
    pullback(onesLike(value), { createGraph: false }),
    key.foldIn(0xffff),
    options,
    (i) => (i === 0 ? 'order 2, cotangent' : `order 2, input ${i - 1}`),
  );
}

function compare(
  analytic: number,
  numeric: number,
  { rtol, atol }: Resolved,
  where: () => string,
  x: Tensor,
): void {
  if (Math.abs(analytic - numeric) <= atol + rtol * Math.abs(numeric)) return;
  throw new GradientError('gradcheck', `${where()}: analytic ${analytic}, numeric ${numeric}`, {
    operands: [x],
    hint: 'the derivative rule is wrong, or the function is not smooth here',
  });
}

/** Element k of x as an index, [1, 2]. */
function place(k: number, x: Tensor): string {
  const index: number[] = [];
  for (let axis = x.rank - 1; axis >= 0; axis--) {
    index.unshift(k % x.shape[axis]!);
    k = Math.floor(k / x.shape[axis]!);
  }
  return `[${index.join(', ')}]`;
}
