/** JAX's door to the engine: functions in, gradient functions out. */
import { onesLike, scope, zerosLike, type Tensor } from '@infinigrad/tensor';
import { checkCotangent, propagate } from './backward.ts';
import { sourceOf, type Source } from './graph.ts';
import { mapTree, type Tree } from './map-tree.ts';
import './tensor-methods.ts';
import { withoutGraph } from './transforms/levels.ts';
import { checkValue, evaluate, hasGraph } from './variables.ts';

export { mapTree, type Tree } from './map-tree.ts';

export interface GradOptions {
  /**
   * Make the gradients differentiable. Default: where it can matter, that is inside another of these functions or
   * with arguments that need gradients themselves.
   */
  readonly createGraph?: boolean;
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
      const { value, fresh, variables, nested } = evaluate(
        'valueAndGrad',
        (y: T) => checkValue('valueAndGrad', f(y, ...rest)),
        [x],
      );
      checkCotangent('valueAndGrad', value, undefined);
      const createGraph = options.createGraph ?? nested;
      const gradients = gradientsAt(value, onesLike(value), variables, createGraph);
      return { value: createGraph ? value : withoutGraph(value), grad: collect(fresh[0], gradients) };
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
  const { value, fresh, variables, nested } = evaluate(
    'vjp',
    (...fresh: A) => checkValue('vjp', f(...fresh)),
    args,
  );
  return {
    value: nested ? value : withoutGraph(value),
    pullback: (cotangent, options = {}) => {
      checkCotangent('vjp', value, cotangent);
      const createGraph = options.createGraph ?? (nested || hasGraph(cotangent));
      return collect(
        fresh as readonly Tree[],
        gradientsAt(value, cotangent, variables, createGraph, true),
      ) as unknown as A;
    },
  };
}
