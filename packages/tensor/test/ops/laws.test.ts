import { dtypes as allDTypes, opNames, recordOf } from '@infinigrad/tensor';
import {
  backendsAgree,
  errorsRefused,
  layoutKinds,
  referenceAgrees,
  viewsAgree,
} from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { runs } from '../support.ts';

describe.each(opNames)('%s', (op) => {
  it.each(layoutKinds)('gives what it gives on copies, f32, layout: %s', (layouts) =>
    viewsAgree(op, { runs, layouts }),
  );
  it.each(layoutKinds)('gives what it gives on copies, f64, layout: %s', (layouts) =>
    viewsAgree(op, { runs, layouts, dtype: 'f64' }),
  );
  it.each(layoutKinds)('gives in f32 what it gives in f64, layout: %s', (layouts) =>
    referenceAgrees(op, { runs, layouts }),
  );
  it('refuses what its record says it refuses', () => errorsRefused(op));
  it('has a line of documentation and an error row', () => {
    const { doc, errors } = recordOf(op);
    expect(doc).toMatch(/\S.*\.$/s);
    expect(
      errors.length >=
        (recordOf(op).accepts.every((dtypes) => dtypes.length === allDTypes.length) &&
        recordOf(op).kind === 'elementwise'
          ? 0
          : 1),
    ).toBe(true);
  });
});

describe('a backend under test', () => {
  it.each(opNames)('agrees with the reference on %s (here: with itself)', (op) =>
    backendsAgree(op, { runs: 10, backend: 'js' }),
  );
});
