/** JAX's door to the engine: functions in, gradient functions out. */
import { GradientError, isFloat, onesLike, scope, zerosLike, type Tensor } from '@infinigrad/tensor';
import { checkCotangent, propagate } from './backward.ts';
import { sourceOf, type Source } from './graph.ts';
import { mapTree, type Tree } from './map-tree.ts';
import { pairTrees } from './pair-trees.ts';
import './tensor-methods.ts';
import { isDifferentiated } from './transforms/differentiated.ts';
import { withoutGraph } from './transforms/levels.ts';
import { onlyTensors, replaceTensors, tensorsIn } from './trees.ts';
import { checkValue, evaluate } from './variables.ts';

export { mapTree, type Tree } from './map-tree.ts';

export interface GradOptions {
  /**
   * Make the gradients differentiable. Default: where it can matter, that is inside another of these functions or
   * with arguments that need gradients themselves.
   */
  readonly createGraph?: boolean;
}

/** The function returns `[value, aux]`: what is differentiated, and whatever else is to be handed out beside it. */
export interface AuxOptions extends GradOptions {
  readonly hasAux: true;
}

/** The function returns its value alone. */
export interface PlainOptions extends GradOptions {
  readonly hasAux?: false;
}

function gradientsAt(
  values: readonly Tensor[],
  cotangents: readonly Tensor[],
  variables: readonly Tensor[],
  createGraph: boolean,
  { retainGraph = createGraph, spared = values }: { retainGraph?: boolean; spared?: readonly Tensor[] } = {},
): Map<Source, Tensor> {
  return propagate(
    values,
    cotangents,
    variables.map((x) => sourceOf(x)!),
    { createGraph, retainGraph, consume: !retainGraph },
    spared,
  );
}

/** The gradients in the shape of an argument; zero where the value does not depend on it. */
function collect<T extends Tree>(tree: T, gradients: ReadonlyMap<Source, Tensor>): T {
  return mapTree(tree, (x) => {
    const source = sourceOf(x);
    return (source && gradients.get(source)) ?? zerosLike(x);
  });
}

type ValueFunction = (...args: never) => Tensor | readonly [Tensor, unknown];

interface Made {
  readonly value: Tensor;
  readonly grad: Tree;
  readonly aux?: unknown;
}

/** `valueAndGrad`, with errors that are those of `op`. */
function both(
  op: string,
  f: ValueFunction,
  { createGraph: wanted, hasAux = false }: PlainOptions | AuxOptions,
): (x: Tree, ...rest: readonly unknown[]) => Made {
  const call = f as unknown as (x: Tree, ...rest: readonly unknown[]) => unknown;
  return (x, ...rest) =>
    scope(() => {
      const {
        value: made,
        fresh,
        variables,
        nested,
      } = evaluate(
        op,
        (y: Tree) => {
          const returned = call(y, ...rest);
          if (!hasAux) return [checkValue(op, returned)] as const;
          if (!Array.isArray(returned) || returned.length !== 2)
            throw new GradientError(op, 'with hasAux the function must return [value, aux]');
          return [checkValue(op, returned[0]), returned[1] as unknown] as const;
        },
        [x],
      );
      const [value, aux] = made;
      checkCotangent(op, value, undefined);
      const createGraph = wanted ?? nested;
      const gradients = gradientsAt([value], [onesLike(value)], variables, createGraph, {
        spared: tensorsIn(made),
      });
      const plain = createGraph ? made : replaceTensors(made, withoutGraph);
      return {
        value: plain[0],
        grad: collect(fresh[0], gradients),
        ...(hasAux && { aux: aux === undefined ? aux : plain[1] }),
      };
    });
}

/**
 * A function that returns f's value and the gradient with respect to its first argument (any tree of tensors).
 * `f` must return a single number, or with `hasAux: true` an array of that and of whatever else is to be returned as `aux`: logits,
 * new running averages, numbers for a log. Inside another differentiation all of it is differentiable.
 * A scope: what `f` makes is given back when it returns, but for what is returned; `keep` what else you need of it.
 * @throws GradientError where no argument is of floating point, or `f` returns anything else
 */
export function valueAndGrad<T extends Tree, Rest extends readonly unknown[], Aux>(
  f: (x: T, ...rest: Rest) => readonly [Tensor, Aux],
  options: AuxOptions,
): (x: T, ...rest: Rest) => { value: Tensor; grad: T; aux: Aux };
export function valueAndGrad<T extends Tree, Rest extends readonly unknown[]>(
  f: (x: T, ...rest: Rest) => Tensor,
  options?: PlainOptions,
): (x: T, ...rest: Rest) => { value: Tensor; grad: T };
export function valueAndGrad(f: ValueFunction, options: PlainOptions | AuxOptions = {}): unknown {
  return both('valueAndGrad', f, options);
}

/**
 * A function that returns the gradient of `f` with respect to its first argument (any tree of tensors); with `hasAux: true`,
 * where `f` returns `[value, aux]`, an object of `grad` and `aux`. Else as `valueAndGrad`.
 */
export function grad<T extends Tree, Rest extends readonly unknown[], Aux>(
  f: (x: T, ...rest: Rest) => readonly [Tensor, Aux],
  options: AuxOptions,
): (x: T, ...rest: Rest) => { grad: T; aux: Aux };
export function grad<T extends Tree, Rest extends readonly unknown[]>(
  f: (x: T, ...rest: Rest) => Tensor,
  options?: PlainOptions,
): (x: T, ...rest: Rest) => T;
export function grad(f: ValueFunction, options: PlainOptions | AuxOptions = {}): unknown {
  const made = both('grad', f, options);
  return (x: Tree, ...rest: readonly unknown[]) => {
    const { grad: gradient, aux } = made(x, ...rest);
    return options.hasAux ? { grad: gradient, aux } : gradient;
  };
}

/** `grad`, with errors that are those of `op`. */
export function gradOf<T extends Tree, Rest extends readonly unknown[]>(
  op: string,
  f: (x: T, ...rest: Rest) => Tensor,
): (x: T, ...rest: Rest) => T {
  const made = both(op, f, {});
  return (x, ...rest) => made(x, ...rest).grad as T;
}

/**
 * f's value, a tensor or a tree of them, and the pullback: from gradients with respect to the value, in its form, to the
 * gradients with respect to all arguments. The pullback can be called again and again. What stands for integers in what it is
 * given is not looked at.
 * @throws GradientError where no argument is of floating point, where `f` returns no tensor of floating point, or anything but
 * tensors; the pullback for gradients that do not fit the value
 */
export function vjp<A extends readonly Tree[], Y extends Tree>(
  f: (...args: A) => Y,
  ...args: A
): { value: Y; pullback: (cotangent: NoInfer<Y>, options?: GradOptions) => A } {
  const { value, fresh, variables, nested } = evaluate(
    'vjp',
    (...fresh: A) => {
      const made = f(...fresh);
      if (!onlyTensors(made) || made instanceof Promise)
        throw new GradientError('vjp', 'the function must return tensors', {
          hint: 'one, or several in arrays and plain objects',
        });
      const tensors = tensorsIn(made);
      if (!tensors.some(({ dtype }) => isFloat(dtype)))
        throw new GradientError('vjp', 'the function must return a floating-point tensor', {
          operands: tensors,
        });
      return made;
    },
    args,
  );
  return {
    value: nested ? value : mapTree(value, withoutGraph),
    pullback: (cotangent, options = {}) => {
      const outputs: Tensor[] = [];
      const cotangents: Tensor[] = [];
      pairTrees(value, cotangent, { op: 'vjp', both: 'value and gradient' }, (y, g) => {
        if (!isFloat(y.dtype)) return y;
        checkCotangent('vjp', y, g);
        outputs.push(y);
        cotangents.push(g.dtype === y.dtype ? g : g.cast(y.dtype));
        return y;
      });
      const createGraph = options.createGraph ?? (nested || cotangents.some((g) => isDifferentiated(g)));
      return collect(
        fresh as readonly Tree[],
        gradientsAt(outputs, cotangents, variables, createGraph, { retainGraph: true }),
      ) as unknown as A;
    },
  };
}
