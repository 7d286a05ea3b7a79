import { getBackend, opNames, recordOf, withBackend, type DType, type OpName } from '@infinigrad/tensor';
import { backendsAgree, errorsRefused, layoutKinds } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { runs } from '../support.ts';

/** Whether the inputs that a sample leaves open take the dtype; those accept more than conditions do. */
const accepted = (op: OpName, dtype: DType): boolean =>
  recordOf(op)
    .accepts.find((list) => list.length > 1)!
    .includes(dtype);

describe('the wasm backend agrees with the reference', () => {
  const dtypes: readonly DType[] = ['f32', 'f64', 'i32', 'u8', 'bool'];
  describe.each(opNames)('%s', (op) => {
    const cases = dtypes
      .filter((dtype) => accepted(op, dtype))
      .flatMap((dtype) => layoutKinds.map((layouts) => ({ dtype, layouts })));
    it.each(cases)('$dtype, layout: $layouts', (options) =>
      backendsAgree(op, { backend: 'wasm', runs, ...options }),
    );
  });

  it.each(opNames)('%s refuses the same calls', (op) => {
    withBackend('wasm', () => errorsRefused(op));
  });

  it('is at hand and reads at once', () => {
    expect(getBackend('wasm').synchronous).toBe(true);
  });
});
