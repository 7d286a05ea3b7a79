/** Kernels that join, frame and index: see structured.ts. */
import type { StructuredOp } from '../../../ops/table.ts';
import type { StructuredKernel } from '../structured.ts';

export const indexingKernels: Partial<Record<StructuredOp, StructuredKernel>> = {};
