/** @infinigrad/autograd: reverse-mode differentiation over the op table, and the proof of gradients. */
export * from './tensor-methods.ts';
export { enableGrad, inferenceMode, noGrad, recording } from './modes.ts';
export type { GradientHook } from './source.ts';
export * from './functional.ts';
export * from './gradcheck.ts';
export * from './custom.ts';
export * from './checkpoint.ts';
export { surrounded, type Surrounding } from './surroundings.ts';
export * from './anomaly/index.ts';
export * from './inspect/index.ts';
export * from './transforms/index.ts';
export { backward, type BackwardOptions } from './backward.ts';
export { derivatives, type DerivativeTable } from './rules/table.ts';
export type { DifferentiableRule, InputRule, NoRule, Rule, RuleContext } from './rules/rule.ts';
