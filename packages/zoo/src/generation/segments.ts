/** Models that read segment by segment, and carry something from one to the next, as generation reads them. */
import { RecurrentCache, type CacheTree } from '@infinigrad/nn';
import { concat, ValueError, type Tensor } from '@infinigrad/tensor';
import type { ReadableModel, Reader, ReaderOptions } from './model.ts';

interface Step<S> {
  readonly logits: Tensor;
  /** The last layer's, where it was asked for. */
  readonly hidden: Tensor | undefined;
  readonly carried: S | null;
}

/** Reads tokens after those that `carried` knows of. */
type Read<S> = (tokens: Tensor, carried: S | null, lastLogits: number, hidden: boolean) => Step<S>;

/** A model with a compressive memory as `generate` takes it: the model itself, which has a reader. */
export function infiniDecoder(model: ReadableModel): ReadableModel {
  return model;
}

/**
 * A reader that carries what a model makes of whole segments from one to the next, and reads the segment at hand anew for each token:
 * what it remembers, and the cost of a token, stay the same however long the text is.
 * @throws ValueError for rows of several lengths: a segment begins for all of them together
 */
export function segmentReader<S>(
  segmentLength: number,
  { leftPadding }: ReaderOptions,
  step: Read<S>,
): Reader {
  if (leftPadding)
    throw new ValueError('generate', 'segments begin for all rows together', {
      hint: 'prompts of one length, or one after the other',
    });
  /** What is carried over the last whole segment, and the tokens since. */
  const held = new RecurrentCache<{ readonly carried: CacheTree; readonly pending: Tensor | null }>();
  return {
    read: (tokens, { hidden = false } = {}) => {
      const before = held.state;
      let carried = (before?.carried ?? null) as S | null;
      let pending = before?.pending ? concat([before.pending, tokens], 1) : tokens;
      const length = pending.shape[1]!;
      // The last segment may grow, so that what it carries over is not kept until it is whole.
      const whole = length - (length % segmentLength || segmentLength);
      const states: Tensor[] = [];
      if (whole > 0) {
        const past = step(pending.narrow(1, 0, whole), carried, 0, hidden);
        if (past.hidden) states.push(past.hidden);
        carried = past.carried;
        pending = pending.narrow(1, whole, length - whole);
      }
      const last = step(pending, carried, 1, hidden);
      if (last.hidden) states.push(last.hidden);
      const ended = pending.shape[1] === segmentLength;
      const count = tokens.shape[1]!;
      held.update(
        ended
          ? { carried: last.carried as CacheTree, pending: null }
          : { carried: carried as CacheTree, pending },
        count,
      );
      const logits = last.logits.squeeze(1);
      return hidden ? { logits, hidden: concat(states, 1).narrow(1, length - count, count) } : { logits };
    },
    reorder: (rows) => held.reorder(rows),
    release: () => held.reset(),
  };
}
