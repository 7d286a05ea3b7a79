export type { Reduction, ReductionOptions } from './reduction.ts';
export { crossEntropy, nllLoss, type CrossEntropyOptions, type NLLOptions } from './cross-entropy.ts';
export * from './linear-cross-entropy.ts';
export * from './binary.ts';
export * from './regression.ts';
export * from './divergence.ts';
export * from './contrastive.ts';
export * from './preference.ts';
export * from './ctc.ts';
