/**
 * The tangent of one op's result, from its derivative rule alone. A rule is linear in the gradient it is given; what is
 * wanted here is its transpose.
 */
import {
  isFloat,
  recordOf,
  zerosLike,
  type DType,
  type OpCall,
  type Shape,
  type Tensor,
} from '@infinigrad/tensor';
import { propagate } from '../backward.ts';
import { ruleFor, sourceOf } from '../graph.ts';
import { enableGrad } from '../modes.ts';
import type { DifferentiableRule, InputRule, RuleContext } from '../rules/rule.ts';
import { variableOf } from '../variables.ts';

/** A tangent for each input; null where there is none. */
type Tangents = readonly (Tensor | null)[];

/** A call as its rule sees it. */
class Context implements RuleContext {
  readonly attrs: RuleContext['attrs'];
  readonly shapes: readonly Shape[];
  readonly dtypes: readonly DType[];
  readonly shape: Shape;
  readonly #inputs: readonly Tensor[];
  readonly #output: Tensor;
  #shared: { readonly g: unknown; readonly made: unknown } | null = null;

  constructor({ plan }: OpCall, inputs: readonly Tensor[], output: Tensor) {
    this.attrs = plan.attrs;
    this.shapes = inputs.map(({ shape }) => shape);
    this.dtypes = inputs.map(({ dtype }) => dtype);
    this.shape = plan.shape;
    this.#inputs = inputs;
    this.#output = output;
  }

  input(i: number): Tensor {
    return this.#inputs[i]!;
  }

  output(): Tensor {
    return this.#output;
  }

  once<T>(g: unknown, make: () => T): T {
    if (this.#shared?.g !== g) this.#shared = { g, made: make() };
    return this.#shared!.made as T;
  }
}

const sum = (terms: readonly Tensor[]): Tensor | null =>
  terms.length === 0 ? null : terms.reduce((total, term) => total.add(term));

/**
 * The tangent of `output` along those of the inputs; null where it is zero.
 * @param run runs a call of an op
 * @param recorded whether the tangent is to be differentiated in turn
 */
export function pushforward(
  call: OpCall,
  rule: DifferentiableRule,
  given: Tangents,
  output: Tensor,
  run: (call: OpCall) => Tensor,
  recorded: boolean,
): Tensor | null {
  const tangents = given.map((t, i) => (ruleFor(rule, i) ? t : null));
  if (tangents.every((t) => t === null)) return null;
  const { kind } = recordOf(call.op);
  if (kind === 'elementwise') return diagonal(call, rule, tangents, output);
  if (kind === 'view' || rule.linear === 'jointly')
    return run({ ...call, inputs: inPlace(call, rule, tangents) });
  if (rule.linear === 'separately')
    return sum(tangents.flatMap((t, i) => (t ? [run({ ...call, inputs: call.inputs.with(i, t) })] : [])));
  return transposed(call, rule, tangents, output, recorded);
}

/** The inputs with their tangents in their place, zeros where there is none. */
function inPlace({ inputs }: OpCall, rule: DifferentiableRule, tangents: Tangents): Tensor[] {
  return inputs.map((x, i) => tangents[i] ?? (ruleFor(rule, i) && isFloat(x.dtype) ? zerosLike(x) : x));
}

/**
 * Elementwise: with all inputs stretched to the shape of the result the Jacobian is diagonal, and so its own transpose: the
 * rule itself takes tangents to tangents.
 */
function diagonal(call: OpCall, rule: DifferentiableRule, tangents: Tangents, output: Tensor): Tensor | null {
  const { shape, dtype } = call.plan;
  const stretched = (x: Tensor): Tensor =>
    x.rank === shape.length && x.shape.every((n, i) => n === shape[i]) ? x : x.expand(shape);
  const held = (x: Tensor): Tensor => (x.dtype === dtype ? x : x.cast(dtype));
  const context = new Context(call, call.inputs.map(stretched), output);
  return sum(
    tangents.flatMap((t, i) => (t ? [held(ruleFor(rule, i)!(held(stretched(t)), context, i))] : [])),
  );
}

/**
 * The gradient with respect to u of ⟨rule(u), tangent⟩: nothing but the rule is recorded, and nothing of it is retained
 * unless the tangent is to be differentiated.
 */
function transposed(
  call: OpCall,
  rule: DifferentiableRule,
  tangents: Tangents,
  output: Tensor,
  recorded: boolean,
): Tensor | null {
  const context = new Context(call, call.inputs, output);
  const u = variableOf(zerosLike(output));
  const target = sourceOf(u)!;
  const along = tangents.filter((t) => t !== null);
  const pulled = enableGrad(() =>
    tangents.flatMap((t, i) => (t ? [(ruleFor(rule, i) as InputRule)(u, context, i)] : [])),
  );
  return propagate(pulled, along, [target], { createGraph: recorded }).get(target) ?? null;
}
