/** @infinigrad/nn/node: what training needs of a file system. */
export { CheckpointError } from './errors.ts';
export { Checkpoints, type CheckpointsOptions } from './checkpoints.ts';
export { JsonLinesFile } from './json-lines-file.ts';
export { TensorBoard, type TensorBoardOptions } from './tensorboard.ts';
export { textFiles, type TextFilesOptions } from './text-files.ts';
export { serveSource, workerSource, type WorkerSource, type WorkerSourceOptions } from './worker-source.ts';
export { showProgress, type ProgressOptions } from './progress.ts';
