/** Functions with a gradient of the user's own. */
import { GradientError, isFloat, sameShape, scope, Tensor } from '@infinigrad/tensor';
import { differentiatedAround, onBatch, type Custom } from './custom-batch.ts';
import { CustomNode, kindOf } from './custom-node.ts';
import { vjp, type Tree } from './functional.ts';
import { refuseSealed, sourceOf } from './graph.ts';
import { currentMode, recording, withMode } from './modes.ts';
import { inSurroundings } from './surroundings.ts';
import { pushedBack } from './transforms/jvp.ts';
import { deepest, depthOf } from './transforms/levels.ts';
import { isHolder, onlyTensors, replaceTensors, tensorsIn } from './trees.ts';
import { watcher } from './watcher.ts';

/** What `forward` returns. */
export interface CustomForward<Y extends Tree, S> {
  /** A tensor, or several in arrays and plain objects. */
  readonly output: Y;
  /** What `backward` will need: tensors in arrays and plain objects, and whatever else. */
  readonly saved?: S;
}

/** The gradient of an argument: a tensor for a tensor, null for none; for several, the form that they came in. */
export type GradientTree =
  | Tensor
  | null
  | undefined
  | readonly GradientTree[]
  | { readonly [key: string]: GradientTree };

export interface CustomGradientOptions {
  /** What errors and graphs call the function. Default `customGradient`. */
  readonly name?: string;
}

type AnyForward = (...args: readonly unknown[]) => CustomForward<Tree, unknown>;

/**
 * A function whose gradient you write. In `forward` nothing is recorded; `backward` gets the gradient of what it returned
 * and what it saved, and gives the gradient of each argument: a tensor of the argument's shape and dtype (in the
 * argument's own form where that is an array or plain object), null for none; where there is but one argument, its
 * gradient alone will do. A result that nothing depends on has a gradient of zeros. `needs` says of each argument
 * whether its gradient is wanted.
 *
 * ```ts
 * // Gradient reversal (Ganin and Lempitsky, arXiv 1409.7495)
 * const reverse = customGradient(
 *   (x: Tensor, factor: number) => ({ output: x, saved: factor }),
 *   (g, factor) => [g.mul(-factor), null],
 *   { name: 'reverse' },
 * );
 * ```
 *
 * Where `backward` is written in differentiable ops, gradients of gradients come by themselves: arguments and results
 * among what is saved are linked to the graph. Whatever else is saved is, for that, computed anew by `forward`, recorded
 * by the rules of its ops; so `forward` must depend on nothing but its arguments. `forward` is a scope: what it neither
 * returns nor saves is given back. Inside vmap both see one example, wherever that is differentiated.
 *
 * @returns takes the arguments of `forward`: tensors, alone or in arrays and plain objects, and settings of any kind
 * @throws GradientError, under the function's name, where `forward` uses a tensor that needs a gradient and is no argument,
 * where it does not return tensors, and, in the backward pass, for gradients that do not fit the arguments
 */
export function customGradient<A extends readonly unknown[], Y extends Tree, S = undefined>(
  forward: (...args: A) => CustomForward<Y, S>,
  backward: (gradients: Y, saved: S, needs: readonly boolean[]) => GradientTree,
  options: CustomGradientOptions = {},
): (...args: A) => Y {
  const { name = 'customGradient' } = options;
  const custom: Custom = {
    name,
    forward: forward as unknown as AnyForward,
    backward: backward as Custom['backward'],
  };
  return calling(custom) as (...args: A) => Y;
}

/** A function with a gradient, at all depths of vmap at which it is differentiated. */
function calling({ name, forward, backward }: Custom): (...args: readonly unknown[]) => unknown {
  const run = (args: readonly unknown[]): CustomForward<Tree, unknown> => checked(name, forward(...args));
  const call = (args: readonly unknown[]): unknown => {
    const inputs = tensorsIn(args);
    const depth = deepest(inputs);
    const level = differentiatedAround(inputs);
    const recorded = currentMode() === 'on';
    const runOnBatch = (handed: readonly unknown[]): CustomForward<Tree, unknown> =>
      onBatch(level!, { name, forward: (...own) => run(own), backward }, handed, calling) as CustomForward<
        Tree,
        unknown
      >;
    if (!recorded) return (level ? runOnBatch(args) : run(args)).output;
    // Handles of their own, so that those among what is saved are known again.
    const known = new Map<Tensor, Tensor>();
    const handed = replaceTensors<readonly unknown[]>(args, (x) => {
      // What a vmap around it is differentiated along stays.
      const handle = level ? (depthOf(x) < depth ? x : new Tensor(x.storage, x.layout, x.dtype)) : x.detach();
      known.set(handle, x);
      return handle;
    });
    const { made, output } = scope(
      () => {
        const { output, saved } = level ? runOnBatch(handed) : withMode('closed', () => run(handed));
        for (const x of tensorsIn([output, saved])) if (!known.has(x)) refuseCaptured(name, x);
        const own = replaceTensors(output, (y) => {
          y.storage.settle();
          const fresh = new Tensor(y.storage, y.layout, y.dtype);
          if (!known.has(y)) known.set(y, fresh);
          return fresh;
        });
        return { made: saved, output: own };
      },
      { fuse: true },
    );
    const float = (x: Tensor): boolean => isFloat(x.dtype);
    const differentiable = (x: Tensor): boolean => float(x) && depthOf(x) === depth && sourceOf(x) !== null;
    if (!inputs.some(differentiable) || !tensorsIn(output).some(float)) return output;
    refuseSealed(name, inputs);
    const node = new CustomNode({
      name,
      backward: inSurroundings(backward),
      args,
      output,
      saved: replaceTensors(made, (x) => known.get(x) ?? x),
      foreign: tensorsIn(made).map((x) => !known.has(x)),
      saveAnew: inSurroundings((again) => run(again).saved),
    });
    watcher?.recorded(node);
    return output;
  };
  return (...args) => (currentMode() === 'inference' ? call(args) : pushedBack(args, call));
}

function refuseCaptured(name: string, x: Tensor): void {
  if (sourceOf(x))
    throw new GradientError(
      name,
      'forward returns or saves a tensor that needs a gradient and is no argument',
      {
        operands: [x],
        hint: 'pass it as an argument, or stopGradient() it',
      },
    );
}

function checked(name: string, made: unknown): CustomForward<Tree, unknown> {
  const output: unknown =
    isHolder(made) && !Array.isArray(made) ? (made as { output?: unknown }).output : null;
  if (!onlyTensors(output))
    throw new GradientError(
      name,
      `forward must return { output, saved } with tensors as the output, got ${kindOf(made)}`,
    );
  return made as CustomForward<Tree, unknown>;
}

/**
 * The same elements as a constant: no gradient flows through. Takes a tensor, or arrays and plain objects of tensors and
 * whatever else.
 */
export function stopGradient<T>(tree: T): T {
  return replaceTensors(tree, (x) => x.detach());
}

/**
 * A function with the value of `f` and the gradient of `surrogate`; of the identity in its first argument, where there is
 * no surrogate (the straight-through estimator: Bengio et al., arXiv 1308.3432).
 * @param f of tensors; without a surrogate its result must have the shape and dtype of the first
 * @param surrogate of the same tensors; its result must have the shape and dtype of f's
 * @throws GradientError where shapes or dtypes differ; as `customGradient` else
 */
export function straightThrough<A extends readonly Tensor[]>(
  f: (...args: A) => Tensor,
  surrogate?: (...args: A) => Tensor,
): (...args: A) => Tensor {
  const name = 'straightThrough';
  const alike = (x: Tensor, y: Tensor, what: string): void => {
    if (!sameShape(x.shape, y.shape) || x.dtype !== y.dtype)
      throw new GradientError(name, `the value and ${what} differ in shape or dtype`, { operands: [x, y] });
  };
  return customGradient(
    (...args: A) => {
      const output = f(...args);
      if (surrogate) return { output, saved: args as readonly Tensor[] };
      alike(output, args[0]!, 'the argument whose gradient it has');
      return { output };
    },
    (g: Tensor, saved: readonly Tensor[] | undefined, needs) => {
      if (!surrogate) return needs.map((_, i) => (i === 0 ? g : null));
      const stand = (...args: A): Tensor => {
        const y = surrogate(...args);
        alike(g, y, 'the surrogate');
        return y;
      };
      const { pullback } = vjp(stand as unknown as (...args: readonly Tensor[]) => Tensor, ...saved!);
      const gradients = pullback(g, { createGraph: recording() });
      return gradients.map((gradient) => (isFloat(gradient.dtype) ? gradient : null));
    },
    { name },
  );
}
