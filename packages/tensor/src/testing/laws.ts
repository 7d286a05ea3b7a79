/** Laws that every op of the table must keep, on every backend. Each throws, with seed, path and the smallest case found. */
import fc from 'fast-check';
import { apply } from '../apply.ts';
import { currentBackend, getBackend } from '../backends/registry.ts';
import { full } from '../creation.ts';
import { isFloat, type DType } from '../dtype.ts';
import { InfinigradError } from '../errors.ts';
import { recordOf, type OpName } from '../ops/table.ts';
import type { Tensor } from '../tensor.ts';
import { callsOf, inputsOf, runCall, type CallOptions, type DrawnCall } from './calls.ts';
import { allClose, type Tolerance } from './close.ts';

export interface LawOptions extends CallOptions, Tolerance {
  /** Generated cases. Default 100. */
  readonly runs?: number;
  /** The seed that a failure printed, to see it again. */
  readonly seed?: number;
  /** The path that a failure printed, to go straight to its smallest case. */
  readonly path?: string;
}

/** Checks a property of an op's calls on generated ones. */
export function holdsForCalls(op: OpName, options: LawOptions, check: (call: DrawnCall) => void): void {
  const { runs = 100, seed, path } = options;
  fc.assert(fc.property(callsOf(op, options), check), {
    numRuns: runs,
    ...(seed !== undefined && { seed }),
    ...(path !== undefined && { path }),
  });
}

/** What results of one op in one dtype may differ by, where order and instructions are the backend's affair. */
function roundingOf(dtype: DType): Required<Tolerance> {
  if (!isFloat(dtype)) return { rtol: 0, atol: 0 };
  return dtype === 'f64' ? { rtol: 1e-13, atol: 1e-13 } : { rtol: 1e-6, atol: 1e-6 };
}

function mustAgree(what: string, op: OpName, actual: Tensor, expected: Tensor, tolerance: Tolerance): void {
  const message = allClose(actual, expected, tolerance);
  if (message !== null) throw new Error(`${op}: ${what}: ${message}`);
}

/** The result does not depend on how the inputs lie in memory, and the inputs stay as they were. */
export function viewsAgree(op: OpName, options: LawOptions = {}): void {
  holdsForCalls(op, options, (call) => {
    const inputs = inputsOf(call);
    const before = inputs.map((x) => x.dataSync());
    const actual = apply(op, inputs, call.attrs);
    const expected = runCall(call, { contiguous: true });
    if (actual.dtype !== expected.dtype) throw new Error(`${op}: the dtype depends on the layout`);
    mustAgree('a view gives another result than a copy', op, actual, expected, {
      ...roundingOf(actual.dtype),
      ...options,
    });
    inputs.forEach((x, i) => {
      const message = allClose(x, Array.from(before[i]!));
      if (message !== null) throw new Error(`${op}: input ${i} has been written to: ${message}`);
    });
  });
}

/** The op in f32 gives what it gives in f64 on the same values, but for rounding. */
export function referenceAgrees(op: OpName, options: LawOptions = {}): void {
  holdsForCalls(op, { ...options, dtype: 'f32' }, (call) => {
    const actual = runCall(call);
    const expected = runCall(call, { dtype: { from: 'f32', to: 'f64' } });
    mustAgree('f32 is not f64 rounded', op, actual, expected, { rtol: 1e-6, atol: 1e-6, ...options });
  });
}

export interface BackendOptions extends LawOptions {
  /** The backend under test. Default: the current one. */
  readonly backend?: string;
  /** The one that it is held against. Default js. */
  readonly reference?: string;
}

/** Two backends give one result, but for rounding. What the backend says it lacks is passed over. */
export function backendsAgree(op: OpName, options: BackendOptions = {}): void {
  const backend = getBackend(options.backend ?? currentBackend().name);
  const reference = getBackend(options.reference ?? 'js');
  holdsForCalls(op, options, (call) => {
    const first = call.inputs[0];
    if (recordOf(op).kind !== 'view' && first && backend.lacks(op, first.dtype) !== null) return;
    const actual = runCall(call, { backend });
    const expected = runCall(call, { backend: reference });
    if (actual.dtype !== expected.dtype)
      throw new Error(`${op}: ${actual.dtype} on ${backend.name}, ${expected.dtype} on ${reference.name}`);
    mustAgree(`${backend.name} differs from ${reference.name}`, op, actual, expected, {
      ...roundingOf(actual.dtype),
      ...options,
    });
  });
}

/** Every call that the record says must be refused throws that error, with those words in it. */
export function errorsRefused(op: OpName): void {
  for (const row of recordOf(op).errors) {
    const inputs = row.inputs.map(({ shape, dtype = 'f32', fill = 0 }) => full(shape, fill, { dtype }));
    const thrown = caught(() => apply(op, inputs, row.attrs ?? {}));
    const right =
      thrown instanceof InfinigradError && thrown.name === row.error && thrown.message.includes(row.says);
    if (!right) {
      const got = thrown === undefined ? 'nothing was thrown' : String(thrown);
      throw new Error(`${op}(${JSON.stringify(row)}): expected ${row.error} with "${row.says}", but ${got}`);
    }
    if (!thrown.message.startsWith(`${op}: `))
      throw new Error(`${op}: the message does not name the op: ${thrown.message}`);
  }
}

function caught(body: () => unknown): unknown {
  try {
    body();
    return undefined;
  } catch (error) {
    return error;
  }
}
