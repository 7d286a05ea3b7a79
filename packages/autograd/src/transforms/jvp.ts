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
  sameShape,
  scope,
  Tensor,
  zerosLike,
  type OpCall,
} from '@infinigrad/tensor';
import { mapTree, type Tree } from '../map-tree.ts';
import { noGrad, recording } from '../modes.ts';
import { derivatives } from '../rules/table.ts';
import { nextOrder } from '../source.ts';
import '../tensor-methods.ts';
import { hasGraph } from '../variables.ts';
import { carrying, currentLevel, within } from './levels.ts';
import { pushforward } from './pushforward.ts';

/** The tangents of one call of jvp. */
class Tangents {
  readonly #of = new WeakMap<Tensor, Tensor>();
  readonly #level = currentLevel();
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
    try {
      return body();
    } finally {
      for (const stop of stops) stop();
    }
  }

  #see(call: OpCall, next: (call: OpCall) => Tensor): Tensor {
    const { op, inputs, plan } = call;
    const tangents = inputs.map((x) => this.#of.get(x) ?? null);
    if (!isFloat(plan.dtype) || tangents.every((t) => t === null))
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
      // A graph that began inside has no use for tangents, which are not seen there.
      const recorded =
        recording() && [...inputs, ...tangents].some((x) => x !== null && hasGraph(x, this.#since));
      const make = (): Tensor | null => pushforward(call, rule, tangents, output, next, recorded);
      const tangent = below(next, () => (recorded ? make() : noGrad(() => scope(make, { fuse: true }))));
      if (tangent) this.#of.set(output, tangent);
      return output;
    });
  }
}

/** Two trees walked side by side. */
function pair(x: Tree, t: Tree, f: (x: Tensor, t: Tensor) => Tensor): Tree {
  const differ = (): never => {
    throw new GradientError('jvp', 'arguments and tangents must have one structure');
  };
  if (x instanceof Tensor) return t instanceof Tensor ? f(x, t) : differ();
  if (t instanceof Tensor || typeof t !== 'object' || t === null) return differ();
  const [left, right] = [Object.entries(x), t as Readonly<Record<string, Tree>>];
  if (Array.isArray(x) !== Array.isArray(t) || left.length !== Object.keys(right).length) return differ();
  const parts = left.map(([key, part]) => {
    if (!Object.hasOwn(right, key)) return differ();
    return [key, pair(part as Tree, right[key]!, f)] as const;
  });
  return Array.isArray(x) ? parts.map(([, part]) => part) : Object.fromEntries(parts);
}

function checkTangent(x: Tensor, t: Tensor): Tensor {
  if (!isFloat(t.dtype))
    throw new GradientError('jvp', 'the tangent must be of floating point', { operands: [x, t] });
  if (!sameShape(x.shape, t.shape))
    throw new GradientError('jvp', 'argument and tangent must have one shape', { operands: [x, t] });
  return t.dtype === x.dtype ? t : t.cast(x.dtype);
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
  let count = 0;
  const directions = new Map<Tensor, Tensor>();
  const handles = pair(primals, tangents, (x, t) => {
    if (!isFloat(x.dtype)) return x;
    count++;
    // A tensor that stands in two places moves in two ways.
    const handle = x.reshape(x.shape);
    directions.set(handle, checkTangent(x, t));
    return handle;
  }) as unknown as A;
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
  return { value, tangent: mapTree(value, (y) => own.get(y) ?? zerosLike(y)) };
}

/** @throws GradientError where a function has not returned a tensor, or tensors in arrays and plain objects */
export function checkReturned(op: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || value instanceof Promise)
    throw new GradientError(op, 'the function must return tensors');
}
