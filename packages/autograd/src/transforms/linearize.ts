/** A function at one point, made linear: evaluated once, pushed along as many directions as you like. */
import { isFloat, zerosLike, type Tensor } from '@infinigrad/tensor';
import { propagate } from '../backward.ts';
import { sourceOf } from '../graph.ts';
import { mapTree, type Tree } from '../map-tree.ts';
import { directionOf, pairTrees } from '../pair-trees.ts';
import { tensorsIn } from '../trees.ts';
import { evaluate, variableOf } from '../variables.ts';
import { isDifferentiated } from './differentiated.ts';
import { checkReturned } from './jvp.ts';
import { withoutGraph } from './levels.ts';

/**
 * f's value, and its derivative as a function of the direction: `pushforward(...tangents)` is the tangent that `jvp` would give, for the
 * cost of a backward pass, without evaluating `f` again; it is linear in the tangents. `linearize(grad(f), x)` gives products with the
 * Hessian from one evaluation, as conjugate gradients want them. What `f` saves for its gradient stays as long as `pushforward`.
 * What stands in the tangents for integers is not looked at.
 * @throws GradientError as `jvp`
 */
export function linearize<A extends readonly Tree[], Y extends Tree>(
  f: (...args: A) => Y,
  ...args: A
): { value: Y; pushforward: (...tangents: NoInfer<A>) => Y } {
  const { value, fresh, variables, nested } = evaluate(
    'linearize',
    (...xs: A) => {
      const made = f(...xs);
      checkReturned('linearize', made);
      return made;
    },
    args,
  );
  const outputs = tensorsIn(value).filter(({ dtype }) => isFloat(dtype));
  // The pullback is linear in what it is given; its own pullback is what takes tangents to tangents.
  const units = outputs.map((y) => variableOf(zerosLike(y)));
  const pulled = propagate(
    outputs,
    units,
    variables.map((x) => sourceOf(x)!),
    { createGraph: true },
  );
  return {
    value: nested ? value : mapTree(value, withoutGraph),
    pushforward: (...tangents) => {
      const pairs: { readonly g: Tensor; readonly tangent: Tensor }[] = [];
      const names = { op: 'linearize', both: 'arguments and tangents' };
      pairTrees(fresh as readonly Tree[], tangents, names, (x, t) => {
        if (!isFloat(x.dtype)) return x;
        const tangent = directionOf('linearize', x, t);
        const g = pulled.get(sourceOf(x)!);
        if (g) pairs.push({ g, tangent });
        return x;
      });
      const pushed = propagate(
        pairs.map(({ g }) => g),
        pairs.map(({ tangent }) => tangent),
        units.map((u) => sourceOf(u)!),
        { createGraph: nested || pairs.some(({ tangent }) => isDifferentiated(tangent)), retainGraph: true },
      );
      let float = 0;
      return mapTree(value, (y) => {
        const unit = isFloat(y.dtype) ? units[float++]! : null;
        return (unit && pushed.get(sourceOf(unit)!)) ?? zerosLike(y);
      });
    },
  };
}
