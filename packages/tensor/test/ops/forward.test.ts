/** Every op against its naive meaning, in f64, over all layouts, on both backends. */
import { apply, opNames, withBackend } from '@infinigrad/tensor';
import { expectAllClose, holdsForCalls, inputsOf } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { flat, fromTensor } from '../naive.ts';
import { runs } from '../support.ts';
import { references } from './references.ts';

describe.each(['js', 'wasm'])('on %s', (backend) => {
  it.each(opNames)('%s means what its reference says', (op) =>
    withBackend(backend, () =>
      holdsForCalls(op, { runs, dtype: 'f64' }, (call) => {
        const inputs = inputsOf(call);
        const actual = apply(op, inputs, call.attrs);
        const expected = references[op](inputs.map(fromTensor), call.attrs);
        expect(actual.shape).toEqual(expected.shape);
        expectAllClose(actual, flat(expected), { rtol: 1e-11, atol: 1e-12 });
      }),
    ),
  );
});
