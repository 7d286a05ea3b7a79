/** Kernels that join, frame and index: see structured.ts. */
import type { StructuredOp } from '../../../ops/table.ts';
import type { StructuredKernel } from '../structured.ts';
import { gather, scatterAdd } from './gather.ts';
import { concat, pad, unslice } from './join.ts';
import { indexAdd, indexSelect } from './select.ts';

export const indexingKernels: Partial<Record<StructuredOp, StructuredKernel>> = {
  concat,
  pad,
  unslice,
  indexSelect,
  indexAdd,
  gather,
  scatterAdd,
};
