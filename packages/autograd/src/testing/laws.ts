/** Laws that the derivative rule of every op must keep, and the gradient of every function. Each throws, with seed, path and the smallest case found. */
import { apply, isFloat, Key, scope, type OpName, type Tensor } from '@infinigrad/tensor';
import {
  callsOf,
  holdsForCalls,
  inputsOf,
  runOptions,
  subjectOf,
  type DrawnCall,
  type Lawful,
  type LawOptions,
} from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { gradcheck } from '../gradcheck.ts';
import { derivatives } from '../rules/table.ts';
import '../tensor-methods.ts';

export type GradientLawOptions = Pick<LawOptions, 'runs' | 'seed' | 'path' | 'layouts'>;

/** Up to so many input elements a failure names the one that is wrong. */
const namedUpTo = 4;

function floatInputs(call: DrawnCall): number {
  return call.inputs.reduce((total, { dtype, values }) => total + (isFloat(dtype) ? values.length : 0), 0);
}

function holds(what: Lawful, order: 1 | 2, options: GradientLawOptions): void {
  if (typeof what === 'string') {
    const rule = derivatives[what];
    if (rule.kind === 'none') {
      refuses(what, rule.reason, options);
      return;
    }
  }
  const { run } = subjectOf(what);
  const property = fc.property(
    callsOf(what, { dtype: 'f64', layouts: options.layouts ?? 'any' }),
    fc.nat(),
    (call, direction) => {
      const check = (mode: 'full' | 'direction'): void =>
        scope(() =>
          gradcheck((...inputs) => run(inputs, call.attrs), inputsOf(call), {
            order,
            mode,
            key: new Key(direction),
          }),
        );
      try {
        check('direction');
      } catch (error) {
        if (floatInputs(call) <= namedUpTo) check('full');
        throw error;
      }
    },
  );
  fc.assert(property, runOptions(options));
}

/**
 * The gradient of an op, or of a function of your own, agrees with finite differences, in f64, on the inputs that its sample
 * draws, in all layouts unless told. An op without a derivative refuses, or gives a result that carries no gradient.
 */
export function gradientHolds(what: Lawful, options: GradientLawOptions = {}): void {
  holds(what, 1, options);
}

/** As `gradientHolds`, for the gradient and for the gradient of the gradient. */
export function secondGradientHolds(what: Lawful, options: GradientLawOptions = {}): void {
  holds(what, 2, options);
}

/** With inputs that need gradients, the result either needs none (it is no float) or the call is refused with the reason. */
function refuses(op: OpName, reason: string, options: GradientLawOptions): void {
  holdsForCalls(op, { ...options, dtype: 'f64' }, (call) => {
    const inputs = inputsOf(call).map((x) => (isFloat(x.dtype) ? x.requireGrad() : x));
    let output: Tensor;
    try {
      output = apply(op, inputs, call.attrs);
    } catch (error) {
      if (error instanceof Error && error.name === 'GradientError' && error.message.includes(reason)) return;
      throw error;
    }
    if (output.requiresGrad)
      throw new Error(`${op} has no derivative (${reason}), yet its result needs a gradient`);
    if (isFloat(output.dtype))
      throw new Error(`${op} has no derivative (${reason}), yet it drops the gradient without a word`);
  });
}
