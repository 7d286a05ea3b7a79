/** @infinigrad/tensor/node: files. */
export { writeFileAtomic } from './files.ts';
export {
  loadSafetensors,
  openSafetensors,
  saveSafetensors,
  type LazyTensor,
  type OpenOptions,
  type TensorFile,
  type TensorInfo,
} from './safetensors.ts';
export * from './sharded.ts';
export * from './numpy.ts';
