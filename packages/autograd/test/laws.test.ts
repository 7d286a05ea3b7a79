import { opNames } from '@infinigrad/tensor';
import { gradientHolds, secondGradientHolds } from '@infinigrad/autograd/testing';
import { describe, it } from 'vitest';
import { runs } from './support.ts';

describe.each(opNames)('%s', (op) => {
  it('keeps its gradient to finite differences', () => gradientHolds(op, { runs }));
  it('keeps the gradient of its gradient to finite differences', () => secondGradientHolds(op, { runs }));
});
