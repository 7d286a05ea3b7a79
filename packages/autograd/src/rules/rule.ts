/** What a derivative rule is, and constructors that name the mathematics. */
import { fullLike, scalar, type Attrs, type DType, type Shape, type Tensor } from '@infinigrad/tensor';

/** A call of an op, as its derivative rule sees it. */
export interface RuleContext {
  readonly attrs: Attrs;
  /** The shape and dtype of every input and of the output. */
  readonly shapes: readonly Shape[];
  readonly dtypes: readonly DType[];
  readonly shape: Shape;
  /** An input; only those that the rule says it saves. */
  input(i: number): Tensor;
  /** The output; only where the rule says it saves it. */
  output(): Tensor;
  /** What `make` gives, made once for one g: for rules that get the gradients of several inputs from one op. */
  once<T>(g: unknown, make: () => T): T;
}

/**
 * The gradient with respect to one input, from the gradient with respect to the output (the vector-Jacobian product).
 * Written in differentiable ops, so that gradients of gradients come by themselves.
 */
export type InputRule = (g: Tensor, call: RuleContext, index: number) => Tensor;

export interface DifferentiableRule {
  readonly kind: 'differentiable';
  readonly saves: { readonly inputs: readonly number[] | 'all'; readonly output: boolean };
  /** One rule an input; the last stands for all further ones. null: an input without a gradient (indices, masks). */
  readonly inputs: readonly (InputRule | null)[];
  /**
   * A shorter way for tangents, where the op is linear in the inputs that have a gradient. `jointly`: the tangent of the
   * result is the op at the tangents. `separately` (a product): the sum of the ops with one input replaced by its tangent.
   */
  readonly linear?: 'jointly' | 'separately';
}

export interface NoRule {
  readonly kind: 'none';
  /** Why there is no derivative. */
  readonly reason: string;
}

/** The derivative is that of the ops that a fused op is made of: they are recorded in its place. */
export interface ComposedRule {
  readonly kind: 'composed';
}

export type Rule = DifferentiableRule | ComposedRule | NoRule;

export const byComposition: ComposedRule = { kind: 'composed' };

/** The op has no derivative, and why. */
export const notDifferentiable = (reason: string): NoRule => ({ kind: 'none', reason });

/** The op is linear in its inputs: the gradient needs none of their values. */
export const linear = (...inputs: readonly (InputRule | null)[]): DifferentiableRule => ({
  ...affine(...inputs),
  linear: 'jointly',
});

/** The op is linear up to a constant: the gradient needs none of the values of its inputs. */
export const affine = (...inputs: readonly (InputRule | null)[]): DifferentiableRule => ({
  kind: 'differentiable',
  saves: { inputs: [], output: false },
  inputs,
});

/** The op is linear in the inputs that have a gradient, which needs those at the positions `saved`, that have none. */
export const linearGiven = (
  saved: readonly number[],
  inputs: readonly (InputRule | null)[],
): DifferentiableRule => ({ ...ofInputs(inputs, saved), linear: 'jointly' });

/** The derivative is zero wherever it exists. */
export const zeroAlmostEverywhere: DifferentiableRule = affine((g, call, i) =>
  sumTo(fullLike(g, 0), call.shapes[i]!),
);

/** The gradient needs the inputs at these positions (all unless told). */
export const ofInputs = (
  inputs: readonly (InputRule | null)[],
  saved: readonly number[] | 'all' = 'all',
): DifferentiableRule => ({
  kind: 'differentiable',
  saves: { inputs: saved, output: false },
  inputs,
});

/** y = f(x): g · f'(x), with f'(x) from x. */
export const fromInput = (times: (g: Tensor, x: Tensor) => Tensor): DifferentiableRule =>
  ofInputs([(g, call) => times(g, call.input(0))]);

/** y = f(x): g · f'(x), with f'(x) from y. */
export const fromOutput = (
  times: (g: Tensor, y: Tensor, call: RuleContext) => Tensor,
): DifferentiableRule => ({
  kind: 'differentiable',
  saves: { inputs: [], output: true },
  inputs: [(g, call) => times(g, call.output(), call)],
});

/** y = f(x): g · f'(x), with f'(x) from both. */
export const fromBoth = (
  times: (g: Tensor, x: Tensor, y: Tensor, call: RuleContext) => Tensor,
): DifferentiableRule => ({
  kind: 'differentiable',
  saves: { inputs: 'all', output: true },
  inputs: [(g, call) => times(g, call.input(0), call.output(), call)],
});

/** z = f(x, y) with broadcasting: each gradient is summed back to the shape of its input. */
export const broadcasting = (
  dx: InputRule,
  dy: InputRule,
  saved: readonly number[] | 'all' = 'all',
): DifferentiableRule =>
  ofInputs(
    [dx, dy].map(
      (rule): InputRule =>
        (g, call, i) =>
          sumTo(rule(g, call, i), call.shapes[i]!),
    ),
    saved,
  );

/** The transpose of broadcasting: the sum over all axes that were stretched to reach g's shape. */
export const sumTo = (g: Tensor, shape: Shape): Tensor => g.sumTo(shape);

/** The transpose of summing over axes: g spread out over them again. */
export function spread(g: Tensor, call: RuleContext): Tensor {
  const [shape] = call.shapes as [Shape];
  return withAxes(g, call).expand(shape);
}

/** A reduction's output (or gradient) with the reduced axes put back at size 1. */
export function withAxes(y: Tensor, call: RuleContext): Tensor {
  const [shape] = call.shapes as [Shape];
  const { attrs } = call;
  const axes = (attrs['axes'] ?? [attrs['axis']]) as readonly number[];
  return attrs['keepDims'] === true ? y : y.reshape(shape.map((n, i) => (axes.includes(i) ? 1 : n)));
}

/** Zeros of a shape, in a tensor's dtype and on its backend, that take no room. */
export const zerosOf = (shape: Shape, like: Tensor): Tensor =>
  scalar(0, like.dtype, like.backend).expand(shape);
