/** How the next token of each row is found. */
import { keep, type Tensor } from '@infinigrad/tensor';
import type { Reader } from './model.ts';
import type { Settings } from './options.ts';
import type { Opened } from './prompts.ts';
import { tokenTensor } from './readers.ts';
import { readResult } from './reading.ts';
import { besideLogProbs, drawn, mostLikely, wide } from './sampling.ts';

export interface Choice {
  readonly tokens: readonly number[];
  readonly logProbs?: readonly number[];
  readonly scores?: Tensor;
}

export interface Strategy {
  /**
   * @param last what was chosen before (padding for rows that have ended); null at first
   * @param sequences all tokens of each row
   */
  next(
    last: readonly number[] | null,
    sequences: readonly (readonly number[])[],
    step: number,
  ): Promise<Choice>;
  /** Gives back what it holds beside the reader. */
  release?(): void;
}

/** Row i `times` times, for each of `count` rows. */
export const repeated = (count: number, times: number): number[] =>
  Array.from({ length: count * times }, (_, i) => Math.floor(i / times));

/** Greedy, or by draws. Prompts are read once, however many rows go on from each. */
export class Stepwise implements Strategy {
  readonly #reader: Reader;
  readonly #opened: Opened;
  readonly #settings: Settings;

  constructor(opened: Opened, settings: Settings) {
    this.#reader = opened.reader;
    this.#opened = opened;
    this.#settings = settings;
  }

  async next(
    last: readonly number[] | null,
    sequences: readonly (readonly number[])[],
    step: number,
  ): Promise<Choice> {
    const { processor, key, outputLogProbs, outputScores, numReturnSequences: copies } = this.#settings;
    const prompts = this.#opened.first;
    let scores: Tensor | undefined;
    const read = await readResult(() => {
      const tokens = tokenTensor(last ? last.map((token) => [token]) : prompts);
      let { logits } = this.#reader.read(tokens);
      if (!last && copies > 1) {
        const rows = repeated(prompts.length, copies);
        this.#reader.reorder(rows);
        logits = logits.indexSelect(0, rowTensor(rows, logits));
      }
      const processed = processor(wide(logits), { sequences, newTokens: step });
      if (outputScores) scores = keep(processed);
      const chosen = key ? drawn(processed, key.foldIn(step)) : mostLikely(processed);
      return outputLogProbs ? besideLogProbs(chosen, processed) : chosen;
    });
    const numbers = Array.from(read);
    return {
      tokens: numbers.slice(0, sequences.length),
      ...(outputLogProbs && { logProbs: numbers.slice(sequences.length) }),
      ...(outputScores && { scores: scores! }),
    };
  }
}

export function rowTensor(rows: readonly number[], { backend }: Tensor): Tensor {
  return tokenTensor([rows], backend).reshape([rows.length]);
}
