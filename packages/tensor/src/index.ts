/** @infinigrad/tensor: arrays, ops, memory, randomness, backends. */
export * from './tensor.ts';
export * from './methods.ts';
export * from './apply.ts';
export * from './creation.ts';
export * from './dtype.ts';
export * from './errors.ts';
export * from './shape.ts';
export {
  accompany,
  currentScope,
  inScope,
  keep,
  memoryReport,
  memoryStats,
  openScope,
  pin,
  retire,
  scope,
  Scope,
  setMemoryDebug,
  Storage,
  storagesOf,
  type Attachment,
  type MemoryReportLine,
  type MemoryStats,
  type ScopeOptions,
  type Tier,
} from './memory/index.ts';
export { batchOf, type Batch, type BatchedCall } from './ops/batch.ts';
export * from './ops/record.ts';
export * from './ops/table.ts';
export * from './backends/backend.ts';
export * from './backends/registry.ts';
export * from './random/key.ts';
export * from './settings.ts';
export { writeInPlace } from './write.ts';
export type { ThreadStats } from './backends/wasm/backend.ts';
export * from './io/safetensors.ts';
export { readNpy, writeNpy, type NpyOptions } from './io/npy.ts';
export * from './compositions/index.ts';
export type { OpCall } from './execute.ts';
export type { NestedArray } from './read.ts';
export type { Range } from './ops/views.ts';
export type {
  Broadcast,
  Known,
  MatMul,
  Mismatch,
  Permuted,
  Reduced,
  Reshaped,
  Size,
  Transposed,
} from './types/shapes.ts';
export * as ir from './ir.ts';
