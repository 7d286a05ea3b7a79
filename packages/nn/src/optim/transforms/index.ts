/** Gradient transforms, the parts that optimizers are chained of. */
export * from './transform.ts';
export * from './basic.ts';
export { ema, scaleByLion, trace, type LionOptions, type TraceOptions } from './momentum.ts';
export * from './adam.ts';
export * from './squares.ts';
export * from './matrices.ts';
