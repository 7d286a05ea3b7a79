/** The kernels of structured ops. What is missing here the backend lacks. */
import type { StructuredOp } from '../../../ops/table.ts';
import { joiningKernels } from './joining.ts';
import type { GpuKernel } from './kernel.ts';
import { matmul } from './matmul.ts';
import { pickingKernels } from './picking.ts';
import { rowKernels } from './rows.ts';
import { scatteringKernels } from './scattering.ts';
import { sortingKernels } from './sorting.ts';
import { windowKernels } from './windows.ts';

export const structuredKernels: Readonly<Partial<Record<StructuredOp, GpuKernel>>> = {
  matmul,
  ...rowKernels,
  ...joiningKernels,
  ...pickingKernels,
  ...scatteringKernels,
  ...sortingKernels,
  ...windowKernels,
};
