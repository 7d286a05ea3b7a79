/** Broadcasting is what an explicit expand would do; nothing and a single number are inputs like any other. */
import { apply, broadcastShapes, fromData, opNames, recordOf } from '@infinigrad/tensor';
import { expectAllClose, holdsForCalls, inputsOf, valuesIn } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { fromTensor, indices, stretchedAt } from '../naive.ts';
import { runs } from '../support.ts';

const elementwise = opNames.filter((op) => recordOf(op).kind === 'elementwise');

describe.each(elementwise)('%s', (op) => {
  it('broadcasts as expand does', () => {
    holdsForCalls(op, { runs }, (call) => {
      const inputs = inputsOf(call);
      const shape = broadcastShapes(op, inputs);
      const copies = inputs.map((x) => {
        const data = x.dataSync();
        const values = indices(shape).map((index) => stretchedAt(fromTensor(x), index));
        return fromData((data.constructor as Float32ArrayConstructor).from(values), shape, {
          dtype: x.dtype,
        });
      });
      const actual = apply(op, inputs, call.attrs);
      expect(actual.shape).toEqual(shape);
      expectAllClose(actual, apply(op, copies, call.attrs));
    });
  });

  it('takes a single number and nothing at all', () => {
    const sample = recordOf(op).sample({
      int: (min) => min,
      bool: () => false,
      pick: (items) => items[0]!,
      shape: () => [],
      broadcastable: (n) => Array.from({ length: n }, () => []),
    });
    const filled = (shape: readonly number[]) =>
      sample.inputs.map(({ domain, dtype = 'f32' }) => {
        const size = shape.reduce((a, b) => a * b, 1);
        return fromData(
          Float64Array.from({ length: size }, () => valuesIn(domain, dtype)[0]!),
          shape,
          { dtype },
        );
      });
    const attrs = sample.attrs ?? {};
    const one = apply(op, filled([]), attrs);
    expect(one.shape).toEqual([]);
    for (const shape of [[0], [2, 0, 3]]) {
      const none = apply(op, filled(shape), attrs);
      expect(none.shape).toEqual(shape);
      expect(none.dataSync()).toHaveLength(0);
      expect(none.dtype).toBe(one.dtype);
      // A single number (or a 1) stretches to nothing.
      const mixed = filled([]).map((x, i) => (i === 0 ? filled(shape)[0]! : x));
      expect(apply(op, mixed, attrs).shape).toEqual(shape);
    }
    // The single number equals the same number in a vector.
    expectAllClose(
      apply(op, filled([3]), attrs),
      [0, 1, 2].map(() => one.itemSync()),
    );
  });
});
