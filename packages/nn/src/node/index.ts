/** @infinigrad/nn/node: what training needs of a file system. */
export { CheckpointError } from './errors.ts';
export { Checkpoints, type CheckpointsOptions } from './checkpoints.ts';
export { JsonLinesFile } from './json-lines-file.ts';
export { TensorBoard, type TensorBoardOptions } from './tensorboard.ts';
