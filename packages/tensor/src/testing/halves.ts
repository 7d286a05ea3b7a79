/** What ops do with f16 and bf16, which are storage. */
import { isHalf, roundTo, type HalfDType } from '../dtype.ts';
import type { OpName } from '../ops/table.ts';
import type { Tensor } from '../tensor.ts';
import { inputsOf } from './calls.ts';
import { expectAllClose } from './close.ts';
import { holdsForCalls, type LawOptions } from './laws.ts';
import { contiguousPlan, realise } from './layouts.ts';
import { subjectOf } from './subject.ts';

/** The same values in f32, row-major; tensors of other dtypes as they are. */
export function widened(x: Tensor): Tensor {
  if (!isHalf(x.dtype)) return x;
  return realise(Array.from(x.dataSync()), x.shape, 'f32', contiguousPlan(x.rank), x.backend);
}

export interface HalvesOptions extends LawOptions {
  readonly dtype: HalfDType;
}

/**
 * An op on f16 or bf16 gives what it gives in f32 on the same values, rounded once where its result is of 16 bits: the
 * same numbers exactly.
 */
export function halvesAgree(op: OpName, options: HalvesOptions): void {
  const { dtype } = options;
  const { run } = subjectOf(op);
  holdsForCalls(op, options, (call) => {
    const inputs = inputsOf(call);
    const actual = run(inputs, call.attrs);
    const wide = run(inputs.map(widened), call.attrs);
    const halved = wide.dtype === 'f32' && inputs.some((x) => isHalf(x.dtype));
    const expected = halved ? dtype : wide.dtype;
    if (actual.dtype !== expected) throw new Error(`${op}: the result is ${actual.dtype}, not ${expected}`);
    const values = Array.from(wide.dataSync(), (v) => (halved ? roundTo(dtype, v) : v));
    expectAllClose(actual, values);
    if (actual.shape.join() !== wide.shape.join()) throw new Error(`${op}: the shape depends on the dtype`);
  });
}
