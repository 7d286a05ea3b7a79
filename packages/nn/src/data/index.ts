export type { DataSource, Json } from './source.ts';
export { arrayDataset, tensorDataset, type Dataset } from './dataset.ts';
export { collate, type Collated, type Sample } from './collate.ts';
export { DataLoader, type DataLoaderOptions } from './loader.ts';
export { batched, mapped, shuffled, sourceOf, type BatchedOptions, type ShuffledOptions } from './streams.ts';
export { packed, type PackedRow, type PackOptions } from './packing.ts';
