/** Who may see whom in attention: masks as values that are put together with `and` and `or`. */
import {
  arange,
  DTypeError,
  fromData,
  full,
  ShapeError,
  ValueError,
  type Backend,
  type Tensor,
} from '@infinigrad/tensor';
import { checkSizes } from '../init.ts';

/** What a mask is built for; the last query stands beside the last key. */
export interface MaskSizes {
  readonly queries: number;
  readonly keys: number;
  readonly backend: Backend;
}

type Build = (sizes: MaskSizes) => Tensor;

/** Which keys a query may see, whatever their numbers. Built when attention wants it, or by `tensor`. */
export class AttentionMask {
  /** No query sees a key after itself. */
  readonly causal: boolean;
  readonly #further: Build | null;

  /** @param further what must hold besides: bool, broadcasts to [batch, heads, T_q, T_k] */
  constructor(causal: boolean, further: Build | null) {
    this.causal = causal;
    this.#further = further;
  }

  /** Sees what both let see. */
  and(other: AttentionMask): AttentionMask {
    const parts = [this.#further, other.#further].filter((build) => build !== null);
    return new AttentionMask(
      this.causal || other.causal,
      parts.length === 0
        ? null
        : (sizes) => parts.map((build) => build(sizes)).reduce((a, b) => a.logicalAnd(b)),
    );
  }

  /** Sees what either lets see. */
  or(other: AttentionMask): AttentionMask {
    return new AttentionMask(false, (sizes) => this.tensor(sizes).logicalOr(other.tensor(sizes)));
  }

  /** All but causality, which attention knows by itself; null where there is nothing else. */
  beside(sizes: MaskSizes): Tensor | null {
    return this.#further?.(sizes) ?? null;
  }

  /** bool, broadcasts to [batch, heads, T_q, T_k]; true where a query may see a key. */
  tensor(sizes: MaskSizes): Tensor {
    const further = this.beside(sizes);
    if (!this.causal) return further ?? full([1, 1], true, { backend: sizes.backend });
    const before = distances(sizes).ge(0);
    return further ? before.logicalAnd(further) : before;
  }
}

/** Position of the query less position of the key, i32 [T_q, T_k]. */
function distances({ queries, keys, backend }: MaskSizes): Tensor {
  const count = (from: number, size: number): Tensor =>
    arange(from, from + size, 1, { dtype: 'i32', backend });
  return count(keys - queries, queries)
    .unsqueeze(1)
    .sub(count(0, keys));
}

/** Each query sees the keys not after it. */
export function causalMask(): AttentionMask {
  return new AttentionMask(true, null);
}

/**
 * Each query sees the last `size` keys up to its own (arXiv 2004.05150; Mistral), or with `bidirectional` all whose distance
 * is below `size`, on either side.
 */
export function windowMask(
  size: number,
  { bidirectional = false }: { readonly bidirectional?: boolean } = {},
): AttentionMask {
  checkSizes('windowMask', { size });
  return new AttentionMask(!bidirectional, (sizes) => {
    const distance = distances(sizes);
    return bidirectional ? distance.abs().lt(size) : distance.lt(size);
  });
}

/** Keys that are there. @param present bool [batch, T_k] or [T_k], false for padding */
export function paddingMask(present: Tensor): AttentionMask {
  if (present.dtype !== 'bool')
    throw new DTypeError('paddingMask', 'must be bool', {
      operands: [present],
      hint: 'true for tokens that are there',
    });
  if (present.rank !== 1 && present.rank !== 2)
    throw new ShapeError('paddingMask', 'needs [batch, T] or [T]', { operands: [present] });
  return new AttentionMask(false, ({ keys }) => {
    if (present.shape.at(-1) !== keys)
      throw new ShapeError('paddingMask', `is for ${present.shape.at(-1)} keys, not ${keys}`, {
        operands: [present],
      });
    return present.rank === 1 ? present : present.reshape([present.shape[0]!, 1, 1, keys]);
  });
}

/**
 * The first keys, which every query sees; one number, or one for each row of the batch. `causalMask().or(prefixMask(n))` is that of a
 * prefix language model (arXiv 1910.10683, figure 4).
 */
export function prefixMask(lengths: number | readonly number[]): AttentionMask {
  const list = typeof lengths === 'number' ? [lengths] : lengths;
  for (const length of list)
    if (!Number.isInteger(length) || length < 0)
      throw new ValueError('prefixMask', `lengths must be integers ≥ 0, got ${length}`);
  return new AttentionMask(false, ({ keys, backend }) => {
    const seen = list.flatMap((length) => Array.from({ length: keys }, (_, j) => Number(j < length)));
    return fromData(Uint8Array.from(seen), [list.length, 1, 1, keys], { dtype: 'bool', backend });
  });
}

/**
 * Tokens of one document see each other, several documents packed into one row.
 * @param documents which one each token belongs to, i32 [batch, T] or [T]; or the lengths of the documents of one row, or of
 * each row, one after the other (what is left over belongs to none and sees itself)
 */
export function documentMask(
  documents: Tensor | readonly number[] | readonly (readonly number[])[],
): AttentionMask {
  const lengths = Array.isArray(documents) ? rowsOf(documents as readonly number[]) : null;
  const given = lengths ? null : (documents as Tensor);
  if (given && given.dtype !== 'i32')
    throw new DTypeError('documentMask', 'documents must be integers', {
      operands: [given],
      hint: "cast('i32') converts",
    });
  if (given && given.rank !== 1 && given.rank !== 2)
    throw new ShapeError('documentMask', 'needs [batch, T] or [T]', { operands: [given] });
  return new AttentionMask(false, ({ queries, keys, backend }) => {
    const ids = given ?? documentIds(lengths!, keys, backend);
    if (ids.shape.at(-1) !== keys)
      throw new ShapeError('documentMask', `is for ${ids.shape.at(-1)} keys, not ${keys}`, {
        operands: [ids],
      });
    const of = (x: Tensor): Tensor => (x.rank === 1 ? x : x.unsqueeze(1));
    const own = of(ids.narrow(-1, keys - queries, queries)).unsqueeze(-1);
    return own.eq(of(ids).unsqueeze(-2));
  });
}

function rowsOf(lengths: readonly number[] | readonly (readonly number[])[]): readonly (readonly number[])[] {
  const rows = (Array.isArray(lengths[0]) ? lengths : [lengths]) as readonly (readonly number[])[];
  for (const length of rows.flat())
    if (!Number.isInteger(length) || length < 0)
      throw new ValueError('documentMask', `lengths must be integers ≥ 0, got ${String(length)}`);
  return rows;
}

/** i32 [rows, length]. */
function documentIds(rows: readonly (readonly number[])[], length: number, backend: Backend): Tensor {
  const ids = rows.map((lengths) => {
    const total = lengths.reduce((sum, n) => sum + n, 0);
    if (total > length)
      throw new ValueError('documentMask', `documents of ${total} tokens do not fit into ${length} keys`);
    const row = lengths.flatMap((n, document) => new Array<number>(n).fill(document));
    return [...row, ...Array.from({ length: length - total }, (_, i) => -1 - i)];
  });
  return fromData(Int32Array.from(ids.flat()), [rows.length, length], { backend });
}
