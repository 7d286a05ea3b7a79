/** @infinigrad/tensor/node: files. */
export * from './files.ts';
export * from './safetensors.ts';
