/** Models with a compressive memory as generation reads them. */
import { RecurrentCache } from '@infinigrad/nn';
import { concat, ValueError, type Tensor } from '@infinigrad/tensor';
import type { InfiniLlamaForCausalLM } from '../infini/llama.ts';
import type { InfiniTransformer, Memories } from '../infini/model.ts';
import type { ReadableModel, Reader, ReaderOptions } from './model.ts';

type Infini = InfiniTransformer | InfiniLlamaForCausalLM;

/** The memories after the last whole segment, and the tokens since. */
type State = {
  readonly memories: Memories | null;
  readonly pending: Tensor | null;
};

/**
 * A reader that carries the compressive memories from segment to segment, and reads the segment at hand anew for each token:
 * what it remembers, and the cost of a token, stay the same however long the text is. Rows must be of one length, since a
 * segment begins for all of them together.
 */
export function infiniDecoder(model: Infini): ReadableModel {
  return { config: model.config, reader: (options) => infiniReader(model, options) };
}

function infiniReader(model: Infini, { leftPadding }: ReaderOptions): Reader {
  if (leftPadding)
    throw new ValueError('generate', "the Infini-Transformer's segments begin for all rows together", {
      hint: 'prompts of one length, or one after the other',
    });
  const { segmentLength } = model.config;
  const held = new RecurrentCache<State>();
  return {
    read: (tokens, { hidden = false } = {}) => {
      if (hidden)
        throw new ValueError('generate', 'the Infini-Transformer gives no hidden states', {
          hint: 'leave out penaltyAlpha',
        });
      const before = held.state;
      let memories = before?.memories ?? null;
      let pending = before?.pending ? concat([before.pending, tokens], 1) : tokens;
      const length = pending.shape[1]!;
      // The last segment may grow, so that its memories are not kept until it is whole.
      const whole = length - (length % segmentLength || segmentLength);
      if (whole > 0) {
        ({ memories } = forward(model, pending.narrow(1, 0, whole), memories, 0));
        pending = pending.narrow(1, whole, length - whole);
      }
      const last = forward(model, pending, memories, 1);
      const ended = pending.shape[1] === segmentLength;
      held.update(
        ended ? { memories: last.memories, pending: null } : { memories, pending },
        tokens.shape[1]!,
      );
      return { logits: last.logits.squeeze(1) };
    },
    reorder: (rows) => held.reorder(rows),
    release: () => held.reset(),
  };
}

function forward(
  model: Infini,
  tokens: Tensor,
  memories: Memories | null,
  lastLogits: number,
): ReturnType<Infini['forward']> {
  return model.forward(tokens, { lastLogits, ...(memories && { memories }) });
}
