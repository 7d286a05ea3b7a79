/** The keys and values of the tokens that attention has read. */
import { concat, fromData, ShapeError, ValueError, type Backend, type Tensor } from '@infinigrad/tensor';
import { checkSizes } from '../init.ts';
import { Cache, checkRows, checkTruncation } from './cache.ts';
import { GrowingRows } from './growing-rows.ts';

export interface KeyValueCacheOptions {
  /** Room for so many tokens from the start, and for no more. Default: the room doubles whenever it is full. */
  readonly maxLength?: number | undefined;
  /** Keep the last `window` tokens alone: those that the next one sees under a sliding window. Default: all. */
  readonly window?: number | undefined;
  /** Padding tokens that each row of the batch begins with; no query sees them, and positions count from after them. Default none. */
  readonly leftPadding?: readonly number[] | undefined;
}

export interface KeysAndValues {
  /** [batch, heads, T, d]. */
  readonly keys: Tensor;
  /** [batch, heads, T, d_v]. */
  readonly values: Tensor;
}

/** Rows that there is room for at first. */
const firstRoom = 16;

/**
 * Keys [batch, heads, T, d] and values [batch, heads, T, d_v] of the tokens read so far. A token costs the copying of its own
 * keys and values, not of those before; on a backend that cannot write in place (the GPU) it costs all of them.
 */
export class KeyValueCache extends Cache {
  readonly maxLength: number | undefined;
  readonly window: number | undefined;
  #leftPadding: readonly number[] | null;
  #keys = new GrowingRows('KeyValueCache');
  #values = new GrowingRows('KeyValueCache');
  #length = 0;

  /** @throws ValueError for options that are no integers ≥ 1 (≥ 0 for padding) */
  constructor({ maxLength, window, leftPadding }: KeyValueCacheOptions = {}) {
    super();
    checkSizes('KeyValueCache', {
      ...(maxLength !== undefined && { maxLength }),
      ...(window !== undefined && { window }),
    });
    for (const count of leftPadding ?? [])
      if (!Number.isInteger(count) || count < 0)
        throw new ValueError('KeyValueCache', `leftPadding must hold integers ≥ 0, got ${count}`);
    this.maxLength = maxLength;
    this.window = window;
    this.#leftPadding = leftPadding ? [...leftPadding] : null;
  }

  get length(): number {
    return this.#length;
  }

  get bytes(): number {
    return this.#keys.bytes + this.#values.bytes;
  }

  /** Tokens before the next one that it will see: all, or with a window those that are left in it. */
  get kept(): number {
    const { length } = this.#keys;
    return this.window === undefined ? length : Math.min(length, this.window - 1);
  }

  /** Padding tokens that each row begins with; null where there are none. */
  get leftPadding(): readonly number[] | null {
    return this.#leftPadding;
  }

  /** Keys and values as they are kept; null before the first token. The last ones belong to the last tokens read. */
  get content(): KeysAndValues | null {
    const [keys, values] = [this.#keys.rows, this.#values.rows];
    return keys && values && { keys, values };
  }

  /**
   * Reads the keys and values of further tokens.
   * @param keys [batch, heads, n, d]
   * @param values [batch, heads, n, d_v]
   * @returns what the n queries beside them may see: these keys and values, and before them those kept; of these no gradient
   * @throws ShapeError, DTypeError where they do not fit each other or those before; ValueError where there is no room for them
   */
  append(keys: Tensor, values: Tensor): KeysAndValues {
    const operands = [keys, values];
    if (operands.some(({ rank }) => rank !== 4))
      throw new ShapeError('KeyValueCache', 'needs keys and values [batch, heads, T, d]', { operands });
    const [batch, , count] = keys.shape as readonly [number, number, number];
    if (batch !== values.shape[0] || count !== values.shape[2])
      throw new ShapeError('KeyValueCache', 'keys and values differ in number', { operands });
    if (this.#leftPadding && this.#leftPadding.length !== batch)
      throw new ShapeError('KeyValueCache', `leftPadding is for a batch of ${this.#leftPadding.length}`, {
        operands,
      });
    this.#keys.check(keys);
    this.#values.check(values);
    const { maxLength, window } = this;
    if (maxLength !== undefined && this.#length + count > maxLength)
      throw new ValueError(
        'KeyValueCache',
        `has room for ${maxLength} tokens, of which ${this.#length} are taken; ${count} more do not fit`,
        { hint: 'a larger maxLength, a window, or none of the two' },
      );
    const surplus = this.#keys.length - this.kept;
    const recorded = keys.requiresGrad || values.requiresGrad;
    const seen = recorded ? this.#seen(surplus) : null;
    for (const [rows, x] of [[this.#keys, keys] as const, [this.#values, values] as const]) {
      rows.drop(surplus);
      rows.append(x, this.#room(rows.length + count));
    }
    this.#length += count;
    const stored = this.content!;
    const joined = (before: Tensor | undefined, now: Tensor, all: Tensor): Tensor =>
      !now.requiresGrad ? all : before ? concat([before, now], -2) : now;
    const result = {
      keys: joined(seen?.keys, keys, stored.keys),
      values: joined(seen?.values, values, stored.values),
    };
    if (window !== undefined) this.#compact(window);
    return result;
  }

  /** What is left of the content without its first rows. */
  #seen(surplus: number): KeysAndValues | null {
    const content = this.content;
    const rest = (x: Tensor): Tensor => x.narrow(-2, surplus, x.shape.at(-2)! - surplus);
    return content && { keys: rest(content.keys), values: rest(content.values) };
  }

  #room(needed: number): number {
    const { maxLength, window } = this;
    if (window !== undefined) return Math.max(needed, Math.min(2 * window, maxLength ?? Infinity));
    return maxLength ?? Math.max(firstRoom, needed > firstRoom ? 2 * needed : 0);
  }

  /** Gives up what a long piece has taken beyond the window. */
  #compact(window: number): void {
    const surplus = this.#keys.length - window;
    if (surplus <= window) return;
    for (const rows of [this.#keys, this.#values]) {
      rows.drop(surplus);
      rows.shrink(2 * window);
    }
  }

  /**
   * bool [batch, 1, 1, count] over the last `count` of the first `end` tokens, false where one is padding; null where none is.
   */
  keyMask(end: number, count: number, backend: Backend): Tensor | null {
    const padding = this.#leftPadding;
    const start = end - count;
    if (!padding || padding.every((n) => n <= start)) return null;
    const seen = new Uint8Array(padding.length * count).fill(1);
    padding.forEach((n, row) =>
      seen.fill(0, row * count, row * count + Math.min(count, Math.max(0, n - start))),
    );
    return fromData(seen, [padding.length, 1, 1, count], { dtype: 'bool', backend });
  }

  /**
   * The position of the next token: one for all rows, or where rows begin with padding, one for each; below 0 for what is
   * padding itself.
   */
  get position(): number | readonly number[] {
    return this.#leftPadding?.map((n) => this.#length - n) ?? this.#length;
  }

  clone(): KeyValueCache {
    const { maxLength, window } = this;
    const copy = new KeyValueCache({ maxLength, window, leftPadding: this.#leftPadding ?? undefined });
    copy.#keys = this.#keys.clone();
    copy.#values = this.#values.clone();
    copy.#length = this.#length;
    return copy;
  }

  reorder(rows: readonly number[]): void {
    const padding = this.#leftPadding;
    if (padding) checkRows('KeyValueCache.reorder', rows, padding.length);
    this.#keys.reorder(rows);
    this.#values.reorder(rows);
    if (padding) this.#leftPadding = rows.map((row) => padding[row]!);
  }

  truncate(length: number): void {
    checkTruncation('KeyValueCache.truncate', length, this.#length);
    const left = this.#keys.length - (this.#length - length);
    const { window } = this;
    if (window !== undefined && left < Math.min(length, window - 1))
      throw new ValueError(
        'KeyValueCache.truncate',
        `of the first ${length} tokens the window has kept ${Math.max(0, left)} alone`,
        { hint: 'clone() the cache before reading what may have to be taken back' },
      );
    this.#keys.truncate(left);
    this.#values.truncate(left);
    this.#length = length;
  }

  reset(): void {
    this.#keys.reset();
    this.#values.reset();
    this.#length = 0;
  }
}
