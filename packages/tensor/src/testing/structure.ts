/** Laws of structure: what a function must do with sums, symmetries and time, whatever it computes. */
import fc from 'fast-check';
import { apply } from '../apply.ts';
import { isFloat } from '../dtype.ts';
import { ValueError } from '../errors.ts';
import type { Draw } from '../ops/record.ts';
import { normalizeAxis } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { callsOf, inputsOf, type DrawnCall } from './calls.ts';
import { drawFrom, type Generator } from './draw.ts';
import { drawValues } from './fill.ts';
import { mustAgree, runOptions, type LawOptions } from './laws.ts';
import { subjectOf, type Lawful } from './subject.ts';
import { realise } from './layouts.ts';

/** Rounding of a few ops in f64 on values of a few units; f32 where asked for. */
const loose = (dtype: string): { rtol: number; atol: number } =>
  dtype === 'f64' ? { rtol: 1e-10, atol: 1e-10 } : { rtol: 1e-4, atol: 1e-4 };

/** An input again, with other values of the same range. */
function redrawn(g: Generator, call: DrawnCall, i: number): Tensor {
  const { shape, dtype, values } = call.inputs[i]!;
  const [min, max] = [Math.min(...values, -1), Math.max(...values, 1)];
  return realise(drawValues(g, { min, max }, dtype, values.length), shape, dtype);
}

export interface LinearOptions extends LawOptions {
  /** The inputs in which the function is linear, taken together. Default: all of floating point. */
  readonly inputs?: readonly number[];
}

/** f(a x + b y) = a f(x) + b f(y) in the named inputs, the others held. In f64 unless told. */
export function linear(what: Lawful, options: LinearOptions = {}): void {
  const { name, run } = subjectOf(what);
  const { dtype = 'f64' } = options;
  const factor = fc.integer({ min: -20, max: 20 }).map((n) => n / 8);
  const property = fc.property(
    callsOf(what, { ...options, dtype }),
    fc.gen(),
    factor,
    factor,
    (call, g, a, b) => {
      const x = inputsOf(call);
      const moving = options.inputs ?? x.flatMap(({ dtype: own }, i) => (isFloat(own) ? [i] : []));
      const y = x.map((own, i) => (moving.includes(i) ? redrawn(g, call, i) : own));
      const mixed = x.map((own, i) => (moving.includes(i) ? own.mul(a).add(y[i]!.mul(b)) : own));
      const expected = run(x, call.attrs).mul(a).add(run(y, call.attrs).mul(b));
      mustAgree(name, `f(${a} x + ${b} y) is not ${a} f(x) + ${b} f(y)`, run(mixed, call.attrs), expected, {
        ...loose(dtype),
        ...options,
      });
    },
  );
  fc.assert(property, runOptions(options));
}

/** A symmetry: other inputs, and what must then become of the output. */
export type Action = (
  inputs: readonly Tensor[],
  draw: Draw,
) => { readonly inputs: readonly Tensor[]; readonly output: (y: Tensor) => Tensor };

/** f(T x) = T' f(x), for an action that may draw its parameters. In f64 unless told. */
export function equivariant(what: Lawful, action: Action, options: LawOptions = {}): void {
  const { name, run } = subjectOf(what);
  const { dtype = 'f64' } = options;
  const property = fc.property(callsOf(what, { ...options, dtype }), fc.gen(), (call, g) => {
    const inputs = inputsOf(call);
    const acted = action(inputs, drawFrom(g));
    const expected = acted.output(run(inputs, call.attrs));
    mustAgree(name, 'acting first and last differ', run(acted.inputs, call.attrs), expected, {
      ...loose(dtype),
      ...options,
    });
  });
  fc.assert(property, runOptions(options));
}

export interface CausalOptions extends LawOptions {
  /** The inputs that run along time. Default: the first. */
  readonly inputs?: readonly number[];
  /** The axis of time in them. Default -2, as in [batch, time, features]. */
  readonly axis?: number;
  /** The axis of time in the output. Default: as `axis`. */
  readonly outputAxis?: number;
}

/** What comes at time t or later changes nothing before t: outputs there stay the same, bit for bit. */
export function causal(what: Lawful, options: CausalOptions = {}): void {
  const { name, run } = subjectOf(what);
  const { inputs: moving = [0], axis = -2, outputAxis = axis, dtype = 'f64' } = options;
  const property = fc.property(
    callsOf(what, { ...options, dtype }),
    fc.gen(),
    fc.nat(99),
    (call, g, from) => {
      const x = inputsOf(call);
      const length = timesOf(name, x, moving, axis);
      const t = from % length;
      const later = x.map((own, i) => {
        if (!moving.includes(i)) return own;
        const at = normalizeAxis(name, axis, own);
        const past = own.narrow(at, 0, t);
        return apply('concat', [past, redrawn(g, call, i).narrow(at, t, length - t)], { axis: at });
      });
      const before = (y: Tensor): Tensor => y.narrow(outputAxis, 0, t);
      mustAgree(
        name,
        `what comes at time ${t} or later changes an output before it`,
        before(run(later, call.attrs)),
        before(run(x, call.attrs)),
        options,
      );
    },
  );
  fc.assert(property, runOptions(options));
}

/** How many moments the inputs hold. */
function timesOf(name: string, x: readonly Tensor[], moving: readonly number[], axis: number): number {
  const sizes = moving.map((i) => x[i]!.shape[normalizeAxis(name, axis, x[i]!)]!);
  if (sizes.some((n) => n !== sizes[0]) || !sizes[0])
    throw new ValueError(name, 'the inputs that run along time must hold as many moments, one at least', {
      operands: moving.map((i) => x[i]!),
    });
  return sizes[0];
}
