/** Laws that the derivative rule of every op must keep. Each throws, with seed, path and the smallest case found. */
import { apply, isFloat, Key, type OpName, type Tensor } from '@infinigrad/tensor';
import { callsOf, holdsForCalls, inputsOf, type DrawnCall } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { gradcheck } from '../gradcheck.ts';
import { derivatives } from '../rules/table.ts';
import '../tensor-methods.ts';

export interface GradientLawOptions {
  /** Generated cases. Default 100. */
  readonly runs?: number;
  /** The seed and the path that a failure printed, to see it again. */
  readonly seed?: number;
  readonly path?: string;
}

/** Up to so many input elements each is moved alone, so that a failure names it; above, all along a random direction. */
const elementwiseUpTo = 4;

function floatInputs(call: DrawnCall): number {
  return call.inputs.reduce((total, { dtype, values }) => total + (isFloat(dtype) ? values.length : 0), 0);
}

function holds(op: OpName, order: 1 | 2, options: GradientLawOptions): void {
  const rule = derivatives[op];
  if (rule.kind === 'none') {
    refuses(op, rule.reason, options);
    return;
  }
  const { runs = 100, seed, path } = options;
  const property = fc.property(callsOf(op, { dtype: 'f64' }), fc.nat(), (call, direction) => {
    gradcheck((...inputs) => apply(op, inputs, call.attrs), inputsOf(call), {
      order,
      mode: floatInputs(call) <= elementwiseUpTo ? 'full' : 'direction',
      key: new Key(direction),
    });
  });
  fc.assert(property, {
    numRuns: runs,
    ...(seed !== undefined && { seed }),
    ...(path !== undefined && { path }),
  });
}

/**
 * The gradient of an op agrees with finite differences, in f64, on the inputs and in the layouts that its record
 * samples. An op without a derivative refuses, or gives a result that carries no gradient.
 */
export function gradientHolds(op: OpName, options: GradientLawOptions = {}): void {
  holds(op, 1, options);
}

/** As `gradientHolds`, for the gradient and for the gradient of the gradient. */
export function secondGradientHolds(op: OpName, options: GradientLawOptions = {}): void {
  holds(op, 2, options);
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
