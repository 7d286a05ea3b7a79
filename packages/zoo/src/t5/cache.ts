/** What the decoder of an encoder-decoder remembers: of its own tokens, and of the encoded text. */
import { Cache, KeyValueCache, RecurrentCache } from '@infinigrad/nn';
import type { Tensor } from '@infinigrad/tensor';
import { ModelCache, type ModelCacheOptions } from '../core/model-cache.ts';

/** Of one layer: the keys and values of the tokens decoded, and those of the encoded text, made once. */
export class EncoderDecoderLayerCache extends Cache {
  readonly own: KeyValueCache;
  readonly encoded: KeyValueCache;

  constructor(own: KeyValueCache, encoded: KeyValueCache) {
    super();
    this.own = own;
    this.encoded = encoded;
  }

  get length(): number {
    return this.own.length;
  }

  get bytes(): number {
    return this.own.bytes + this.encoded.bytes;
  }

  clone(): EncoderDecoderLayerCache {
    return new EncoderDecoderLayerCache(this.own.clone(), this.encoded.clone());
  }

  reorder(rows: readonly number[]): void {
    this.own.reorder(rows);
    this.encoded.reorder(rows);
  }

  /** The encoded text stays. */
  truncate(length: number): void {
    this.own.truncate(length);
  }

  reset(): void {
    this.own.reset();
    this.encoded.reset();
  }
}

/** The caches of all layers, and which tokens of the encoded text are padding. */
export class EncoderDecoderCache extends ModelCache<EncoderDecoderLayerCache> {
  readonly #mask: RecurrentCache<Tensor>;

  constructor(layers: readonly EncoderDecoderLayerCache[], mask = new RecurrentCache<Tensor>()) {
    super(layers);
    this.#mask = mask;
  }

  /** Whether an encoded text has been read: further calls need none. */
  get encoded(): boolean {
    return (this.layers[0]?.encoded.content ?? null) !== null;
  }

  /** bool [batch, S], false for padding of the encoded text; null where there is none. */
  get encoderMask(): Tensor | null {
    return this.#mask.state;
  }

  /** Remembers the padding of the text that is about to be read. */
  keepEncoderMask(mask: Tensor): void {
    this.#mask.update(mask, 0);
  }

  override get bytes(): number {
    return super.bytes + this.#mask.bytes;
  }

  override clone(): EncoderDecoderCache {
    return new EncoderDecoderCache(
      this.layers.map((layer) => layer.clone()),
      this.#mask.clone(),
    );
  }

  override reorder(rows: readonly number[]): void {
    super.reorder(rows);
    this.#mask.reorder(rows);
  }

  override reset(): void {
    super.reset();
    this.#mask.reset();
  }
}

/** An empty one of so many layers. */
export function encoderDecoderCache(
  layers: number,
  { maxLength, leftPadding }: ModelCacheOptions,
): EncoderDecoderCache {
  return new EncoderDecoderCache(
    Array.from(
      { length: layers },
      () => new EncoderDecoderLayerCache(new KeyValueCache({ maxLength, leftPadding }), new KeyValueCache()),
    ),
  );
}
