/** JAX's door to the engine: functions in, gradient functions out. */
import { GradientError, isFloat, onesLike, scope, Tensor, zerosLike } from '@infinigrad/tensor';
import { checkCotangent, propagate } from './backward.ts';
import { sourceOf, type Source } from './graph.ts';
import { enableGrad } from './modes.ts';
import './tensor-methods.ts';

/** A tensor, or tensors in arrays and plain objects as deep as you like. */
export type Tree = Tensor | readonly Tree[] | { readonly [key: string]: Tree };

/** A tree with each tensor replaced. */
export function mapTree<T extends Tree>(tree: T, f: (x: Tensor) => Tensor): T {
  if (tree instanceof Tensor) return f(tree) as T;
  if (Array.isArray(tree)) return tree.map((part: Tree) => mapTree(part, f)) as unknown as T;
  if (typeof tree !== 'object' || tree === null)
    throw new GradientError('mapTree', `a tree holds tensors alone, got ${String(tree)}`, {
      hint: 'hand numbers and options over as further arguments',
    });
  return Object.fromEntries(Object.entries(tree).map(([key, part]) => [key, mapTree(part as Tree, f)])) as T;
}

export interface GradOptions {
  /**
   * Make the gradients differentiable. Default: where it can matter, that is inside another of these functions or
   * with arguments that need gradients themselves.
   */
  readonly createGraph?: boolean;
}

let depth = 0;

/** Fresh variables in place of the tensors of the arguments; where those need gradients, linked to them. */
function freshVariables<A extends readonly Tree[]>(
  op: string,
  args: A,
): { args: A; variables: Tensor[]; linked: boolean } {
  const variables: Tensor[] = [];
  let linked = false;
  const fresh = mapTree(args as readonly Tree[], (x) => {
    if (!isFloat(x.dtype)) return x;
    linked ||= x.requiresGrad;
    const variable = x.requiresGrad ? enableGrad(() => x.reshape(x.shape)) : x.detach().requireGrad();
    variables.push(variable);
    return variable;
  }) as unknown as A;
  if (variables.length === 0) throw new GradientError(op, 'no argument is a floating-point tensor');
  return { args: fresh, variables, linked };
}

function evaluate<A extends readonly Tree[]>(
  op: string,
  f: (...args: A) => Tensor,
  args: A,
): { value: Tensor; fresh: A; variables: Tensor[]; nested: boolean } {
  const { args: fresh, variables, linked } = freshVariables(op, args);
  depth++;
  try {
    const value = enableGrad(() => f(...fresh));
    if (!(value instanceof Tensor)) throw new GradientError(op, 'the function must return one tensor');
    if (!isFloat(value.dtype))
      throw new GradientError(op, 'the function must return a floating-point tensor', { operands: [value] });
    return { value, fresh, variables, nested: linked || depth > 1 };
  } finally {
    depth--;
  }
}

function gradientsAt(
  value: Tensor,
  cotangent: Tensor,
  variables: readonly Tensor[],
  createGraph: boolean,
  retainGraph = createGraph,
): Map<Source, Tensor> {
  return propagate(
    [value],
    [cotangent],
    variables.map((x) => sourceOf(x)!),
    { createGraph, retainGraph, consume: !retainGraph },
  );
}

/** The gradients in the shape of an argument; zero where the value does not depend on it. */
function collect<T extends Tree>(tree: T, gradients: ReadonlyMap<Source, Tensor>): T {
  return mapTree(tree, (x) => {
    const source = sourceOf(x);
    return (source && gradients.get(source)) ?? zerosLike(x);
  });
}

/**
 * A function that returns f's value and the gradient with respect to its first argument (any tree of tensors).
 * `f` must return a single number. Inside another differentiation the value and gradient are differentiable.
 * A scope: what `f` makes is given back when it returns; `keep` what else you need of it.
 */
export function valueAndGrad<T extends Tree, Rest extends readonly unknown[]>(
  f: (x: T, ...rest: Rest) => Tensor,
  options: GradOptions = {},
): (x: T, ...rest: Rest) => { value: Tensor; grad: T } {
  return (x, ...rest) =>
    scope(() => {
      const { value, fresh, variables, nested } = evaluate('valueAndGrad', (y: T) => f(y, ...rest), [x]);
      checkCotangent('valueAndGrad', value, undefined);
      const createGraph = options.createGraph ?? nested;
      const gradients = gradientsAt(value, onesLike(value), variables, createGraph);
      return { value: createGraph ? value : value.detach(), grad: collect(fresh[0], gradients) };
    });
}

/** A function that returns the gradient of `f` with respect to its first argument (any tree of tensors). */
export function grad<T extends Tree, Rest extends readonly unknown[]>(
  f: (x: T, ...rest: Rest) => Tensor,
  options: GradOptions = {},
): (x: T, ...rest: Rest) => T {
  const both = valueAndGrad(f, options);
  return (x, ...rest) => both(x, ...rest).grad;
}

/**
 * f's value, and the pullback: from a gradient with respect to the value to the gradients with respect to all
 * arguments. The pullback can be called again and again.
 */
export function vjp<A extends readonly Tree[]>(
  f: (...args: A) => Tensor,
  ...args: A
): { value: Tensor; pullback: (cotangent: Tensor, options?: GradOptions) => A } {
  const { value, fresh, variables, nested } = evaluate('vjp', f, args);
  return {
    value: nested ? value : value.detach(),
    pullback: (cotangent, options = {}) => {
      checkCotangent('vjp', value, cotangent);
      const createGraph = options.createGraph ?? (nested || cotangent.requiresGrad);
      return collect(
        fresh as readonly Tree[],
        gradientsAt(value, cotangent, variables, createGraph, true),
      ) as unknown as A;
    },
  };
}
