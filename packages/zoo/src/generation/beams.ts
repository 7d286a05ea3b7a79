/** Beam search, with the choices of Hugging Face's `_beam_search` (Transformers 5). */
import { Turns } from '@infinigrad/nn';
import { concat, type Tensor } from '@infinigrad/tensor';
import { inferenceMode } from '@infinigrad/autograd';
import type { GenerativeModel } from './model.ts';
import type { Settings } from './options.ts';
import { openReader, type Opened } from './prompts.ts';
import { tokenTensor } from './readers.ts';
import { readResult } from './reading.ts';
import { wide } from './sampling.ts';
import { finishReason, type FinishReason } from './stopping.ts';

interface Beam {
  /** New tokens. */
  readonly tokens: readonly number[];
  /** Sum of log-probabilities. */
  readonly score: number;
  /** The row of the batch that it went on from. */
  readonly row: number;
}

export interface EndedBeam {
  readonly tokens: readonly number[];
  /** Sum of log-probabilities / length ** lengthPenalty. */
  readonly score: number;
  readonly reason: FinishReason;
}

/** What makes a beam lose to all others: at first all beams of a prompt but one, which are copies of it. */
const hopeless = -1e9;

/** Best first, equal ones in order. */
const best = <T extends { readonly score: number }>(all: readonly T[], count: number): T[] =>
  all.toSorted((a, b) => b.score - a.score).slice(0, count);

/** The beams of one prompt. */
class Search {
  readonly #settings: Settings;
  running: readonly Beam[];
  ended: readonly EndedBeam[] = [];
  /** False once those that go on look no better than those that have ended. */
  #hopeful = true;
  #continues = true;

  constructor(settings: Settings, first: number) {
    this.#settings = settings;
    this.running = Array.from({ length: settings.numBeams }, (_, i) => ({
      tokens: [],
      score: i === 0 ? 0 : hopeless,
      row: first + i,
    }));
  }

  get full(): boolean {
    return this.ended.length === this.#settings.numBeams;
  }

  get hopeful(): boolean {
    return this.#hopeful;
  }

  /** Whether any beam can be continued. */
  get continues(): boolean {
    return this.#continues;
  }

  /** The rows of the batch are the running beams, in order. */
  number(first: number): void {
    this.running = this.running.map((beam, i) => ({ ...beam, row: first + i }));
  }

  /** @param choices the most likely next tokens of each running beam, with their log-probabilities */
  advance(choices: readonly (readonly (readonly [token: number, logProb: number])[])[], width: number): void {
    const { numBeams, lengthPenalty, earlyStopping, maxNewTokens } = this.#settings;
    const candidates = best(
      this.running.flatMap(({ tokens, score, row }, beam) =>
        choices[beam]!.map(([token, logProb]) => ({
          tokens: [...tokens, token],
          score: score + logProb,
          row,
        })),
      ),
      width,
    ).map((beam) => ({ ...beam, reason: finishReason(beam.tokens, this.#settings) }));
    const length = candidates[0]!.tokens.length;
    // Beams that have just ended stay only where there are too few others.
    const running = candidates.map(({ reason, ...beam }) =>
      reason ? { ...beam, score: beam.score + hopeless } : beam,
    );
    this.running = best(running, numBeams);
    if (this.#hopeful && !(this.full && earlyStopping === true)) {
      // Those behind the first are there to go on, should all of the first have ended.
      const now = candidates.slice(0, numBeams).filter(({ reason }) => reason !== null);
      const penalized = now.map(({ tokens, score, reason }) => ({
        tokens,
        score: score / length ** lengthPenalty,
        reason: reason!,
      }));
      this.ended = best([...this.ended, ...penalized], numBeams);
    }
    this.#continues = candidates.some(({ reason }) => reason === null);
    const reach = earlyStopping === 'never' && lengthPenalty > 0 ? maxNewTokens : length;
    const worst = this.full ? Math.min(...this.ended.map(({ score }) => score)) : hopeless;
    this.#hopeful &&= this.running[0]!.score / reach ** lengthPenalty > worst;
  }
}

/** The best `numReturnSequences` beams of each prompt, best first. */
export async function beamSearch(
  model: GenerativeModel,
  rows: readonly (readonly number[])[],
  settings: Settings,
): Promise<EndedBeam[][]> {
  settings.signal?.throwIfAborted();
  const opened = openReader(model, rows, settings);
  try {
    return await search(opened, settings);
  } finally {
    opened.reader.release();
  }
}

async function search({ reader, first, sequences }: Opened, settings: Settings): Promise<EndedBeam[][]> {
  const { numBeams, eosCount, earlyStopping, numReturnSequences } = settings;
  // So many that there are enough which go on, even if all others end.
  const width = Math.max(2, 1 + eosCount) * numBeams;
  const searches = sequences.map((_, i) => new Search(settings, i * numBeams));
  const turns = new Turns();
  const goesOn = (): boolean =>
    searches.some(({ hopeful }) => hopeful) &&
    !(earlyStopping === true && searches.every(({ full }) => full)) &&
    searches.some(({ continues }) => continues);
  for (let step = 0; ; step++) {
    await turns.give();
    settings.signal?.throwIfAborted();
    // At first the beams of a prompt are one: it is read once, and counts for all of them.
    const beams = step === 0 ? 1 : numBeams;
    const read = await readResult(() => {
      const running = searches.flatMap((search) => search.running);
      const tokens = step === 0 ? first : running.map((beam) => [beam.tokens.at(-1)!]);
      const { logits } = reader.read(tokenTensor(tokens));
      const context = {
        sequences: sequences.flatMap((prompt, i) =>
          searches[i]!.running.slice(0, beams).map((beam) => [...prompt, ...beam.tokens]),
        ),
        newTokens: step,
      };
      return topChoices(settings.processor(wide(logits).logSoftmax(-1), context), width);
    });
    const count = read.length / (2 * sequences.length * beams);
    const choicesOf = (row: number): (readonly [number, number])[] =>
      Array.from({ length: count }, (_, i) => {
        const at = row * count + i;
        return [read[read.length / 2 + at]!, read[at]!];
      });
    searches.forEach((search, i) =>
      search.advance(
        search.running.map((_, beam) => choicesOf(beams === 1 ? i : i * numBeams + beam)),
        width,
      ),
    );
    if (!goesOn()) break;
    const picked = searches.flatMap((search) => search.running.map(({ row }) => row));
    inferenceMode(() => {
      if (step === 0) reader.reorder(picked.map((row) => Math.floor(row / numBeams)));
      else if (picked.some((row, i) => row !== i)) reader.reorder(picked);
    });
    searches.forEach((search, i) => search.number(i * numBeams));
  }
  return searches.map(({ ended }) => ended.slice(0, numReturnSequences));
}

/** The largest of each row and their tokens, [2 · rows · width] in one tensor for one read. Tokens below 2^24 are exact in f32. */
function topChoices(scores: Tensor, width: number): Tensor {
  const { values, indices } = scores.topK(Math.min(width, scores.shape[1]!), -1);
  return concat([values.reshape([-1]), indices.cast(values.dtype).reshape([-1])], 0);
}
