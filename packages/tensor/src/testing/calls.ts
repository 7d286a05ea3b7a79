/** Calls of an op, drawn from its record: plain data that fast-check prints and shrinks, and the tensors behind it. */
import fc from 'fast-check';
import { apply } from '../apply.ts';
import type { Backend } from '../backends/backend.ts';
import type { DType } from '../dtype.ts';
import type { Attrs, Sample } from '../ops/record.ts';
import { recordOf, type OpName } from '../ops/table.ts';
import { sizeOf, type Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { drawFrom, type Generator } from './draw.ts';
import { drawDistinct, drawValues } from './fill.ts';
import { drawMatrices } from './matrices.ts';
import { contiguousPlan, drawLayout, ownShape, realise, spreadValues, type LayoutPlan } from './layouts.ts';

/** One input: its values (row-major) and how they lie in memory. */
export interface DrawnInput {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly values: readonly number[];
  readonly plan: LayoutPlan;
}

/** One call of an op. */
export interface DrawnCall {
  readonly op: OpName;
  readonly inputs: readonly DrawnInput[];
  readonly attrs: Attrs;
}

export interface CallOptions {
  /** The dtype of the inputs that the record leaves open. Default f32. */
  readonly dtype?: DType;
  /** Whether inputs come in all layouts or contiguous. Default true. */
  readonly layouts?: boolean;
}

/** Row-major values, each line along the last axis in ascending order. */
function sortedLines(values: readonly number[], shape: Shape): number[] {
  const n = shape.at(-1)!;
  return values.flatMap((_, i) => (i % n === 0 ? values.slice(i, i + n).toSorted((a, b) => a - b) : []));
}

/** Fills the inputs of a sample with values, and chooses their layouts. */
export function fillSample(
  g: Generator,
  op: OpName,
  sample: Sample,
  { dtype = 'f32', layouts = true }: CallOptions = {},
): DrawnCall {
  const plans = sample.inputs.map(({ shape, domain }) =>
    layouts
      ? drawLayout(g, shape, { repeats: !domain.distinct && !domain.matrix })
      : contiguousPlan(shape.length),
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
  return { op, inputs, attrs: sample.attrs ?? {} };
}

/** Calls of an op as its record samples them. */
export function callsOf(op: OpName, options: CallOptions = {}): fc.Arbitrary<DrawnCall> {
  return fc.gen().map((g) => fillSample(g, op, recordOf(op).sample(drawFrom(g)), options));
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

/** Runs a call. */
export function runCall(call: DrawnCall, options: RealiseOptions = {}): Tensor {
  return apply(call.op, inputsOf(call, options), call.attrs);
}
