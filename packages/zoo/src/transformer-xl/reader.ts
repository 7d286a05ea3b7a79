/** How `generate` reads texts with a Transformer-XL. */
import type { Reader, ReaderOptions } from '../generation/model.ts';
import { segmentReader } from '../generation/segments.ts';
import type { TransformerXL, XLMemory } from './model.ts';

/** @throws ValueError for rows of several lengths */
export function xlReader(model: TransformerXL, options: ReaderOptions): Reader {
  const { segmentLength } = model.config;
  return segmentReader<XLMemory>(segmentLength, options, (tokens, memory, lastLogits, outputHiddenStates) => {
    const made = model.forward(tokens, { lastLogits, outputHiddenStates, memory });
    return { logits: made.logits, hidden: made.hiddenStates?.at(-1), carried: made.memory };
  });
}
