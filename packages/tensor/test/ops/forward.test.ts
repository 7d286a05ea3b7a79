/** Every op against a second definition of it or known results, in f64, on both backends. */
import { apply, fromData, opNames, recordOf, withBackend } from '@infinigrad/tensor';
import { expectAllClose, holdsForCalls, inputsOf } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { flat, fromTensor } from '../naive.ts';
import { runs } from '../support.ts';
import { references } from './references.ts';

const defined = opNames.filter((op) => references[op]);
const exampled = opNames.filter((op) => recordOf(op).examples);

it('every op has a second definition or known results', () => {
  expect(opNames.filter((op) => !references[op] && !recordOf(op).examples)).toEqual([]);
});

describe.each(['js', 'wasm'])('on %s', (backend) => {
  it.each(defined)('%s means what its reference says', (op) =>
    withBackend(backend, () =>
      holdsForCalls(op, { runs, dtype: 'f64' }, (call) => {
        const inputs = inputsOf(call);
        const actual = apply(op, inputs, call.attrs);
        const expected = references[op]!(inputs.map(fromTensor), call.attrs);
        expect(actual.shape).toEqual(expected.shape);
        expectAllClose(actual, flat(expected), { rtol: 1e-11, atol: 1e-12 });
      }),
    ),
  );
  it.runIf(exampled.length > 0).each(exampled)('%s gives the known results', (op) =>
    withBackend(backend, () => {
      for (const { inputs, attrs, output } of recordOf(op).examples!) {
        const tensors = inputs.map(({ shape, values, dtype = 'f64' }) =>
          fromData(Float64Array.from(values), shape).cast(dtype),
        );
        expectAllClose(apply(op, tensors, attrs), output, { rtol: 1e-12, atol: 1e-14 });
      }
    }),
  );
});
