/** Calls of an op or a function, drawn as its sample says: plain data that fast-check prints and shrinks, and the tensors behind it. */
import fc from 'fast-check';
import type { Backend } from '../backends/backend.ts';
import type { DType } from '../dtype.ts';
import type { Attrs, Sample } from '../ops/record.ts';
import { sizeOf, type Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { drawFrom, type Generator } from './draw.ts';
import { drawDistinct, drawValues } from './fill.ts';
import {
  contiguousPlan,
  drawLayout,
  layoutText,
  ownShape,
  realise,
  spreadValues,
  type LayoutKind,
  type LayoutPlan,
} from './layouts.ts';
import { drawMatrices } from './matrices.ts';
import { subjectOf, type Lawful } from './subject.ts';

/** One input: its values (row-major) and how they lie in memory. */
export interface DrawnInput {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly values: readonly number[];
  readonly plan: LayoutPlan;
}

/** An input in one line: `f32 [2, 3] = [0, 1, 2, 0, 0, 0] (stride 0 along 1)`. */
export function inputText({ shape, dtype, values, plan }: DrawnInput): string {
  const layout = layoutText(plan);
  return `${dtype} [${shape.join(', ')}] = [${values.join(', ')}]${layout && ` (${layout})`}`;
}

/** One call. */
export interface DrawnCall {
  readonly op: string;
  readonly inputs: readonly DrawnInput[];
  readonly attrs: Attrs;
}

export interface CallOptions {
  /** The dtype of the inputs that the sample leaves open. Default f32. */
  readonly dtype?: DType;
  /** The layouts that inputs come in: a kind, or false for contiguous alone. Default any. */
  readonly layouts?: LayoutKind | boolean;
}

/** How fast-check prints a call: a line for each input. */
function callText({ op, inputs, attrs }: DrawnCall): string {
  const lines = inputs.map((x, i) => `\n  input ${i}: ${inputText(x)}`);
  const rest = Object.keys(attrs).length > 0 ? `\n  ${JSON.stringify(attrs)}` : '';
  return `${op} of${lines.join('')}${rest}\n`;
}

/** Row-major values, each line along the last axis in ascending order. */
function sortedLines(values: readonly number[], shape: Shape): number[] {
  const n = shape.at(-1)!;
  return values.flatMap((_, i) => (i % n === 0 ? values.slice(i, i + n).toSorted((a, b) => a - b) : []));
}

/** Fills the inputs of a sample with values, and chooses their layouts. */
export function fillSample(
  g: Generator,
  op: string,
  sample: Sample,
  { dtype = 'f32', layouts = 'any' }: CallOptions = {},
): DrawnCall {
  const kind = layouts === true ? 'any' : layouts === false ? 'contiguous' : layouts;
  const plans = sample.inputs.map(({ shape, domain }) =>
    drawLayout(g, shape, { repeats: !domain.distinct && !domain.matrix, kind }),
  );
  const counts = sample.inputs.map(({ shape }, i) => sizeOf(ownShape(shape, plans[i]!)));
  // The distinct values of all inputs come from one draw.
  const first = sample.inputs.find(({ domain }) => domain.distinct);
  const total = sample.inputs.reduce((sum, { domain }, i) => sum + (domain.distinct ? counts[i]! : 0), 0);
  const pool = first ? drawDistinct(g, first.domain, first.dtype ?? dtype, total) : [];
  let taken = 0;
  const inputs = sample.inputs.map((spec, i): DrawnInput => {
    const own = spec.dtype ?? dtype;
    const plan = plans[i]!;
    const count = counts[i]!;
    const values = spec.domain.distinct
      ? pool.slice(taken, (taken += count))
      : spec.domain.matrix
        ? drawMatrices(g, spec.domain.matrix, own, spec.shape)
        : drawValues(g, spec.domain, own, count);
    return {
      shape: spec.shape,
      dtype: own,
      values: spreadValues(
        spec.domain.sorted ? sortedLines(values, ownShape(spec.shape, plan)) : values,
        ownShape(spec.shape, plan),
        spec.shape,
      ),
      plan,
    };
  });
  const call: DrawnCall = { op, inputs, attrs: sample.attrs ?? {} };
  Object.defineProperty(call, fc.toStringMethod, { value: () => callText(call) });
  // Frozen: fast-check then leaves it as it is, and does not put a getter on each that would live for long.
  return Object.freeze(call);
}

/** Calls of an op (as its record samples them) or of a subject. */
export function callsOf(what: Lawful, options: CallOptions = {}): fc.Arbitrary<DrawnCall> {
  const { name, sample } = subjectOf(what);
  return fc.gen().map((g) => fillSample(g, name, sample(drawFrom(g)), options));
}

export interface RealiseOptions {
  /** In place of the dtype that was drawn, for inputs of that dtype. */
  readonly dtype?: { readonly from: DType; readonly to: DType };
  readonly contiguous?: boolean;
  readonly backend?: Backend;
}

/** The tensors of a call. */
export function inputsOf(
  call: DrawnCall,
  { dtype, contiguous = false, backend }: RealiseOptions = {},
): Tensor[] {
  return call.inputs.map(({ values, shape, dtype: own, plan }) =>
    realise(
      values,
      shape,
      own === dtype?.from ? dtype.to : own,
      contiguous ? contiguousPlan(shape.length) : plan,
      backend,
    ),
  );
}

/** Runs a call of an op or a subject. */
export function runCall(what: Lawful, call: DrawnCall, options: RealiseOptions = {}): Tensor {
  return subjectOf(what).run(inputsOf(call, options), call.attrs);
}
