/** What a GPU cannot run, and why: known from the op and the mode alone, no GPU need be there. */
import type { DType } from '../../dtype.ts';
import * as ir from '../../ir.ts';
import type { Attrs } from '../../ops/record.ts';
import { recordOf, type OpName, type StructuredOp } from '../../ops/table.ts';
import type { Device, Mode } from './device.ts';
import { lackOfExpression } from './expressions.ts';
import { lackOfDType } from './numbers.ts';
import { structuredKernels } from './structured/index.ts';

const bitwise = 'WebGL computes bits of negative numbers wrongly';
const webGl: Device['lacks'] = {
  bitAnd: bitwise,
  bitOr: bitwise,
  bitXor: bitwise,
  shiftRight: bitwise,
};

/** Functions that a mode gets wrong, and how. */
export const wrongIn: Readonly<Record<Mode, Device['lacks']>> = {
  webgpu: {},
  webgl2: webGl,
  headlessgl: webGl,
};

/**
 * Why an op on a first input of some dtype cannot run, or null.
 * @param wrong functions that the GPU gets wrong
 */
export function lackOf(op: OpName, dtype: DType, wrong: Device['lacks']): string | null {
  const record = recordOf(op);
  const absent = lackOfDType(dtype);
  if (absent) return `it has no ${dtype}: ${absent}`;
  if (record.kind === 'fused') return 'it runs the ops that it is made of';
  if (record.kind === 'structured')
    return structuredKernels[op as StructuredOp] ? null : 'it has no kernel for it yet';
  if (record.kind !== 'elementwise') return null;
  // As many inputs as any has.
  const inputs = [0, 1, 2].map(ir.input);
  return lackOfExpression(record.define(inputs, dtype, anyAttrs), dtype, wrong);
}

/** Attributes are numbers, and which functions an expression has does not depend on them. */
const anyAttrs = new Proxy({} as Attrs, { get: () => 1 });
