/** @infinigrad/zoo/node: models in folders. */
export * from './from-pretrained.ts';
export * from './save-pretrained.ts';
export type { ModelCard } from './model-card.ts';
export * from './pretrained.ts';
export * from './hub.ts';
export { DownloadError } from './origin.ts';
