/** Kernels of windows and convolutions: see structured.ts. */
import type { FusedOp, StructuredOp } from '../../../ops/table.ts';
import type { FusedKernel, StructuredKernel } from '../structured.ts';
import { convolution } from './convolution.ts';
import { convolutionTranspose, convolutionWeight } from './convolution-transposes.ts';
import { overlapAdd } from './overlap-add.ts';

export const windowKernels: Partial<Record<StructuredOp, StructuredKernel>> = { overlapAdd };

export const convolutionKernels: Partial<Record<FusedOp, FusedKernel>> = {
  convolution,
  convolutionTranspose,
  convolutionWeight,
};
