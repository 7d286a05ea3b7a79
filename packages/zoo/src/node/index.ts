/** @infinigrad/zoo/node: models in folders. */
export * from './pretrained.ts';
