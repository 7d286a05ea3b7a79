/** The kernels of the structured ops; one missing does not compile. */
import type { StructuredOp } from '../../../ops/table.ts';
import type { KernelCall } from '../../backend.ts';
import { fourierKernels } from './fourier.ts';
import { concat, gather, indexAdd, indexSelect, pad, unslice } from './indexing.ts';
import { linalgKernels } from './linalg.ts';
import { matmul } from './matmul.ts';
import { argMax, argMin, cumsum, logSoftmax, logSumExp, softmax } from './rows.ts';
import { scattersKernels } from './scatter.ts';
import { sortingKernels } from './sorting.ts';
import { windowingKernels } from './windows.ts';

export const structuredKernels: Readonly<Record<StructuredOp, (call: KernelCall) => void>> = {
  matmul,
  softmax,
  logSoftmax,
  cumsum,
  logSumExp,
  argMax,
  argMin,
  concat,
  pad,
  unslice,
  indexSelect,
  indexAdd,
  gather,
  ...scattersKernels,
  ...sortingKernels,
  ...windowingKernels,
  ...fourierKernels,
  ...linalgKernels,
};
