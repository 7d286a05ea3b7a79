/** Activation checkpointing: memory for time. What a function makes is not kept for its gradient, but made again. */
import {
  GradientError,
  intercept,
  keep,
  openScope,
  sameShape,
  storagesOf,
  Tensor,
  type OpCall,
  type OperandInfo,
  type Scope,
} from '@infinigrad/tensor';
import { reachable } from './backward.ts';
import type { Tree } from './functional.ts';
import { Leaf, Node, Part, save, sourceOf, type Saved, type Source } from './graph.ts';
import { currentMode } from './modes.ts';
import { nextOrder } from './source.ts';
import { inSurroundings } from './surroundings.ts';
import { hasRecordedTangent } from './transforms/differentiated.ts';
import { currentLevel, withoutGraph } from './transforms/levels.ts';
import { onlyTensors, replaceTensors, tensorsIn } from './trees.ts';
import { watcher } from './watcher.ts';

let again = false;

/** True while a checkpoint calls its function again: what is counted or averaged over calls has been counted before. */
export function recomputing(): boolean {
  return again;
}

function recomputed<T>(body: () => T): T {
  const before = again;
  again = true;
  try {
    return body();
  } finally {
    again = before;
  }
}

/** What a function reads that it has not made: arguments, and what it captures. */
class Inputs {
  readonly #scope: Scope;
  readonly #found = new Map<Tensor, Saved>();

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** A tensor that is read. */
  note(x: Tensor): void {
    if (this.#found.has(x) || this.#madeInside(x)) return;
    // What no scope will give back and no one can change needs no care.
    if (x.storage.owner !== null || sourceOf(x)) this.#found.set(x, save(x));
  }

  list(): Saved[] {
    return [...this.#found.values()];
  }

  #madeInside(x: Tensor): boolean {
    for (let at = x.storage.owner as Scope | null; at; at = at.parent) if (at === this.#scope) return true;
    return false;
  }
}

/** A call that is made again in the backward pass, which then goes on through what the call is made of. */
class CheckpointNode extends Node {
  override readonly parts: readonly Part[];
  override readonly sources: readonly Source[];
  readonly #differentiable: readonly boolean[];
  #again: (() => Tensor[]) | null;
  #inputs: readonly Saved[];

  /** Attaches itself to those results that have a gradient. */
  constructor(
    sources: readonly Source[],
    again: () => Tensor[],
    inputs: readonly Saved[],
    results: readonly Tensor[],
    differentiable: readonly boolean[],
  ) {
    const [{ shape, dtype }] = results as [Tensor];
    super(
      { op: 'checkpoint', inputs: [], plan: { shape, dtype, attrs: {} } },
      { kind: 'differentiable', saves: { inputs: [], output: false }, inputs: [] },
      null,
    );
    this.sources = sources;
    for (const source of sources) this.oldest = Math.min(this.oldest, source.oldest);
    this.#again = again;
    this.#inputs = inputs;
    this.#differentiable = differentiable;
    this.parts = results.map((y, i) => {
      const part = new Part(this, i, y);
      if (differentiable[i]) y.attachment = part;
      return part;
    });
  }

  override expand(): readonly Tensor[] {
    this.released();
    for (const saved of this.#inputs) this.recall(saved, 'a tensor that the function reads');
    const oldest = nextOrder();
    const results = this.#again!();
    const refuse = (problem: string, operands: readonly OperandInfo[] = []): GradientError =>
      new GradientError('checkpoint', problem, {
        operands,
        hint: 'the function must depend on nothing but its arguments, and on what does not change; randomness comes by key',
      });
    if (results.length !== this.parts.length)
      throw refuse(`the function gave ${this.parts.length} tensors, and ${results.length} when called again`);
    results.forEach((y, i) => {
      const { shape, dtype } = this.parts[i]!;
      if (!sameShape(shape, y.shape) || dtype !== y.dtype)
        throw refuse(`result ${i} has another shape or dtype when the function is called again`, [
          { shape, dtype },
          y,
        ]);
      if (this.#differentiable[i] && !sourceOf(y))
        throw refuse(`result ${i} needs no gradient when the function is called again`, [y]);
    });
    const known = new Set(this.sources);
    const roots = results.flatMap((y, i) => (this.#differentiable[i] ? sourceOf(y)! : []));
    const found = new Set(reachable(roots, oldest));
    for (const source of found)
      if (source.order < oldest && !known.has(source))
        throw refuse('the function depends on a tensor, when called again, that it did not depend on before');
    if (this.sources.some((source) => !found.has(source)))
      throw refuse('the function depended on a tensor that it does not depend on when called again');
    return results;
  }

  protected override *all(): Iterable<Saved> {
    yield* this.#inputs;
  }

  override release(): void {
    super.release();
    this.#again = null;
    this.#inputs = [];
  }
}

/**
 * `f`, but nothing that it makes is kept for the backward pass, which calls it again instead: the memory of a chain of blocks
 * is then that of what goes between them, and of one block. The gradients are the same to the bit, for the arguments and
 * for whatever else `f` captures (the parameters of a module). Checkpoints may be nested, and differentiated again (these
 * second gradients agree but for the order in which sums are taken). Inside vmap, `f` is called as it is.
 *
 * `f` must do the same whenever it is called: randomness comes by key, and what it reads must not change before the backward
 * pass. It is a scope: what it makes and does not return is given back.
 *
 * @param f takes tensors, alone or in arrays and plain objects, and settings of any kind; returns tensors likewise
 * @throws GradientError where `f` returns anything else, and in the backward pass where calling it again gives other shapes,
 * depends on other tensors, or reads a parameter that has a new value
 */
export function checkpoint<A extends readonly unknown[], Y extends Tree>(
  f: (...args: A) => Y,
): (...args: A) => Y {
  return (...args) => {
    // There every depth has a graph of its own, and each would have to be checkpointed: nothing is gained, but all is right.
    if (currentLevel() !== null) return f(...args);
    const recorded = currentMode() === 'on';
    const scope = openScope({ fuse: !recorded });
    try {
      const inputs = new Inputs(scope);
      for (const x of tensorsIn(args)) inputs.note(x);
      const oldest = nextOrder();
      const output = recorded ? watched(inputs, () => f(...args)) : f(...args);
      const results = checked(output);
      // The way back from a tangent leads through what is inside.
      if (results.some(hasRecordedTangent)) return keep(output);
      // Without history: that is what is not to be kept.
      const plain = replaceTensors(output, (y) => (passed(y, oldest) ? y : withoutGraph(y)));
      for (const y of results) for (const storage of storagesOf(y)) scope.lift(storage);
      const differentiable = results.map((y) => !passed(y, oldest));
      const roots = results.flatMap((y, i) => (differentiable[i] ? sourceOf(y)! : []));
      const sources = reachable(roots, oldest).filter(
        (source) => source.order < oldest || source instanceof Leaf,
      );
      if (sources.length === 0) return plain;
      const node = new CheckpointNode(
        sources,
        inSurroundings(() => recomputed(() => tensorsIn(f(...args)))),
        inputs.list(),
        tensorsIn(plain),
        differentiable,
      );
      watcher?.recorded(node);
      return plain;
    } finally {
      scope.close();
    }
  };
}

/** A result without history, or with one that began outside. */
function passed(y: Tensor, oldest: number): boolean {
  const source = sourceOf(y);
  return !source || source instanceof Leaf || source.order < oldest;
}

/** The tensors that a function has returned. */
function checked(output: unknown): Tensor[] {
  const results = tensorsIn(output);
  if (!onlyTensors(output))
    throw new GradientError('checkpoint', 'the function must return tensors', {
      operands: results,
      hint: 'one, or several in arrays and plain objects',
    });
  return results;
}

/** Runs `body` and notes what it reads. */
function watched<T>(inputs: Inputs, body: () => T): T {
  const stop = intercept((call: OpCall, next: (call: OpCall) => Tensor) => {
    for (const x of call.inputs) inputs.note(x);
    return next(call);
  });
  try {
    return body();
  } finally {
    stop();
  }
}
