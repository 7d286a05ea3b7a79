/** Models that read segment by segment, and carry something from one to the next, as generation reads them. */
import { RecurrentCache, type CacheTree } from '@infinigrad/nn';
import { concat, ValueError, type Tensor } from '@infinigrad/tensor';
import type { InfiniLlamaForCausalLM } from '../infini/llama.ts';
import type { InfiniTransformer, Memories } from '../infini/model.ts';
import type { TransformerXL, XLMemory } from '../transformer-xl/model.ts';
import type { ReadableModel, Reader, ReaderOptions } from './model.ts';

interface Step<S> {
  readonly logits: Tensor;
  /** The last layer's, where it was asked for. */
  readonly hidden: Tensor | undefined;
  readonly carried: S | null;
}

interface Segmented<S> {
  readonly config: { readonly segmentLength: number };
  /** Reads tokens after those that `carried` knows of. */
  step(tokens: Tensor, carried: S | null, lastLogits: number, hidden: boolean): Step<S>;
}

/**
 * A reader that carries the compressive memories from segment to segment, and reads the segment at hand anew for each token:
 * what it remembers, and the cost of a token, stay the same however long the text is. Rows must be of one length, since a
 * segment begins for all of them together.
 */
export function infiniDecoder(model: InfiniTransformer | InfiniLlamaForCausalLM): ReadableModel {
  return decoder<Memories>({
    config: model.config,
    step(tokens, memories, lastLogits, outputHiddenStates) {
      const made = model.forward(tokens, { lastLogits, outputHiddenStates, ...(memories && { memories }) });
      return { logits: made.logits, hidden: made.hiddenStates?.at(-1), carried: made.memories };
    },
  });
}

/** The same for a Transformer-XL, which carries the hidden states of the last tokens before a segment. */
export function xlDecoder(model: TransformerXL): ReadableModel {
  return decoder<XLMemory>({
    config: model.config,
    step(tokens, memory, lastLogits, outputHiddenStates) {
      const made = model.forward(tokens, { lastLogits, outputHiddenStates, memory });
      return { logits: made.logits, hidden: made.hiddenStates?.at(-1), carried: made.memory };
    },
  });
}

const decoder = <S>(model: Segmented<S>): ReadableModel => ({
  config: model.config,
  reader: (options) => segmentReader(model, options),
});

function segmentReader<S>({ config, step }: Segmented<S>, { leftPadding }: ReaderOptions): Reader {
  if (leftPadding)
    throw new ValueError('generate', 'segments begin for all rows together', {
      hint: 'prompts of one length, or one after the other',
    });
  const { segmentLength } = config;
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
