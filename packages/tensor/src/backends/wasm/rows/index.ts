/** Kernels along lines: see structured.ts. */
import type { FusedOp, StructuredOp } from '../../../ops/table.ts';
import type { FusedKernel, StructuredKernel } from '../structured.ts';

export const rowKernels: Partial<Record<StructuredOp, StructuredKernel>> = {};
export const fusedRowKernels: Partial<Record<FusedOp, FusedKernel>> = {};
