/** What a layer remembers of the tokens that it has read, so that the next one costs no second reading. */
import { noGrad } from '@infinigrad/autograd';
import {
  bytesPerElement,
  fromData,
  isContiguous,
  pin,
  retire,
  ShapeError,
  storagesOf,
  Tensor,
  ValueError,
} from '@infinigrad/tensor';

/**
 * The memory of one layer while it reads a sequence in pieces. It changes as the layer reads, and holds its tensors beyond
 * scopes; what it replaces goes with the scope at hand. It keeps values without history: gradients end at it (the layers'
 * functional forms, where there are any, take a state and return the next one instead).
 */
export abstract class Cache {
  /** Tokens read so far, of each row of the batch. */
  abstract get length(): number;
  /** Bytes that it keeps in memory. What it shares with a clone counts in both. */
  abstract get bytes(): number;
  /** A cache of the same content that goes its own way from here. */
  abstract clone(): Cache;
  /**
   * Row i of the batch becomes what row `rows[i]` was: beam search, and batches that shrink or grow.
   * @throws ValueError for rows that are not there
   */
  abstract reorder(rows: readonly number[]): void;
  /**
   * Forgets all after the first `length` tokens.
   * @throws ValueError for a length above the present one, and where what came before is not known any more
   */
  abstract truncate(length: number): void;
  /** Forgets everything and gives the memory back. */
  abstract reset(): void;
}

/** A tensor, or tensors in arrays and plain objects as deep as you like; null stays null. */
export type CacheTree =
  | Tensor
  | null
  | readonly CacheTree[]
  | { readonly [key: string]: CacheTree | undefined };

/** A handle of the cache's own to the elements of a tensor, without history; it outlives scopes until it is released. @throws ValueError inside vmap and jvp */
export function hold(x: Tensor): Tensor {
  checkPlain(x);
  const lone = isContiguous(x.layout) && x.storage.bytes === x.size * bytesPerElement(x.dtype);
  const { storage, layout, dtype } = lone ? x : noGrad(() => x.detach().clone());
  return pin(new Tensor(storage, layout, dtype));
}

/** @throws ValueError for what vmap or jvp go through: a cache would lose what goes with it */
export function checkPlain(x: Tensor): void {
  if (storagesOf(x).length > 1)
    throw new ValueError('Cache', 'cannot keep what vmap or jvp go through', {
      operands: [x],
      hint: 'hand the state over as an argument, and return the next one',
    });
}

/** A further handle to what is held: whoever gets it may have it as long as he likes. */
export function handle({ storage, layout, dtype }: Tensor): Tensor {
  return new Tensor(storage, layout, dtype);
}

/** Ends what `hold` began. */
export function release(x: Tensor): void {
  retire(x.storage);
}

/** @throws ValueError for rows that are not in a batch of that size */
export function checkRows(op: string, rows: readonly number[], batch: number): void {
  for (const row of rows)
    if (!Number.isInteger(row) || row < 0 || row >= batch)
      throw new ValueError(op, `the batch has ${batch} rows, got row ${row}`);
}

/** The rows of a tensor with those numbers. */
export function pickedRows(x: Tensor, rows: readonly number[]): Tensor {
  return x.indexSelect(0, fromData(Int32Array.from(rows), [rows.length], { backend: x.backend }));
}

/** @throws ValueError for what is no number of tokens up to `length` */
export function checkTruncation(op: string, to: number, length: number): void {
  if (!Number.isInteger(to) || to < 0 || to > length)
    throw new ValueError(op, `needs an integer from 0 to ${length}, the tokens read so far, got ${to}`);
}

function mapCache<T extends CacheTree>(tree: T, f: (x: Tensor) => Tensor): T {
  const walk = (at: CacheTree | undefined): unknown => {
    if (at instanceof Tensor) return f(at);
    if (at === null || at === undefined) return at;
    if (Array.isArray(at)) return (at as readonly CacheTree[]).map(walk);
    return Object.fromEntries(Object.entries(at).map(([key, part]) => [key, walk(part as CacheTree)]));
  };
  return walk(tree) as T;
}

function tensorsOf(tree: CacheTree): Tensor[] {
  const found: Tensor[] = [];
  mapCache(tree, (x) => {
    found.push(x);
    return x;
  });
  return found;
}

/**
 * The state of a recurrence: a tree of tensors whose first axis is the batch. Its size does not depend on how much has been
 * read, and what has been read cannot be taken out of it again.
 */
export class RecurrentCache<State extends CacheTree = CacheTree> extends Cache {
  #state: State | null = null;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get bytes(): number {
    return tensorsOf(this.#state).reduce((total, x) => total + x.size * bytesPerElement(x.dtype), 0);
  }

  /** The state after the last token; null before the first. */
  get state(): State | null {
    return this.#state === null ? null : mapCache(this.#state, handle);
  }

  /**
   * Takes the state after so many more tokens in the place of the one before.
   * @throws ValueError where `tokens` is no integer ≥ 0; ShapeError where the state holds a tensor without a batch axis
   */
  update(state: State, tokens: number): void {
    if (!Number.isInteger(tokens) || tokens < 0)
      throw new ValueError('RecurrentCache', `the number of tokens must be an integer ≥ 0, got ${tokens}`);
    for (const x of tensorsOf(state))
      if (x.rank === 0)
        throw new ShapeError('RecurrentCache', 'the first axis of a state is the batch', { operands: [x] });
    this.#replace(mapCache(state, hold));
    this.#length += tokens;
  }

  clone(): RecurrentCache<State> {
    const copy = new RecurrentCache<State>();
    copy.#state = this.#state === null ? null : mapCache(this.#state, (x) => hold(handle(x)));
    copy.#length = this.#length;
    return copy;
  }

  reorder(rows: readonly number[]): void {
    const state = this.#state;
    if (state === null) return;
    for (const x of tensorsOf(state)) checkRows('RecurrentCache.reorder', rows, x.shape[0]!);
    this.#replace(mapCache(state, (x) => hold(noGrad(() => pickedRows(x, rows)))));
  }

  /** Only to where it stands, or to 0. @throws ValueError for any other length */
  truncate(length: number): void {
    checkTruncation('RecurrentCache.truncate', length, this.#length);
    if (length === this.#length) return;
    if (length > 0)
      throw new ValueError(
        'RecurrentCache.truncate',
        `a recurrent state cannot forget the last ${this.#length - length} tokens alone`,
        { hint: 'clone() the cache before reading what may have to be taken back' },
      );
    this.reset();
  }

  reset(): void {
    this.#replace(null);
    this.#length = 0;
  }

  #replace(state: State | null): void {
    const before = this.#state;
    this.#state = state;
    for (const x of tensorsOf(before)) release(x);
  }
}
