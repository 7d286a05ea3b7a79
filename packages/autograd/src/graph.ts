/** The graph that the interceptor records: one node for each op whose result needs a gradient. */
import {
  compose,
  GradientError,
  internalError,
  intercept,
  isFloat,
  recordOf,
  type Attachment,
  type Attrs,
  type DType,
  type OpCall,
  type Plan,
  type Shape,
  type Storage,
  type Tensor,
} from '@infinigrad/tensor';
import { currentMode } from './modes.ts';
import type { DifferentiableRule, RuleContext } from './rules/rule.ts';
import { derivatives } from './rules/table.ts';
import { Result, Source } from './source.ts';
import { currentLevel, deepest, depthOf } from './transforms/levels.ts';
import { watcher } from './watcher.ts';

export { Leaf, Result, Source } from './source.ts';

/** A tensor as it was when a graph came to need it. */
export interface Saved {
  readonly tensor: Tensor;
  readonly version: number;
}

export const save = (tensor: Tensor): Saved => ({ tensor, version: tensor.version });

/** A call as a node sees it: of an op of the table, or of what is recorded like one. */
export interface RecordedCall {
  readonly op: string;
  readonly inputs: readonly Tensor[];
  readonly plan: Plan;
}

/** One call: what its derivative rule will need. */
export class Node extends Result implements RuleContext {
  readonly op: string;
  readonly rule: DifferentiableRule;
  /** Where the gradients of the inputs go; null where none is wanted. */
  readonly sources: readonly (Source | null)[];
  readonly attrs: Attrs;
  readonly shapes: readonly Shape[];
  readonly dtypes: readonly DType[];
  /** The results of a call with several, where their gradients arrive; null for a call with one. */
  readonly parts: readonly Part[] | null = null;
  protected saved: readonly (Saved | null)[] | null;
  private result: Saved | null;
  private shared: { readonly g: unknown; readonly made: unknown } | null = null;

  /** @param output null where the rule does not save it */
  constructor(call: RecordedCall, rule: DifferentiableRule, output: Tensor | null) {
    const { op, inputs, plan } = call;
    const { inputs: which, output: keepsOutput } = rule.saves;
    super(plan.shape, plan.dtype);
    this.op = op;
    this.rule = rule;
    const depth = deepest(inputs);
    this.sources = inputs.map((x, i) => (ruleFor(rule, i) && depthOf(x) === depth ? sourceOf(x) : null));
    for (const source of this.sources) if (source) this.oldest = Math.min(this.oldest, source.oldest);
    this.attrs = plan.attrs;
    this.shapes = inputs.map((x) => x.shape);
    this.dtypes = inputs.map((x) => x.dtype);
    this.saved = inputs.map((x, i) => (which === 'all' || which.includes(i) ? save(x) : null));
    this.result = keepsOutput && output ? save(output) : null;
  }

  input(i: number): Tensor {
    return this.recall(this.released()[i], `input ${i}`);
  }

  output(): Tensor {
    this.released();
    return this.recall(this.result, 'its output');
  }

  /**
   * The gradient of input k, or null where there is none.
   * @param gradients of the results: one, or one for each part
   */
  pull(gradients: readonly Tensor[], k: number): Tensor | null {
    return ruleFor(this.rule, k)!(gradients[0]!, this, k);
  }

  /**
   * Where the gradients do not come from a rule: computes the results anew, recorded, so that the pass can go on through
   * what they are made of.
   */
  expand?(): readonly Tensor[];

  /** What is saved. */
  protected *all(): Iterable<Saved> {
    for (const saved of this.saved ?? []) if (saved) yield saved;
    if (this.result) yield this.result;
  }

  /** What a scope must keep with a tensor that this node has made. */
  *held(): Iterable<Tensor | Attachment> {
    for (const { tensor } of this.all()) yield tensor;
    for (const source of this.sources) if (source instanceof Result) yield source as Node | Part;
    if (this.grad) yield this.grad;
  }

  /** Where that which is saved lies, each place once. */
  storages(): Set<Storage> {
    return new Set([...this.all()].map(({ tensor }) => tensor.storage));
  }

  once<T>(g: unknown, make: () => T): T {
    if (this.shared?.g !== g) this.shared = { g, made: make() };
    return this.shared!.made as T;
  }

  /** Forgets what was made during a visit of the backward pass. */
  leave(): void {
    this.shared = null;
  }

  /** Forgets what was saved; the node cannot be differentiated after this. */
  release(): void {
    this.saved = null;
    this.result = null;
  }

  protected released(): readonly (Saved | null)[] {
    if (this.saved === null)
      throw new GradientError(
        this.op,
        'the graph behind this tensor has been released by an earlier backward pass',
        {
          hint: 'pass retainGraph: true to the first one',
        },
      );
    return this.saved;
  }

  protected recall(saved: Saved | null | undefined, what: string): Tensor {
    if (!saved)
      throw internalError(`the derivative rule of ${this.op} asks for ${what}, which it does not save`);
    if (saved.tensor.version !== saved.version)
      throw new GradientError(this.op, `${what} was given a new value after the forward pass`, {
        operands: [saved.tensor],
        hint: 'update parameters after backward, not between forward and backward',
      });
    return saved.tensor;
  }
}

/** One result of a call with several. Its gradient waits here until the pass comes to the node. */
export class Part extends Result {
  readonly node: Node;
  readonly index: number;

  constructor(node: Node, index: number, { shape, dtype }: { readonly shape: Shape; readonly dtype: DType }) {
    super(shape, dtype);
    this.node = node;
    this.oldest = node.oldest;
    this.index = index;
  }

  *held(): Iterable<Tensor | Attachment> {
    yield this.node;
    if (this.grad) yield this.grad;
  }
}

export function ruleFor(rule: DifferentiableRule, i: number): DifferentiableRule['inputs'][number] {
  return rule.inputs[Math.min(i, rule.inputs.length - 1)] ?? null;
}

/** Where the gradient of a tensor goes, or null where it has none. */
export function sourceOf(x: Tensor): Source | null {
  return x.attachment instanceof Source ? x.attachment : null;
}

/** What a result of `inferenceMode` carries. */
export const sealed: Attachment = Object.freeze({});

/** @throws GradientError where a result of `inferenceMode` would have to be part of a graph */
export function refuseSealed(op: string, inputs: readonly Tensor[]): void {
  const i = inputs.findIndex((x) => x.attachment === sealed && isFloat(x.dtype));
  if (i >= 0)
    throw new GradientError(op, `input ${i} was made in inferenceMode and cannot be part of a graph`, {
      operands: inputs,
      hint: 'clone() it, or make it under noGrad',
    });
}

/** Records calls on tensors as deep as it stands itself: it is put on once at the bottom, and anew above each vmap. */
export function record(call: OpCall, next: (call: OpCall) => Tensor): Tensor {
  const mode = currentMode();
  if (mode !== 'on') return mode === 'off' ? next(call) : unrecorded[mode](call, next);
  const { op, inputs, plan } = call;
  if (!isFloat(plan.dtype) || inputs.every((x) => x.attachment === undefined)) return next(call);
  if (inputs.every((x) => sourceOf(x) === null)) return next(call);
  const level = currentLevel();
  if (level && deepest(inputs) !== level.depth) return next(call);
  refuseSealed(op, inputs);
  const rule = derivatives[op];
  if (rule.kind === 'none')
    throw new GradientError(op, `has no derivative (${rule.reason})`, {
      operands: inputs,
      hint: 'detach() the inputs',
    });
  if (rule.kind === 'composed') return composeOp(call);
  const output = next(call);
  // Its rule, or those of what is made of it, will want the elements: waiting would only compute them twice.
  output.storage.settle();
  const node = new Node(call, rule, output);
  if (node.sources.some((source) => source !== null)) output.attachment = node;
  // Who looks on at the bottom sees whole batches and their graph, not this one.
  if (level) watcher?.recorded(node);
  return output;
}

const unrecorded = {
  inference(call: OpCall, next: (call: OpCall) => Tensor): Tensor {
    const output = next(call);
    if (!call.inputs.includes(output)) output.attachment = sealed;
    return output;
  },
  closed(call: OpCall, next: (call: OpCall) => Tensor): Tensor {
    const i = isFloat(call.plan.dtype) ? call.inputs.findIndex((x) => sourceOf(x) !== null) : -1;
    if (i >= 0)
      throw new GradientError(
        call.op,
        `input ${i} needs a gradient, but is no argument of the customGradient function that it is used in`,
        { operands: call.inputs, hint: 'pass it as an argument, stopGradient() it, or use noGrad' },
      );
    return next(call);
  },
};

function composeOp({ op, inputs, plan }: OpCall): Tensor {
  const made = recordOf(op);
  if (made.kind !== 'fused') throw internalError(`${op} is not made of other ops`);
  return compose(made, inputs, plan.attrs);
}

intercept(record);
