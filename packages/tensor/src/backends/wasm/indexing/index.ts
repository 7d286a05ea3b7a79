/** Kernels that join, frame and index: see structured.ts. */
import type { StructuredOp } from '../../../ops/table.ts';
import type { StructuredKernel } from '../structured.ts';
import { gather, scatters } from './gather.ts';
import { concat, pad, sliceScatter, unslice } from './join.ts';
import { indexAdd, indexSelect } from './select.ts';

export const indexingKernels: Partial<Record<StructuredOp, StructuredKernel>> = {
  concat,
  pad,
  unslice,
  sliceScatter,
  indexSelect,
  indexAdd,
  gather,
  ...scatters,
};
