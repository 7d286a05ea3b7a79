/** The graph that the interceptor records: one node for each op whose result needs a gradient. */
import {
  compose,
  GradientError,
  bytesPerElement,
  inScope,
  internalError,
  intercept,
  isContiguous,
  isFloat,
  recordOf,
  retire,
  type Attachment,
  type Attrs,
  type DType,
  type OpCall,
  type OpName,
  type Shape,
  type Storage,
  type Tensor,
} from '@infinigrad/tensor';
import { recording } from './modes.ts';
import type { DifferentiableRule, RuleContext } from './rules/rule.ts';
import { derivatives } from './rules/table.ts';

let created = 0;

/** Where a gradient arrives: a leaf (a tensor the user wants one for) or a node (an op's result). */
export type Source = Leaf | Node;

/** A tensor for which a gradient is collected. */
export class Leaf {
  readonly order = created++;
  #grad: Tensor | null = null;

  /** What `backward` has added up here: it outlives the scope it was made in, until another takes its place. */
  get grad(): Tensor | null {
    // Whoever asks outside every scope may hold on to it.
    if (this.#grad && !inScope()) this.#grad.storage.exported = true;
    return this.#grad;
  }

  set grad(value: Tensor | null) {
    const before = this.#grad;
    this.#grad = value && alone(value);
    this.#grad?.storage.pin();
    if (before && before.storage !== this.#grad?.storage) retire(before.storage);
  }

  /** Adds to the gradient. */
  accumulate(g: Tensor): void {
    this.grad = this.#grad ? this.#grad.add(g) : g;
  }
}

/** The tensor where its storage holds nothing else and nobody else's gradient, else a copy. */
function alone(x: Tensor): Tensor {
  const { storage } = x;
  const whole = storage.bytes === x.size * bytesPerElement(x.dtype) && isContiguous(x.layout);
  return whole && !storage.pinned ? x : x.clone();
}

interface Saved {
  readonly tensor: Tensor;
  readonly version: number;
}

/** One op's call: what its derivative rule will need. */
export class Node implements RuleContext {
  /** Grows with every node; inputs are always older than what is made of them. */
  readonly order = created++;
  readonly op: OpName;
  readonly rule: DifferentiableRule;
  /** Where the gradients of the inputs go; null where none is wanted. */
  readonly sources: readonly (Source | null)[];
  readonly attrs: Attrs;
  readonly shapes: readonly Shape[];
  readonly dtypes: readonly DType[];
  readonly shape: Shape;
  private saved: readonly (Saved | null)[] | null;
  private result: Saved | null;
  private shared: { readonly g: Tensor; readonly made: Tensor } | null = null;

  constructor(call: OpCall, rule: DifferentiableRule, output: Tensor) {
    const { op, inputs, plan } = call;
    const { inputs: which, output: keepsOutput } = rule.saves;
    this.op = op;
    this.rule = rule;
    this.sources = inputs.map((x, i) => (ruleFor(rule, i) ? sourceOf(x) : null));
    this.attrs = plan.attrs;
    this.shapes = inputs.map((x) => x.shape);
    this.dtypes = inputs.map((x) => x.dtype);
    this.shape = plan.shape;
    this.saved = inputs.map((x, i) =>
      which === 'all' || which.includes(i) ? { tensor: x, version: x.version } : null,
    );
    this.result = keepsOutput ? { tensor: output, version: output.version } : null;
  }

  input(i: number): Tensor {
    return this.recall(this.released().saved[i], `input ${i}`);
  }

  output(): Tensor {
    return this.recall(this.released().result, 'its output');
  }

  /** What a scope must keep with a tensor that this node has made. */
  *held(): Iterable<Tensor | Attachment> {
    for (const saved of this.saved ?? []) if (saved) yield saved.tensor;
    if (this.result) yield this.result.tensor;
    for (const source of this.sources) if (source instanceof Node) yield source;
  }

  /** Where that which is saved lies, each place once. */
  storages(): Set<Storage> {
    const saved = [...(this.saved ?? []), this.result];
    return new Set(saved.flatMap((s) => (s ? [s.tensor.storage] : [])));
  }

  once(g: Tensor, make: () => Tensor): Tensor {
    if (this.shared?.g !== g) this.shared = { g, made: make() };
    return this.shared.made;
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

  private released(): { saved: readonly (Saved | null)[]; result: Saved | null } {
    if (this.saved === null)
      throw new GradientError(
        this.op,
        'the graph behind this tensor has been released by an earlier backward pass',
        {
          hint: 'pass retainGraph: true to the first one',
        },
      );
    return { saved: this.saved, result: this.result };
  }

  private recall(saved: Saved | null | undefined, what: string): Tensor {
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

export function ruleFor(rule: DifferentiableRule, i: number): DifferentiableRule['inputs'][number] {
  return rule.inputs[Math.min(i, rule.inputs.length - 1)] ?? null;
}

/** Where the gradient of a tensor goes, or null where it has none. */
export function sourceOf(x: Tensor): Source | null {
  return (x.attachment as Source | undefined) ?? null;
}

function record(call: OpCall, next: (call: OpCall) => Tensor): Tensor {
  if (!recording() || !isFloat(call.plan.dtype) || call.inputs.every((x) => x.attachment === undefined))
    return next(call);
  const rule = derivatives[call.op];
  if (rule.kind === 'none')
    throw new GradientError(call.op, `has no derivative (${rule.reason})`, {
      operands: call.inputs,
      hint: 'detach() the inputs',
    });
  if (rule.kind === 'composed') return composeOp(call);
  const output = next(call);
  // Its rule, or those of what is made of it, will want the elements: waiting would only compute them twice.
  output.storage.settle();
  const node = new Node(call, rule, output);
  if (node.sources.some((source) => source !== null)) output.attachment = node;
  return output;
}

function composeOp({ op, inputs, plan }: OpCall): Tensor {
  const made = recordOf(op);
  if (made.kind !== 'fused') throw internalError(`${op} is not made of other ops`);
  return compose(made, inputs, plan.attrs);
}

intercept(record);
