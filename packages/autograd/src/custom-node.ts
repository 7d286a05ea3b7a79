/** How a call of a function with a gradient of the user's own is recorded. */
import {
  full,
  GradientError,
  isFloat,
  sameShape,
  Tensor,
  type Backend,
  type DType,
  type OperandInfo,
  type Shape,
} from '@infinigrad/tensor';
import { Node, Part, save, type Saved } from './graph.ts';
import { recording } from './modes.ts';
import { hasTangent } from './transforms/differentiated.ts';
import { isHolder, mapParts, partsOf, replaceTensors, tensorsIn } from './trees.ts';

/** A tensor in a tree, but for its elements. */
export class Slot {
  /** Its place among the tensors of the tree. */
  readonly index: number;
  readonly shape: Shape;
  readonly dtype: DType;

  constructor(index: number, { shape, dtype }: { readonly shape: Shape; readonly dtype: DType }) {
    this.index = index;
    this.shape = shape;
    this.dtype = dtype;
  }
}

/** A tree with slots for tensors. */
export function slotsOf(tree: unknown): unknown {
  let count = 0;
  return replaceTensors(tree, (x) => new Slot(count++, x));
}

/** The slots of a tree, in order. */
function slotsIn(tree: unknown): Slot[] {
  if (tree instanceof Slot) return [tree];
  return isHolder(tree) ? partsOf(tree, '').flatMap(([, part]) => slotsIn(part)) : [];
}

/** A tree of slots with something in the place of each. */
function fillIn(tree: unknown, fill: (slot: Slot) => unknown): unknown {
  if (tree instanceof Slot) return fill(tree);
  if (!isHolder(tree)) return tree;
  return mapParts(tree, '', (part) => fillIn(part, fill));
}

/** A call, once `forward` has run. */
export interface CustomCall {
  readonly name: string;
  readonly backward: (gradients: unknown, saved: unknown, needs: readonly boolean[]) => unknown;
  readonly args: readonly unknown[];
  /** As the caller gets it. */
  readonly output: unknown;
  /** With arguments and results as the caller has them. */
  readonly saved: unknown;
  /** Of the tensors in `saved`, in order, which are neither arguments nor results. */
  readonly foreign: readonly boolean[];
  /** Computes what is saved from the arguments, recorded by the rules of the ops. */
  readonly saveAnew: (args: readonly unknown[]) => unknown;
}

/** The rules of all inputs are one: `gradients`, linear in the gradients that arrive. */
export class CustomNode extends Node {
  override readonly parts: readonly Part[] | null = null;
  readonly #backward: CustomCall['backward'];
  readonly #saveAnew: CustomCall['saveAnew'];
  readonly #foreign: readonly boolean[];
  /** The arguments and the result, with slots for tensors. */
  readonly #arguments: readonly unknown[];
  readonly #output: unknown;
  readonly #backend: Backend;
  #saved: unknown;
  /** The arguments, where what is foreign may have to be computed anew. */
  #args: readonly unknown[] | null;
  #all: readonly Saved[];

  /** Attaches itself to the output. */
  constructor(call: CustomCall) {
    const inputs = tensorsIn(call.args);
    const results = tensorsIn(call.output);
    const [{ shape, dtype }] = results as [Tensor];
    const self: { node?: CustomNode } = {};
    super(
      { op: call.name, inputs, plan: { shape, dtype, attrs: {} } },
      {
        kind: 'differentiable',
        saves: { inputs: [], output: false },
        inputs: inputs.map((x) => (isFloat(x.dtype) ? (g, _, k) => self.node!.ofOne(g, k) : null)),
      },
      null,
    );
    self.node = this;
    const { saved, foreign, args } = call;
    this.#backward = call.backward;
    this.#saveAnew = call.saveAnew;
    this.#foreign = foreign;
    this.#arguments = slotsOf(args) as readonly unknown[];
    this.#output = slotsOf(call.output);
    this.#backend = inputs[0]!.backend;
    this.#saved = saved;
    this.#args = tensorsIn(saved).some((x, i) => foreign[i] && isFloat(x.dtype)) ? args : null;
    this.#all = [...new Set([...tensorsIn(saved), ...tensorsIn(this.#args)])].map(save);
    if (call.output instanceof Tensor) call.output.attachment = this;
    else
      this.parts = results
        .filter((y) => isFloat(y.dtype))
        .map((y, i) => {
          const part = new Part(this, i, y);
          y.attachment = part;
          return part;
        });
  }

  override pull(arrived: readonly Tensor[], k: number): Tensor | null {
    return this.once(arrived, () => this.#gradients(arrived))[k]!;
  }

  /** As the rule of an op of the table. */
  ofOne(g: Tensor, k: number): Tensor {
    const made = this.once(g, () => this.#gradients([g]))[k];
    return made ?? full(this.shapes[k]!, 0, { dtype: this.dtypes[k]!, backend: this.#backend });
  }

  #gradients(arrived: readonly Tensor[]): readonly (Tensor | null)[] {
    const saved = this.#recall();
    let float = 0;
    const gradients = fillIn(this.#output, ({ shape, dtype }) =>
      isFloat(dtype) ? arrived[float++]! : full(shape, 0, { dtype, backend: this.#backend }),
    );
    const needs = this.#arguments.map((argument) =>
      slotsIn(argument).some(({ index }) => this.sources[index] !== null),
    );
    const given = this.#backward(gradients, saved, needs);
    return gradientsOf(this.op, this.#arguments, given, this.shapes.length);
  }

  /** What `forward` has saved, linked to the graph and with its tangents. */
  #recall(): unknown {
    this.released();
    for (const saved of this.#all) this.recall(saved, 'what it has saved');
    if (this.#args === null || !(recording() || tensorsIn(this.#args).some(hasTangent))) return this.#saved;
    const again = tensorsIn(this.#saveAnew(this.#args));
    if (again.length !== this.#foreign.length)
      throw new GradientError(
        this.op,
        `forward has saved ${this.#foreign.length} tensors, and ${again.length} when called again`,
        { hint: 'it must depend on nothing but its arguments' },
      );
    let i = 0;
    return replaceTensors(this.#saved, (x) => {
      const at = i++;
      return this.#foreign[at] ? again[at]! : x;
    });
  }

  protected override *all(): Iterable<Saved> {
    yield* this.#all;
  }

  override release(): void {
    super.release();
    this.#saved = null;
    this.#args = null;
    this.#all = [];
  }
}

/** What `backward` has returned, by input. */
export function gradientsOf(
  name: string,
  slots: readonly unknown[],
  given: unknown,
  inputs: number,
): readonly (Tensor | null)[] {
  const gradients = new Array<Tensor | null>(inputs).fill(null);
  const refuse = (problem: string, operands: readonly OperandInfo[] = []): GradientError =>
    new GradientError(name, problem, {
      operands,
      hint: 'backward returns a gradient for each argument, in order, or null for none',
    });
  const walk = (slot: unknown, g: unknown, path: string): void => {
    if (g === null || g === undefined) return;
    if (slot instanceof Slot) {
      if (!(g instanceof Tensor)) throw refuse(`backward gave ${kindOf(g)} for ${path}, which is a tensor`);
      if (!isFloat(slot.dtype))
        throw refuse(`backward gave a gradient for ${path}, which can have none`, [slot, g]);
      if (!sameShape(slot.shape, g.shape) || slot.dtype !== g.dtype)
        throw refuse(`${path} and the gradient that backward gave for it differ in shape or dtype`, [
          slot,
          g,
        ]);
      gradients[slot.index] = g;
    } else if (slotsIn(slot).length > 0) {
      if (!isHolder(g)) throw refuse(`backward gave ${kindOf(g)} for ${path}, which is ${kindOf(slot)}`);
      const known = partsOf(slot as readonly unknown[], path);
      const stray = Object.keys(g).find((key) => known.every(([own]) => own !== key));
      if (stray !== undefined)
        throw refuse(`backward gave a gradient for '${stray}', which ${path} does not have`);
      for (const [key, part, at] of known) walk(part, (g as Readonly<Record<string, unknown>>)[key], at);
    } else throw refuse(`backward gave a gradient for ${path}, which holds no tensor`);
  };
  const list: unknown = given instanceof Tensor ? [given] : given;
  if (!Array.isArray(list)) throw refuse(`backward gave ${kindOf(given)}`);
  const needed = slots.findLastIndex((slot) => slotsIn(slot).length > 0) + 1;
  if (list.length < needed || list.length > slots.length)
    throw refuse(`backward gave ${list.length} gradients for ${slots.length} arguments`);
  list.forEach((g, i) => walk(slots[i], g, `argument ${i}`));
  return gradients;
}

export function kindOf(value: unknown): string {
  if (value instanceof Promise) return 'a promise';
  if (value instanceof Tensor) return 'a tensor';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
