/** The compressive memory of Infini-attention. */
export * from './compressive-memory.ts';
export type { CompressiveMemoryOptions } from './options.ts';
export {
  memoryParameters,
  writeOpenness,
  type MemoryParameterOptions,
  type MemoryParameters,
} from './parameters.ts';
export {
  memoryBytes,
  retrieveMemory,
  walkMemory,
  type MemoryRules,
  type MemoryState,
  type MemoryWalk,
} from './rules.ts';
export { throughMemory, type MemorySettings, type SegmentedInput, type SegmentedOutput } from './segments.ts';
