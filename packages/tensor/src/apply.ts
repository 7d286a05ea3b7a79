/**
 * The one place where ops happen: check, promote, plan, let interceptors see the call, run. Everything that computes
 * on tensors goes through `apply`; nothing else reaches a kernel.
 */
import { dtypes, isFloat, isHalf, promote, type DType } from './dtype.ts';
import { BackendError, DTypeError, InfinigradError } from './errors.ts';
import { execute, type OpCall } from './execute.ts';
import { defer } from './fusion.ts';
import { fusingScope, scope } from './memory/scope.ts';
import type { Attrs, FreeFunctions, FusedRecord, OpRecord, Plan, Promotion } from './ops/record.ts';
import { recordOf, type OpName } from './ops/table.ts';
import type { Tensor } from './tensor.ts';

/** Sees every call on its way; `next` runs it (or hands it to the interceptor below). */
export type Interceptor = (call: OpCall, next: (call: OpCall) => Tensor) => Tensor;

type Run = (call: OpCall) => Tensor;

interface Entry {
  readonly see: Interceptor;
  /** What it stands on. */
  next: Run;
}

let interceptors: Entry[] = [];
/** What they stand on. */
let bottom: Run = run;
let chain: Run = run;
/** How often interceptors have come or gone. */
let changes = 0;

const free: FreeFunctions = { concat: (tensors, axis) => apply('concat', tensors, { axis }) };

/** A fused op by the ops that it is made of, in the sight of the interceptor that asks and of those below it. */
export function compose(record: FusedRecord, inputs: readonly Tensor[], attrs: Attrs): Tensor {
  return record.compose(inputs, attrs, free);
}

/** The end of the line: the backend's kernel, or where it has none for a fused op, the ops that it is made of. */
function run(call: OpCall): Tensor {
  const { op, inputs, plan } = call;
  const record = recordOf(op);
  const first = inputs[0];
  if (record.kind === 'elementwise') return defer(call, record) ?? execute(call);
  if (record.kind !== 'fused' || !first || first.backend.lacks(op, first.dtype) === null)
    return execute(call);
  const before = chain;
  chain = run;
  try {
    return compose(record, inputs, plan.attrs);
  } catch (error) {
    throw error instanceof InfinigradError ? renamed(error, op, inputs) : error;
  } finally {
    chain = before;
  }
}

/**
 * Runs `body` with the ops in it handed to `next`: what an interceptor does itself, out of its own sight and of those above
 * it. Interceptors that are put on inside stand on `next`.
 */
export function below<T>(next: Run, body: () => T): T {
  const before = { interceptors, bottom, chain };
  const seen = changes;
  interceptors = [];
  bottom = chain = next;
  try {
    return body();
  } finally {
    ({ interceptors, bottom, chain } = before);
    if (changes !== seen) rebuild();
  }
}

/** Those below see their own ops and those of each other, never those of one above run anew. */
function rebuild(): void {
  chain = interceptors.reduce<Run>((next, entry, i) => {
    const lowered: Run = i === 0 && next === run ? run : (call) => below(next, () => next(call));
    entry.next = lowered;
    return (call) => entry.see(call, lowered);
  }, bottom);
}

/** Takes an interceptor away. */
export interface Interception {
  (): void;
  /** Runs `body` as if this interceptor, and those above it, were not there. */
  below<T>(body: () => T): T;
}

/** Puts an interceptor on top of those there are; the function returned takes it away again. */
export function intercept(interceptor: Interceptor): Interception {
  const own: Entry = { see: interceptor, next: run };
  const among = interceptors;
  among.push(own);
  changes++;
  rebuild();
  const stop = (): void => {
    const at = among.indexOf(own);
    if (at >= 0) among.splice(at, 1);
    changes++;
    if (among === interceptors) rebuild();
  };
  return Object.assign(stop, { below: <T>(body: () => T): T => below(own.next, body) });
}

/** The error of an op inside a fused one, as an error of the fused one. */
function renamed(
  { constructor, problem, hint }: InfinigradError,
  op: OpName,
  operands: readonly Tensor[],
): Error {
  const Same = constructor as typeof InfinigradError;
  return new Same(op, problem, { operands, ...(hint !== undefined && { hint }) });
}

const noAttrs: Attrs = {};

/** Runs an op of the table on tensors. Most callers want the methods of Tensor, which end up here. */
export function apply(op: OpName, inputs: readonly Tensor[], attrs: Attrs = noAttrs): Tensor {
  const record = recordOf(op);
  const halves = checkInputs(op, record, inputs);
  const ready = record.promote === 'none' ? inputs : promoteInputs(record, inputs);
  const plan = record.infer(ready, attrs, op);
  if (halves && !record.moves && record.kind !== 'view') return applyWide(op, record, ready, attrs, plan);
  return chain({ op, inputs: ready, plan });
}

/**
 * f16 and bf16 are storage: what is computed with them is computed in f32, and rounded once. The casts are ops like any
 * other, so that a gradient comes back in the dtype of its input. In a scope that fuses, elementwise ops and their casts
 * are one pass over memory, and what was widened is given back at once.
 */
function applyWide(
  op: OpName,
  record: OpRecord,
  inputs: readonly Tensor[],
  attrs: Attrs,
  { dtype }: Plan,
): Tensor {
  const compute = (): Tensor => {
    const known = new Map<Tensor, Tensor>();
    const widen = (x: Tensor): Tensor => {
      if (!isHalf(x.dtype)) return x;
      const wide = known.get(x) ?? apply('cast', [x], { dtype: 'f32' });
      known.set(x, wide);
      return wide;
    };
    const wide = inputs.map(widen);
    const output = chain({ op, inputs: wide, plan: record.infer(wide, attrs, op) });
    return isHalf(dtype) ? apply('cast', [output], { dtype }) : output;
  };
  return fusingScope() ? compute() : scope(compute, { fuse: true });
}

/** @returns whether any of them is of 16 bits */
function checkInputs(op: OpName, record: OpRecord, inputs: readonly Tensor[]): boolean {
  const { accepts } = record;
  let halves = false;
  for (let i = 0; i < inputs.length; i++) {
    const x = inputs[i]!;
    x.storage.check(op, inputs);
    const accepted = accepts[Math.min(i, accepts.length - 1)]!;
    // Most tensors are f32 and most lists complete: this runs on every call.
    if (x.dtype !== 'f32' && isHalf(x.dtype)) halves = true;
    if (accepted.length < dtypes.length && !accepted.includes(x.dtype))
      throw new DTypeError(op, `input ${i} does not accept ${x.dtype}`, {
        operands: inputs,
        hint: `accepted: ${accepted.join(', ')}; cast() converts`,
      });
    if (x.backend !== inputs[0]!.backend)
      throw new BackendError(
        op,
        `inputs live on different backends (${inputs[0]!.backend.name} and ${x.backend.name})`,
        {
          operands: inputs,
        },
      );
  }
  return halves;
}

const floor: Readonly<Record<Promotion, DType>> = {
  none: 'bool',
  common: 'bool',
  number: 'i32',
  total: 'i32',
  float: 'f32',
};

function promoteInputs(record: OpRecord, inputs: readonly Tensor[]): readonly Tensor[] {
  const takesPart = (i: number): boolean => record.promoted?.includes(i) ?? true;
  let dtype: DType | undefined;
  inputs.forEach((x, i) => {
    if (takesPart(i)) dtype = dtype === undefined ? x.dtype : promote(dtype, x.dtype);
  });
  if (dtype === undefined) return inputs;
  // `number` lifts bool alone: u8 stays u8. No op lifts a float.
  if (!isFloat(dtype) && (record.promote !== 'number' || dtype === 'bool'))
    dtype = promote(dtype, floor[record.promote]);
  const target = dtype;
  if (inputs.every((x, i) => x.dtype === target || !takesPart(i))) return inputs;
  return inputs.map((x, i) =>
    x.dtype === target || !takesPart(i) ? x : apply('cast', [x], { dtype: target }),
  );
}
