/** One function over a whole batch of examples: every op inside runs once for all of them. */
import {
  accompany,
  apply,
  batchOf,
  below,
  compose,
  full,
  intercept,
  internalError,
  normalizeAxis,
  recordOf,
  sameShape,
  ShapeError,
  stack,
  Tensor,
  ValueError,
  type BatchedCall,
  type OpCall,
  type OpName,
} from '@infinigrad/tensor';
import { record } from '../graph.ts';
import type { Tree } from '../map-tree.ts';
import '../tensor-methods.ts';
import { currentLevel, Level, opened, stand, standingFor, wholeOf, within } from './levels.ts';

/**
 * The axis along which examples lie, for every tensor of an argument or result alike, or for each part of an array or plain
 * object. null: one tensor for all examples.
 */
export type BatchAxes = number | null | readonly BatchAxes[] | { readonly [key: string]: BatchAxes };

export interface VmapOptions {
  /** For all arguments, or an array with an entry for each. Default 0. */
  readonly inAxes?: BatchAxes;
  /** For the result. Default 0. */
  readonly outAxes?: BatchAxes;
}

type Next = (call: OpCall) => Tensor;

/** Counts the calls that ran example by example while it listens. */
let counts: Map<OpName, number> | null = null;

/**
 * The ops that run example by example in calls of vmap inside `body`, and how many calls of each: those whose records say no
 * way to run a batch at once, and that are not made of other ops. Right, but as slow as a loop.
 */
export function unrolledOps(body: () => unknown): ReadonlyMap<OpName, number> {
  const before = counts;
  const own = new Map<OpName, number>();
  counts = own;
  try {
    body();
  } finally {
    counts = before;
    if (before) for (const [op, count] of own) before.set(op, (before.get(op) ?? 0) + count);
  }
  return own;
}

/** Turns a call on handles into calls on what they stand for. */
function batch(level: Level, call: OpCall, next: Next): Tensor {
  if (call.inputs.every((x) => standingFor(x)?.level !== level))
    return within(level.parent, () => next(call));
  const { op, plan } = call;
  const all = call.inputs.map((x) => opened(x, level));
  const inputs = all.map(({ inner }) => inner);
  const batched = all.map((x) => x.batched);
  if (!batched.includes(true))
    return stand(
      within(level.parent, () => next({ op, inputs, plan })),
      level,
      false,
    );
  const known = recordOf(op);
  const rule = batchOf(known);
  const on = { inputs, batched, size: level.size, plan };
  const made = within(level.parent, () =>
    below(
      next,
      () =>
        rule?.(on, (xs, attrs) => apply(op, xs, attrs)) ??
        (known.kind === 'fused' ? null : unrolled(op, on, next)),
    ),
  );
  if (!made && known.kind === 'fused') return compose(known, call.inputs, plan.attrs);
  if (!made || made.shape[0] !== level.size || !sameShape(made.shape.slice(1), plan.shape))
    throw internalError(
      `${op} on a batch gave [${made?.shape.join(', ')}] for examples of [${plan.shape.join(', ')}]`,
    );
  return stand(made, level, true);
}

function unrolled(op: OpName, { inputs, batched, size, plan }: BatchedCall, next: Next): Tensor {
  counts?.set(op, (counts.get(op) ?? 0) + 1);
  if (size === 0) return full([0, ...plan.shape], 0, { dtype: plan.dtype, backend: inputs[0]!.backend });
  return stack(
    Array.from({ length: size }, (_, i) =>
      next({ op, inputs: inputs.map((x, k) => (batched[k] ? x.select(0, i) : x)), plan }),
    ),
  );
}

const isHolder = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !(value instanceof Tensor);

/** The tensors of a value with the axes that are meant for them, each replaced; whatever else there is stays. */
function mapAxes(
  value: unknown,
  axes: BatchAxes,
  name: string,
  f: (x: Tensor, axis: number | null) => unknown,
): unknown {
  const whole = typeof axes === 'number' || axes === null;
  if (value instanceof Tensor) {
    if (!whole)
      throw new ValueError('vmap', `${name} names axes for parts, but there is one tensor`, {
        operands: [value],
      });
    return f(value, axes);
  }
  if (!isHolder(value)) {
    if (axes === null) return value;
    throw new ValueError('vmap', `${name} names an axis for ${String(value)}, which is no tensor`, {
      hint: 'null hands it over as it is',
    });
  }
  if (!whole) {
    const [mine, theirs] = [Object.keys(value), Object.keys(axes)];
    if (
      Array.isArray(value) !== Array.isArray(axes) ||
      mine.length !== theirs.length ||
      !mine.every((key) => Object.hasOwn(axes, key))
    )
      throw new ValueError('vmap', `${name} has other parts than what it names axes for`, {
        hint: 'one axis for all parts, or one for each',
      });
  }
  const parts = Object.entries(value).map(
    ([key, part]) =>
      [
        key,
        mapAxes(part, whole ? axes : (axes as Readonly<Record<string, BatchAxes>>)[key]!, name, f),
      ] as const,
  );
  return Array.isArray(value) ? parts.map(([, part]) => part) : Object.fromEntries(parts);
}

/**
 * A function over a batch of examples from a function of one: `vmap(f)(xs)` is f of every slice of `xs` along an axis, the
 * results stacked, but every op inside runs once on the whole batch. Tensors of the closure are one for all examples.
 *
 * Inside, tensors show the shape of one example and cannot be read (`item`, `dataSync`, `data`): there is no one value, so
 * choose with `where` in place of `if`. Random keys are plain values: one key gives every example the same numbers; hand
 * the numbers over as an argument where they are to differ. Nests with itself, `grad`, `jvp` and the others in any order:
 * `vmap(grad(f))` gives the gradient of every example.
 * @throws ShapeError where the mapped axes differ in size, IndexError where there is no such axis, ValueError where nothing is
 * mapped, where axes do not fit the arguments or the result, and where an element is read inside
 */
export function vmap<A extends readonly unknown[], Y extends Tree>(
  f: (...args: A) => Y,
  { inAxes = 0, outAxes = 0 }: VmapOptions = {},
): (...args: A) => Y {
  return (...args) => {
    const mapped: { readonly x: Tensor; readonly axis: number }[] = [];
    mapAxes(args, inAxes, 'inAxes', (x, axis) => {
      if (axis !== null) mapped.push({ x, axis: normalizeAxis('vmap', axis, x) });
      return x;
    });
    const sizes = mapped.map(({ x, axis }) => x.shape[axis]!);
    const size = sizes[0];
    if (size === undefined)
      throw new ValueError('vmap', 'no argument is mapped', {
        hint: 'name an axis of at least one in inAxes',
      });
    const other = sizes.find((n) => n !== size);
    if (other !== undefined)
      throw new ShapeError('vmap', `the mapped axes differ in size (${size} and ${other})`, {
        operands: mapped.map(({ x }) => x),
      });
    const level = new Level(currentLevel(), size);
    const inside = mapAxes(args, inAxes, 'inAxes', (x, axis) =>
      axis === null ? x : stand(toFront(x, axis), level, true),
    ) as A;
    const result = during(level, () => f(...inside));
    if (result instanceof Promise)
      throw new ValueError('vmap', 'the function is asynchronous', { hint: 'await outside' });
    return mapAxes(result, outAxes, 'outAxes', (y, axis) => outside(y, level, axis)) as Y;
  };
}

function toFront(x: Tensor, axis: number): Tensor {
  const at = normalizeAxis('vmap', axis, x);
  return at === 0 ? x : x.moveAxis(at, 0);
}

/** Runs `body` with the calls in it turned into calls on whole batches. */
export function during<T>(level: Level, body: () => T): T {
  const own = intercept((call, next) => batch(level, call, next));
  level.below = (inner) => within(level.parent, () => own.below(inner));
  const stops = [
    own,
    // What is differentiated inside has its graph above: there every tensor is one example.
    intercept(record),
    accompany((x) => standingFor(x)?.inner),
  ];
  try {
    return within(level, body);
  } finally {
    for (const stop of stops) stop();
    level.state = 'ended';
  }
}

/** A tensor of the result, with the batch along an axis. */
function outside(y: Tensor, level: Level, axis: number | null): Tensor {
  const { inner, batched } = opened(y, level);
  if (axis === null) {
    if (batched)
      throw new ValueError(
        'vmap',
        'a result differs from example to example, but outAxes names no axis for it',
        {
          operands: [y],
        },
      );
    return inner;
  }
  const whole = wholeOf(y, level);
  const at = normalizeAxis('vmap', axis, whole);
  return at === 0 ? whole : whole.moveAxis(0, at);
}
