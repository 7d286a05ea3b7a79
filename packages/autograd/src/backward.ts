/** The reverse pass. */
import {
  currentScope,
  full,
  GradientError,
  isFloat,
  onesLike,
  sameShape,
  type Tensor,
} from '@infinigrad/tensor';
import { Consumption } from './consumption.ts';
import { Leaf, Node, Part, Result, sourceOf, type Source } from './graph.ts';
import { enableGrad, noGrad, refuseInference } from './modes.ts';
import { Pending } from './pending.ts';
import { nextOrder } from './source.ts';
import { watched, watcher } from './watcher.ts';

export interface BackwardOptions {
  /** Record the backward pass too, so that the gradients can be differentiated. Default false. */
  readonly createGraph?: boolean;
  /** Keep what the graph has saved, for another pass over it. Default: as `createGraph`. */
  readonly retainGraph?: boolean;
  /**
   * Give back what the graph has saved as soon as it is not needed any more, as far as the innermost scope owns it: for
   * callers that know that nobody else will look at it. Default false: it goes with its scope.
   */
  readonly consume?: boolean;
}

/** What a gradient that arrives at a source goes on to. */
function beyond(source: Source): readonly (Source | null)[] {
  if (source instanceof Node) return source.sources;
  return source instanceof Part ? [source.node] : [];
}

/** All that the gradient can flow to from these sources without leaving one that is older than `oldest`, oldest first. */
export function reachable(roots: readonly Source[], oldest = 0): Source[] {
  const seen = new Set<Source>(roots);
  const stack = [...seen];
  for (let at = stack.pop(); at; at = stack.pop()) {
    if (at.order < oldest) continue;
    for (const source of beyond(at))
      if (source && !seen.has(source)) {
        seen.add(source);
        stack.push(source);
      }
  }
  return [...seen].sort((a, b) => a.order - b.order);
}

/** One pass from the outputs back. */
class Pass {
  readonly pending: Pending;
  readonly #wanted: ReadonlySet<Source> | null;
  /** Of what has been found, that which leads to a target: nothing else is worth visiting. */
  readonly #useful: Set<Source> | null;
  readonly #recorded: boolean;
  readonly #retained: boolean;

  /** @param wanted null where every leaf, and every result that asks for it, is to have its gradient */
  constructor(wanted: ReadonlySet<Source> | null, recorded: boolean, retained: boolean) {
    this.pending = new Pending(recorded);
    this.#wanted = wanted;
    this.#useful = wanted && new Set();
    this.#recorded = recorded;
    this.#retained = retained;
  }

  /** Visits all that the roots lead to and that is not older than `oldest`, newest first. */
  walk(
    roots: readonly Source[],
    oldest: number,
    consumptionOf: ((order: readonly Source[]) => Consumption) | null,
  ): void {
    const order = reachable(roots, oldest);
    // What a source leads to is older, so one look from the oldest on decides.
    for (const source of this.#useful ? order : [])
      if (this.#wanted!.has(source) || beyond(source).some((s) => s && this.#useful!.has(s)))
        this.#useful!.add(source);
    const consumption = consumptionOf && consumptionOf(order);
    for (let i = order.length - 1; i >= 0 && order[i]!.order >= oldest; i--)
      if (this.#leads(order[i]!)) this.#visit(order[i]!, consumption);
  }

  #leads(source: Source): boolean {
    return this.#useful === null || this.#useful.has(source);
  }

  #visit(source: Source, consumption: Consumption | null): void {
    const { pending } = this;
    if (source.hooks) this.#runHooks(source);
    if (!(source instanceof Node)) return;
    const places: readonly Result[] = source.parts ?? [source];
    const arrived = places.map((place) => pending.gradients.get(place));
    const some = arrived.find((g) => g !== undefined);
    if (!some) return;
    if (source.expand) this.#expand(source, arrived);
    else {
      const gradients = arrived.map(
        (g, i) => g ?? full(places[i]!.shape, 0, { dtype: places[i]!.dtype, backend: some.backend }),
      );
      pending.visit(() =>
        source.sources.forEach((to, k) => {
          if (!to || !this.#leads(to)) return;
          const g = watcher ? watcher.pull(source, gradients, k) : source.pull(gradients, k);
          if (g) pending.add(to, g);
        }),
      );
    }
    source.leave();
    for (const place of places) if (!this.#stays(place)) pending.done(place);
    if (consumption) consumption.release(source, pending.holds);
    else if (!this.#retained) source.release();
  }

  /** Whether the gradient is asked for. */
  #stays(place: Result): boolean {
    return this.#wanted ? this.#wanted.has(place) : place.retainsGrad;
  }

  #runHooks(source: Source): void {
    const { pending } = this;
    for (const { hook } of source.hooks!) {
      const g = pending.gradients.get(source);
      if (!g) return;
      const given: unknown = pending.outside(g, () => hook(g));
      if (given !== undefined && given !== g) pending.replace(source, source.checkHooked(given, g));
    }
  }

  /** Goes on through what the results are computed from anew. */
  #expand(node: Node, arrived: readonly (Tensor | undefined)[]): void {
    const { pending } = this;
    const oldest = nextOrder();
    pending.within(() => {
      const scope = currentScope();
      const roots: Source[] = [];
      enableGrad(() => node.expand!()).forEach((y, i) => {
        const [root, g] = [sourceOf(y), arrived[i]];
        if (!root || !g) return;
        roots.push(root);
        pending.add(root, g);
      });
      this.walk(roots, oldest, this.#recorded ? null : (order) => new Consumption(order, [], scope));
    });
  }
}

/**
 * Gradients of Σ outputs · cotangents at the `targets` (at every leaf where none are given).
 * @param spared what stays where the graph is consumed
 * @returns the gradient by source; a target that the outputs do not depend on is missing.
 */
export function propagate(
  outputs: readonly Tensor[],
  cotangents: readonly Tensor[],
  targets: readonly Source[] | null,
  options: BackwardOptions = {},
  spared: readonly Tensor[] = outputs,
): Map<Source, Tensor> {
  refuseInference('backward');
  const { createGraph = false, retainGraph = createGraph, consume = false } = options;
  const owner = currentScope();
  const pass = new Pass(targets && new Set(targets), createGraph, retainGraph);
  const run = (): void => {
    const roots: Source[] = [];
    outputs.forEach((y, i) => {
      const source = sourceOf(y);
      if (!source) return;
      roots.push(source);
      pass.pending.add(source, cotangents[i]!);
    });
    pass.walk(roots, 0, consume && !retainGraph ? (order) => new Consumption(order, spared, owner) : null);
  };
  try {
    watched(() => (createGraph ? enableGrad : noGrad)(run));
  } finally {
    pass.pending.close();
  }
  return pass.pending.gradients;
}

/**
 * Adds the gradient of `y` to `grad` of every leaf it depends on, and of every result in between that retains it.
 * @param gradient the gradient with respect to y, of its shape; 1 unless told, which needs y to be a single number
 */
export function backward(y: Tensor, gradient?: Tensor, options: BackwardOptions = {}): void {
  refuseInference('backward');
  const root = sourceOf(y);
  if (!root)
    throw new GradientError('backward', 'the tensor does not depend on any tensor that needs a gradient', {
      operands: [y],
      hint: 'set requiresGrad on an input, outside noGrad',
    });
  checkCotangent('backward', y, gradient);
  const seed = gradient?.cast(y.dtype) ?? onesLike(y);
  const gradients = propagate([y], [seed], null, options);
  const accumulate = (): void => {
    for (const [source, g] of gradients)
      if (source instanceof Leaf || (source as Result).retainsGrad) source.accumulate(g);
  };
  watched(() => (options.createGraph ? enableGrad : noGrad)(accumulate));
}

export function checkCotangent(op: string, y: Tensor, gradient: Tensor | undefined): void {
  if (gradient === undefined) {
    if (y.size !== 1)
      throw new GradientError(op, 'the output is not a single number', {
        operands: [y],
        hint: 'reduce it (sum, mean) or pass the gradient with respect to it',
      });
  } else if (!isFloat(gradient.dtype))
    throw new GradientError(op, 'the gradient must be of floating point', { operands: [y, gradient] });
  else if (!sameShape(gradient.shape, y.shape))
    throw new GradientError(op, 'output and gradient must have one shape', { operands: [y, gradient] });
}
