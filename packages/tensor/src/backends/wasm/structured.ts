/** The kernels of structured and fused ops. What is missing here runs on the reference's kernels, or as its composition. */
import type { FusedOp, StructuredOp } from '../../ops/table.ts';
import type { KernelCall } from '../backend.ts';
import { attentionKernels } from './attention/index.ts';
import type { Engine } from './engine.ts';
import { linear } from './gemm/linear.ts';
import { indexingKernels } from './indexing/index.ts';
import { fusedRowKernels, rowKernels } from './rows/index.ts';
import { convolutionKernels, windowKernels } from './windows/index.ts';

/** @returns false where the call is left to the reference (a dtype or a layout that the kernel is not made for) */
export type StructuredKernel = (engine: Engine, call: KernelCall) => boolean;
/** Takes every call in f32, in every layout. */
export type FusedKernel = (engine: Engine, call: KernelCall) => void;

export const structuredKernels: Readonly<Partial<Record<StructuredOp, StructuredKernel>>> = {
  matmul: (engine, call) => engine.gemm.run(call),
  ...rowKernels,
  ...indexingKernels,
  ...windowKernels,
};

export const fusedKernels: Readonly<Partial<Record<FusedOp, FusedKernel>>> = {
  linear,
  ...fusedRowKernels,
  ...attentionKernels,
  ...convolutionKernels,
};

/** Inputs that kernels take in 16 bits as well as in f32. */
export const halfInputs: Readonly<Partial<Record<FusedOp, readonly number[]>>> = { linear: [1] };
