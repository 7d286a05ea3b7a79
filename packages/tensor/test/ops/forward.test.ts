/** Every op against its naive meaning, in f64, over all layouts. */
import { apply, opNames } from '@infinigrad/tensor';
import { expectAllClose, holdsForCalls, inputsOf } from '@infinigrad/tensor/testing';
import { expect, it } from 'vitest';
import { flat, fromTensor } from '../naive.ts';
import { runs } from '../support.ts';
import { references } from './references.ts';

it.each(opNames)('%s means what its reference says', (op) => {
  holdsForCalls(op, { runs, dtype: 'f64' }, (call) => {
    const inputs = inputsOf(call);
    const actual = apply(op, inputs, call.attrs);
    const expected = references[op](inputs.map(fromTensor), call.attrs);
    expect(actual.shape).toEqual(expected.shape);
    expectAllClose(actual, flat(expected), { rtol: 1e-11, atol: 1e-12 });
  });
});
