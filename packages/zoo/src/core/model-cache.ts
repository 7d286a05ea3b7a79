/** What a model remembers of the tokens that it has read: the caches of its layers. */
import { Cache, KeyValueCache, type KeyValueCacheOptions } from '@infinigrad/nn';

export interface ModelCacheOptions {
  /** Rows of the batch. Default: those of the first call, or of `leftPadding`. */
  readonly batch?: number;
  /** Room for so many tokens from the start, and for no more. Default: it grows. */
  readonly maxLength?: number;
  /** Padding tokens that each row begins with. Default none. */
  readonly leftPadding?: readonly number[];
}

/** The caches of a model's layers, which go together. */
export class ModelCache<Layer extends Cache = Cache> extends Cache {
  readonly layers: readonly Layer[];

  constructor(layers: readonly Layer[]) {
    super();
    this.layers = layers;
  }

  get length(): number {
    return this.layers[0]?.length ?? 0;
  }

  get bytes(): number {
    return this.layers.reduce((total, { bytes }) => total + bytes, 0);
  }

  clone(): ModelCache<Layer> {
    return new ModelCache(this.layers.map((layer) => layer.clone() as Layer));
  }

  reorder(rows: readonly number[]): void {
    for (const layer of this.layers) layer.reorder(rows);
  }

  truncate(length: number): void {
    for (const layer of this.layers) layer.truncate(length);
  }

  reset(): void {
    for (const layer of this.layers) layer.reset();
  }
}

/** A cache of keys and values for each of so many layers. @param window of each layer, where it has one */
export function keyValueCaches(
  layers: number,
  { maxLength, leftPadding }: ModelCacheOptions,
  window: (layer: number) => number | null = () => null,
): ModelCache<KeyValueCache> {
  return new ModelCache(
    Array.from({ length: layers }, (_, i) => {
      const options: KeyValueCacheOptions = { maxLength, leftPadding, window: window(i) ?? undefined };
      return new KeyValueCache(options);
    }),
  );
}
