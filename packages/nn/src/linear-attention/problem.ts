/** What the forms of a linear recurrence work on: checked, masked, scaled, and of one layout. */
import {
  arange,
  DTypeError,
  isFloat,
  isHalf,
  sameShape,
  ShapeError,
  ValueError,
  type Tensor,
} from '@infinigrad/tensor';

/**
 * How a recurrence is computed. `recurrent`: token by token, the definition; the cheapest for a few tokens. `parallel`: all
 * pairs of tokens at once, quadratic in their number. `chunkwise`: pairs inside chunks, a state from chunk to chunk. All
 * three give the same. `auto` takes the fastest of them for the length.
 */
export type RecurrenceForm = 'auto' | 'recurrent' | 'chunkwise' | 'parallel';

/** What has been read, per head. Its size does not depend on how much that was. */
export type RecurrenceState = {
  /** S: [batch, heads, d_key, d_value]. */
  readonly matrix: Tensor;
  /** z, the sum of the keys, [batch, heads, d_key], where outputs are divided by a sum of weights. */
  readonly normalizer?: Tensor;
};

export interface RecurrenceOptions {
  /** Default `auto`. */
  readonly form?: RecurrenceForm;
  /** Tokens of a chunk, a power of two. Default 64. */
  readonly chunkSize?: number;
  /** Factor of the queries. Default 1/√d_key. */
  readonly scale?: number;
  /** The state to start from, as an earlier call returned it. Gradients flow into it. Default: nothing read yet. */
  readonly initialState?: RecurrenceState | null;
  /** bool [batch, T], false for padding: such tokens write nothing, let nothing fade, and get zeros. */
  readonly mask?: Tensor | undefined;
  /**
   * Integers [batch, T]: the document that each token belongs to, of several packed into one sequence. Where the number
   * changes, the state starts anew. The initial state belongs to the first token's document.
   */
  readonly documents?: Tensor | undefined;
}

export interface RecurrenceOutput {
  /** [batch, heads, T, d_value]. */
  readonly output: Tensor;
  /** The state after the last token. */
  readonly state: RecurrenceState;
}

/** S_t = e^{decay_t} S_{t-1} + k_tᵀ v_t, or with β the delta rule; o_t = q_t S_t. */
export interface Problem {
  /** [batch, heads, T, d_key]. */
  readonly q: Tensor;
  readonly k: Tensor;
  /** [batch, heads, T, d_value]. */
  readonly v: Tensor;
  /** Logarithms, [batch, heads, T, 1 or d_key]; null where nothing fades. */
  readonly decay: Tensor | null;
  /** [batch, heads, T, 1]; null for the plain sum. */
  readonly beta: Tensor | null;
  /** 1 at the first token of each document but the first, else 0: [batch, 1, T, 1]. Null for one document. */
  readonly borders: Tensor | null;
  /** [batch, heads, d_key, d_value]; null for zeros. */
  readonly state: Tensor | null;
}

export interface Gates {
  /** [batch, heads, T] or [batch, heads, T, d_key]; may have 1 for the batch. */
  readonly decay?: Tensor;
  /** [batch, heads, T]. */
  readonly beta?: Tensor;
}

/** @throws ShapeError, DTypeError, ValueError for what does not fit */
export function problemOf(
  op: string,
  queries: Tensor,
  keys: Tensor,
  values: Tensor,
  { decay, beta }: Gates,
  options: RecurrenceOptions,
): Problem {
  check(op, queries, keys, values, { ...(decay && { decay }), ...(beta && { beta }) }, options);
  const [batch, , length, dk] = queries.shape as readonly [number, number, number, number];
  const { scale = dk ** -0.5, mask, documents, initialState } = options;
  const dtype = isHalf(queries.dtype) ? 'f32' : queries.dtype;
  const own = (x: Tensor): Tensor => (x.dtype === dtype ? x : x.cast(dtype));
  // Where, not a product: whatever stands in padding stays out.
  const present = mask?.reshape([batch, 1, length, 1]);
  const real = (x: Tensor): Tensor => (present ? present.where(own(x), 0) : own(x));
  const gate = decay && (decay.rank === 4 ? decay : decay.unsqueeze(-1));
  const q = real(queries);
  return {
    q: scale === 1 ? q : q.mul(scale),
    k: real(keys),
    v: real(values),
    decay: gate ? real(gate) : null,
    beta: beta ? real(beta.unsqueeze(-1)) : null,
    borders: documents ? bordersOf(documents, mask).cast(dtype) : null,
    state: initialState ? own(initialState.matrix) : null,
  };
}

/** Where a document other than that of the token before begins, bool [batch, 1, T, 1]; padding belongs to its neighbour. */
export function bordersOf(documents: Tensor, mask: Tensor | undefined): Tensor {
  const [batch, length] = documents.shape as readonly [number, number];
  let ids = documents;
  if (mask) {
    const { backend } = documents;
    const places = arange(length, { dtype: 'i32', backend });
    const first = mask.cast('i32').argMax(-1, true);
    const last = mask.where(places, -1).cummax(-1).values;
    ids = documents.gather(1, last.maximum(first));
  }
  const before = ids.narrow(1, 0, length - 1);
  return ids
    .narrow(1, 1, length - 1)
    .ne(before)
    .pad([
      [0, 0],
      [1, 0],
    ])
    .reshape([batch, 1, length, 1]);
}

function check(
  op: string,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { decay, beta }: Gates,
  options: RecurrenceOptions,
): void {
  const operands = [q, k, v];
  const { form = 'auto', chunkSize = 64, initialState, mask, documents } = options;
  const fits =
    operands.every((x) => x.rank === 4) &&
    sameShape(q.shape, k.shape) &&
    sameShape(q.shape.slice(0, 3), v.shape.slice(0, 3));
  if (!fits || q.size === 0 || v.size === 0)
    throw new ShapeError(op, 'needs q and k [batch, heads, T, d_key] and v [batch, heads, T, d_value]', {
      operands,
    });
  const floating = [...operands, ...(decay ? [decay] : []), ...(beta ? [beta] : [])];
  if (!floating.every((x) => isFloat(x.dtype)))
    throw new DTypeError(op, 'needs floating-point tensors', { operands: floating });
  if (k.dtype !== q.dtype || v.dtype !== q.dtype)
    throw new DTypeError(op, 'q, k and v must have one dtype', { operands });
  const [batch, heads, length, dk] = q.shape as readonly [number, number, number, number];
  const lead = [batch, heads, length];
  if (beta && !sameShape(beta.shape, lead))
    throw new ShapeError(op, `betas must be [${lead.join(', ')}]`, { operands: [q, beta] });
  if (decay) {
    const first = decay.shape[0] === 1 ? 1 : batch;
    if (
      !sameShape(decay.shape, [first, heads, length]) &&
      !sameShape(decay.shape, [first, heads, length, dk])
    )
      throw new ShapeError(op, `gates must be [${lead.join(', ')}] or [${[...lead, dk].join(', ')}]`, {
        operands: [q, decay],
      });
  }
  for (const [name, x, ok] of [
    ['mask', mask, mask?.dtype === 'bool'],
    ['documents', documents, documents !== undefined && !isFloat(documents.dtype)],
  ] as const) {
    if (!x) continue;
    if (!sameShape(x.shape, [batch, length]))
      throw new ShapeError(op, `the ${name} must be [${batch}, ${length}]`, { operands: [q, x] });
    if (!ok)
      throw new DTypeError(op, name === 'mask' ? 'the mask must be bool' : 'documents must be integers', {
        operands: [x],
      });
  }
  if (initialState) {
    const { matrix, normalizer } = initialState;
    const shape = [batch, heads, dk, v.shape[3]!];
    if (!sameShape(matrix.shape, shape) || (normalizer && !sameShape(normalizer.shape, shape.slice(0, 3))))
      throw new ShapeError(op, `the state must be [${shape.join(', ')}]`, {
        operands: normalizer ? [matrix, normalizer] : [matrix],
      });
  }
  if (!['auto', 'recurrent', 'chunkwise', 'parallel'].includes(form))
    throw new ValueError(op, `form must be auto, recurrent, chunkwise or parallel, got '${form}'`);
  if (!Number.isInteger(Math.log2(chunkSize)) || chunkSize < 1)
    throw new ValueError(op, `chunkSize must be a power of two, got ${chunkSize}`);
}
