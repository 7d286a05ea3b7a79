/** Kernels along lines: see structured.ts. */
import type { FusedOp, StructuredOp } from '../../../ops/table.ts';
import type { FusedKernel, StructuredKernel } from '../structured.ts';
import { adamWStep } from './adamw.ts';
import { softmaxCrossEntropy, softmaxCrossEntropyGrad } from './cross-entropy.ts';
import { argMax, argMin } from './extremes.ts';
import { layerNormGrad, rmsNormGrad } from './norm-gradients.ts';
import { layerNorm, rmsNorm } from './norms.ts';
import { rotary } from './rotary.ts';
import { cumprod, cumsum } from './running.ts';
import { logCumSumExp } from './running-log-sums.ts';
import { logSoftmaxGrad, softmaxGrad } from './softmax-gradients.ts';
import { logSoftmax, logSumExp, softmax } from './softmax.ts';

export const rowKernels: Partial<Record<StructuredOp, StructuredKernel>> = {
  softmax,
  logSoftmax,
  logSumExp,
  cumsum,
  argMax,
  argMin,
};
export const fusedRowKernels: Partial<Record<FusedOp, FusedKernel>> = {
  softmaxGrad,
  logSoftmaxGrad,
  rmsNorm,
  layerNorm,
  rmsNormGrad,
  layerNormGrad,
  softmaxCrossEntropy,
  softmaxCrossEntropyGrad,
  rotary,
  adamWStep,
  cumprod,
  logCumSumExp,
};
