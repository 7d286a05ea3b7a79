/** Forward mode: tangents travel beside values, from the same derivative rules as gradients. */
import {
  accompany,
  below,
  compose,
  GradientError,
  intercept,
  internalError,
  isFloat,
  recordOf,
  scope,
  zerosLike,
  type OpCall,
  type Tensor,
} from '@infinigrad/tensor';
import { propagate } from '../backward.ts';
import { sourceOf } from '../graph.ts';
import { mapTreeOf, type Tree } from '../map-tree.ts';
import { enableGrad, noGrad, recording } from '../modes.ts';
import { directionOf, pairTrees } from '../pair-trees.ts';
import { derivatives } from '../rules/table.ts';
import { nextOrder, type Source } from '../source.ts';
import '../tensor-methods.ts';
import { replaceTensors, tensorsIn } from '../trees.ts';
import { variableOf } from '../variables.ts';
import { active, hasGraph, isDifferentiated, type Moving } from './differentiated.ts';
import { carry, carrying, currentLevel, deepest, within, withoutGraph } from './levels.ts';
import { pushforward } from './pushforward.ts';

/** The tangents of one call of jvp. */
class Tangents implements Moving {
  /** Sees nothing for a while. */
  suspended = false;
  readonly #of = new WeakMap<Tensor, Tensor>();
  readonly #level = currentLevel();
  /** How many calls of vmap it is inside of. */
  readonly depth = this.#level?.depth ?? 0;
  /** What is older than this was there before. */
  readonly #since = nextOrder();

  get(x: Tensor): Tensor | undefined {
    return this.#of.get(x);
  }

  set(x: Tensor, tangent: Tensor): void {
    this.#of.set(x, tangent);
  }

  /** Runs `body` with ops seen. */
  during<T>(body: () => T): T {
    const stops = [
      intercept((call, next) => this.#see(call, next)),
      accompany((x) => this.#of.get(x)),
      carrying((from, to) => {
        const tangent = this.#of.get(from);
        if (tangent) this.#of.set(to, tangent);
      }),
    ];
    active.push(this);
    try {
      return body();
    } finally {
      active.splice(active.indexOf(this), 1);
      for (const stop of stops) stop();
    }
  }

  /** Whether what is made of these tensors is to be differentiated from outside. */
  isRecorded(tensors: readonly (Tensor | null)[]): boolean {
    if (!recording()) return false;
    // Tangents in calls of jvp inside this one are made above it, and seen here as ops of their own.
    const around = active.slice(0, Math.max(0, active.indexOf(this)));
    // A graph that began inside has no use for tangents, which are not seen there.
    return tensors.some((x) => x !== null && isDifferentiated(x, around, this.#since));
  }

  #see(call: OpCall, next: (call: OpCall) => Tensor): Tensor {
    const { op, inputs, plan } = call;
    const tangents = inputs.map((x) => this.#of.get(x) ?? null);
    if (this.suspended || !isFloat(plan.dtype) || tangents.every((t) => t === null))
      return within(this.#level, () => next(call));
    const rule = derivatives[op];
    if (rule.kind === 'none')
      throw new GradientError(op, `has no derivative (${rule.reason})`, {
        operands: inputs,
        hint: 'detach() the inputs',
      });
    const record = recordOf(op);
    // The parts are seen in turn.
    if (record.kind === 'fused') return compose(record, inputs, plan.attrs);
    if (rule.kind === 'composed') throw internalError(`${op} is not made of other ops`);
    return within(this.#level, () => {
      const output = next(call);
      const recorded = this.isRecorded([...inputs, ...tangents]);
      const make = (): Tensor | null => pushforward(call, rule, tangents, output, next, recorded);
      const tangent = below(next, () => (recorded ? make() : noGrad(() => scope(make, { fuse: true }))));
      if (tangent) this.#of.set(output, tangent);
      return output;
    });
  }
}

/**
 * f's value, and its derivative along a direction: J · tangents, in one pass forward beside the values, so that nothing is
 * kept for a way back. Trees of tensors go in and come out; what stands in `tangents` for integers is not looked at.
 *
 * Tangents do not stop at `noGrad` but at `detach()` alone. With arguments that need gradients, or inside another
 * transformation, value and tangent can be differentiated again, either way. Not a scope: what `f` makes goes as after a
 * plain call.
 * @throws GradientError where arguments and tangents do not fit, where no argument is of floating point, where `f` does not return
 * tensors, and under the name of an op that has no derivative
 */
export function jvp<A extends readonly Tree[], Y extends Tree>(
  f: (...args: A) => Y,
  primals: A,
  tangents: NoInfer<A>,
): { value: Y; tangent: Y } {
  if (!Array.isArray(primals) || !Array.isArray(tangents))
    throw new GradientError('jvp', 'primals and tangents must be arrays, with an entry for each argument', {
      hint: 'jvp(f, [x], [t])',
    });
  let count = 0;
  const directions = new Map<Tensor, Tensor>();
  const handles = pairTrees(primals, tangents, { op: 'jvp', both: 'arguments and tangents' }, (x, t) => {
    if (!isFloat(x.dtype)) return x;
    count++;
    // A tensor that stands in two places moves in two ways.
    const handle = x.reshape(x.shape);
    directions.set(handle, directionOf('jvp', x, t));
    return handle;
  });
  if (count === 0) throw new GradientError('jvp', 'no argument is a floating-point tensor');
  return pushAlong(f, handles, directions);
}

/** As `jvp`, with tangents for some of the tensors in the arguments: handles that nothing but the arguments holds. */
export function pushAlong<A extends readonly Tree[], Y extends Tree>(
  f: (...args: A) => Y,
  args: A,
  directions: ReadonlyMap<Tensor, Tensor>,
): { value: Y; tangent: Y } {
  const own = new Tangents();
  for (const [x, t] of directions) own.set(x, t);
  const value = own.during(() => f(...args));
  checkReturned('jvp', value);
  return { value, tangent: mapTreeOf('jvp', value, (y) => own.get(y) ?? zerosLike(y)) };
}

/** @throws GradientError where a function has not returned a tensor, or tensors in arrays and plain objects */
export function checkReturned(op: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || value instanceof Promise)
    throw new GradientError(op, 'the function must return tensors');
}

/**
 * Calls a function that is recorded as one, with a gradient of its own: its tangents are those which that gradient is the
 * transpose of. They come from a pullback of the pullback. Calls of jvp around a vmap that the arguments are inside of
 * are not looked at: they see whole batches.
 */
export function pushedBack<T>(args: readonly unknown[], call: (args: readonly unknown[]) => T): T {
  const tensors = tensorsIn(args);
  const depth = deepest(tensors);
  const own = (active as Tangents[]).findLast(
    (level) => !level.suspended && level.depth >= depth && tensors.some((x) => level.get(x)),
  );
  if (!own) return call(args);
  for (let level = currentLevel(); level; level = level.parent)
    if (level.depth === own.depth + 1) return level.below!(() => pushedBack(args, call));
  const moving: { readonly source: Source; readonly tangent: Tensor }[] = [];
  own.suspended = true;
  try {
    const variables = replaceTensors(args, (x) => {
      const tangent = own.get(x);
      if (!tangent) return x;
      // With all tangents of x, those of suspended levels too.
      const variable = carry(x, variableOf(x));
      moving.push({ source: sourceOf(variable)!, tangent });
      return variable;
    });
    const recorded = own.isRecorded([...tensors, ...moving.map(({ tangent }) => tangent)]);
    const linked = recording() && tensors.some((x) => hasGraph(x));
    const made = enableGrad(() => pushedBack(variables, call));
    const outputs = tensorsIn(made).filter(({ dtype }) => isFloat(dtype));
    const units = outputs.map((y) => variableOf(zerosLike(y)));
    const pulled = propagate(
      outputs,
      units,
      moving.map(({ source }) => source),
      { createGraph: true },
    );
    const pairs = moving.flatMap(({ source, tangent }) => {
      const g = pulled.get(source);
      return g ? [{ g, tangent }] : [];
    });
    const targets = units.map((u) => sourceOf(u)!);
    const pushed = propagate(
      pairs.map(({ g }) => g),
      pairs.map(({ tangent }) => tangent),
      targets,
      { createGraph: recorded },
    );
    const tangentOf = new Map(outputs.map((y, i) => [y, pushed.get(targets[i]!)]));
    return replaceTensors(made, (y) => {
      const tangent = tangentOf.get(y);
      const value = linked ? y : withoutGraph(y);
      if (tangent) own.set(value, tangent);
      return value;
    });
  } finally {
    own.suspended = false;
  }
}
