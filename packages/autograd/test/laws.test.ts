import { opNames } from '@infinigrad/tensor';
import { conventions, conventionsHold, gradientHolds } from '@infinigrad/autograd/testing';
import { layoutKinds } from '@infinigrad/tensor/testing';
import { describe, it } from 'vitest';
import { runs } from './support.ts';

describe.each(opNames)('%s', (op) => {
  it.each(layoutKinds)('keeps its gradient to finite differences, layout: %s', (layouts) =>
    gradientHolds(op, { runs, layouts }),
  );
});

describe('where there is no derivative', () => {
  it.each([...new Set(conventions.map(({ op }) => op))])('%s keeps to its convention', conventionsHold);
});
