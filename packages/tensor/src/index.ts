/** @infinigrad/tensor: arrays, ops, memory, randomness, backends. */
export * from './tensor.ts';
export * from './methods.ts';
export * from './apply.ts';
export * from './creation.ts';
export * from './dtype.ts';
export * from './errors.ts';
export * from './shape.ts';
export * from './memory.ts';
export * from './ops/record.ts';
export * from './ops/table.ts';
export * from './backends/backend.ts';
export * from './backends/registry.ts';
export * from './random/key.ts';
export { compositions, stack } from './compositions.ts';
export type { OpCall } from './execute.ts';
export type { NestedArray } from './read.ts';
export type { Range } from './ops/views.ts';
export * as ir from './ir.ts';
