/** As laws.test.ts, for the gradient of the gradient: a file of its own, so that both run at once. */
import { opNames } from '@infinigrad/tensor';
import { secondGradientHolds } from '@infinigrad/autograd/testing';
import { layoutKinds } from '@infinigrad/tensor/testing';
import { describe, it } from 'vitest';
import { runs } from './support.ts';

describe.each(opNames)('%s', (op) => {
  it.each(layoutKinds)('keeps the gradient of its gradient to finite differences, layout: %s', (layouts) =>
    secondGradientHolds(op, { runs, layouts }),
  );
});
