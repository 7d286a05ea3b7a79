/** Attention: see structured.ts. */
import type { FusedOp } from '../../../ops/table.ts';
import type { FusedKernel } from '../structured.ts';
import { runAttentionGrad } from './backward-call.ts';
import { runAttention } from './forward-call.ts';

export const attentionKernels: Partial<Record<FusedOp, FusedKernel>> = {
  attention: runAttention,
  attentionGrad: runAttentionGrad,
};
