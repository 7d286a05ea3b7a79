/** @infinigrad/nn/node: what training needs of a file system. */
export { CheckpointError } from './errors.ts';
export { Checkpoints, type CheckpointsOptions } from './checkpoints.ts';
