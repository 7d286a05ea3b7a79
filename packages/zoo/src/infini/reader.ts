/** How `generate` reads texts with a compressive memory. */
import type { Tensor } from '@infinigrad/tensor';
import type { Reader, ReaderOptions } from '../generation/model.ts';
import { segmentReader } from '../generation/segments.ts';
import type { InfiniForwardOptions, Memories } from './model.ts';

interface Model {
  readonly config: { readonly segmentLength: number };
  forward(
    tokens: Tensor,
    options: InfiniForwardOptions,
  ): { readonly logits: Tensor; readonly memories: Memories; readonly hiddenStates?: readonly Tensor[] };
}

/** @throws ValueError for rows of several lengths */
export function infiniReader(model: Model, options: ReaderOptions): Reader {
  const { segmentLength } = model.config;
  return segmentReader<Memories>(
    segmentLength,
    options,
    (tokens, memories, lastLogits, outputHiddenStates) => {
      const made = model.forward(tokens, { lastLogits, outputHiddenStates, ...(memories && { memories }) });
      return { logits: made.logits, hidden: made.hiddenStates?.at(-1), carried: made.memories };
    },
  );
}
