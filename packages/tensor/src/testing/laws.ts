/** Laws that every op of the table must keep, on every backend, and functions of yours. Each throws, with seed, path and the smallest case found. */
import fc from 'fast-check';
import { apply } from '../apply.ts';
import { currentBackend, getBackend, withBackend } from '../backends/registry.ts';
import { full } from '../creation.ts';
import { isFloat, isHalf, type DType } from '../dtype.ts';
import { InfinigradError } from '../errors.ts';
import { scope } from '../memory/index.ts';
import { recordOf, type OpName } from '../ops/table.ts';
import type { Tensor } from '../tensor.ts';
import { callsOf, inputsOf, runCall, type CallOptions, type DrawnCall } from './calls.ts';
import { allClose, type Tolerance } from './close.ts';
import { subjectOf, type Lawful } from './subject.ts';

export interface LawOptions extends CallOptions, Tolerance {
  /** Generated cases. Default 100. */
  readonly runs?: number;
  /** The seed that a failure printed, to see it again. */
  readonly seed?: number;
  /** The path that a failure printed, to go straight to its smallest case. */
  readonly path?: string;
}

/** What a law hands to fast-check. */
export function runOptions({ runs = 100, seed, path }: LawOptions): fc.Parameters<unknown> {
  return { numRuns: runs, ...(seed !== undefined && { seed }), ...(path !== undefined && { path }) };
}

/** Checks a property of an op's or a subject's calls on generated ones. */
export function holdsForCalls(what: Lawful, options: LawOptions, check: (call: DrawnCall) => void): void {
  fc.assert(
    fc.property(callsOf(what, options), (call) => scope(() => check(call))),
    runOptions(options),
  );
}

/** What results of one op in one dtype may differ by, where order and instructions are the backend's affair. */
export function roundingOf(dtype: DType): Required<Tolerance> {
  if (!isFloat(dtype)) return { rtol: 0, atol: 0, ulp: 0 };
  if (dtype === 'f64') return { rtol: 1e-13, atol: 1e-13, ulp: 0 };
  // What is rounded to 16 bits may go either way where its f32 differs.
  return { rtol: 1e-6, atol: 1e-6, ulp: isHalf(dtype) ? 1 : 0 };
}

/** @throws Error that says what differs where two results do */
export function mustAgree(
  name: string,
  claim: string,
  actual: Tensor,
  expected: Tensor,
  tolerance: Tolerance,
): void {
  const message = allClose(actual, expected, tolerance);
  if (message !== null) throw new Error(`${name}: ${claim}: ${message}`);
}

/** The result does not depend on how the inputs lie in memory, and the inputs stay as they were. */
export function viewsAgree(what: Lawful, options: LawOptions = {}): void {
  const { name, run } = subjectOf(what);
  holdsForCalls(what, options, (call) => {
    const inputs = inputsOf(call);
    const before = inputs.map((x) => x.dataSync());
    const actual = run(inputs, call.attrs);
    const expected = runCall(what, call, { contiguous: true });
    if (actual.dtype !== expected.dtype) throw new Error(`${name}: the dtype depends on the layout`);
    mustAgree(name, 'a view gives another result than a copy', actual, expected, {
      ...roundingOf(actual.dtype),
      ...options,
    });
    inputs.forEach((x, i) => {
      const message = allClose(x, Array.from(before[i]!));
      if (message !== null) throw new Error(`${name}: input ${i} has been written to: ${message}`);
    });
  });
}

/** The result in f32 is what it is in f64 on the same values, but for rounding. */
export function referenceAgrees(what: Lawful, options: LawOptions = {}): void {
  const { name } = subjectOf(what);
  holdsForCalls(what, { ...options, dtype: 'f32' }, (call) => {
    const actual = runCall(what, call);
    const expected = runCall(what, call, { dtype: { from: 'f32', to: 'f64' } });
    mustAgree(name, 'f32 is not f64 rounded', actual, expected, { rtol: 1e-6, atol: 1e-6, ...options });
  });
}

export interface BackendOptions extends LawOptions {
  /** The backend under test. Default: the current one. */
  readonly backend?: string;
  /** The one that it is held against. Default js. */
  readonly reference?: string;
}

/** Two backends give one result, but for rounding. What the backend says it lacks is passed over. */
export function backendsAgree(what: Lawful, options: BackendOptions = {}): void {
  const { name } = subjectOf(what);
  const backend = getBackend(options.backend ?? currentBackend().name);
  const reference = getBackend(options.reference ?? 'js');
  holdsForCalls(what, options, (call) => {
    const first = call.inputs[0];
    if (typeof what === 'string' && first && recordOf(what).kind !== 'view')
      if (backend.lacks(what, first.dtype) !== null) return;
    const on = (where: typeof backend): Tensor =>
      withBackend(where.name, () => runCall(what, call, { backend: where }));
    const [actual, expected] = [on(backend), on(reference)];
    if (actual.dtype !== expected.dtype)
      throw new Error(`${name}: ${actual.dtype} on ${backend.name}, ${expected.dtype} on ${reference.name}`);
    mustAgree(name, `${backend.name} differs from ${reference.name}`, actual, expected, {
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
