/** Contrastive search (Su et al. 2022, arXiv 2202.06417): likely tokens that are unlike what was there. */
import { inferenceMode } from '@infinigrad/autograd';
import { RecurrentCache } from '@infinigrad/nn';
import { concat, fromData, keep, type Tensor } from '@infinigrad/tensor';
import type { Reader } from './model.ts';
import type { Settings } from './options.ts';
import type { Opened } from './prompts.ts';
import { tokenTensor } from './readers.ts';
import { readResult } from './reading.ts';
import { wide } from './sampling.ts';
import { repeated, type Choice, type Strategy } from './strategy.ts';

/** Vectors of length 1 along the last axis. */
const unit = (x: Tensor): Tensor => x.div(x.square().sum(-1, true).sqrt());

/**
 * Of the k most likely tokens v the one with the largest (1 - α) p(v) - α max_j cos(h_v, h_j): each candidate is read to know its
 * hidden state h_v, and compared with those of all tokens before it.
 */
export class Contrastive implements Strategy {
  readonly #reader: Reader;
  readonly #opened: Opened;
  readonly #settings: Settings;
  /** Unit vectors of all tokens read, [rows, T, width], and the logits after the last. */
  readonly #known = new RecurrentCache<{ readonly context: Tensor; readonly logits: Tensor }>();
  /** The same of the candidates: [rows · k, 1, width], [rows · k, vocabulary]. */
  readonly #candidates = new RecurrentCache<{ readonly hidden: Tensor; readonly logits: Tensor }>();

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
    const { processor, penaltyAlpha: alpha, outputLogProbs, outputScores } = this.#settings;
    const { first, padding } = this.#opened;
    const rows = first.length;
    let scores: Tensor | undefined;
    let width = 0;
    const read = await readResult(() => {
      if (!last) {
        const { logits, hidden } = this.#reader.read(tokenTensor(first), { hidden: true });
        this.#known.update({ context: unit(wide(hidden!)), logits: wide(logits) }, 0);
      }
      const { context, logits } = this.#known.state!;
      const processed = processor(logits, { sequences, newTokens: step });
      if (outputScores) scores = keep(processed);
      const k = (width = Math.min(this.#settings.candidates, logits.shape[1]!));
      const { values, indices } = processed.softmax(-1).topK(k, -1);
      this.#reader.reorder(repeated(rows, k));
      const next = this.#reader.read(indices.reshape([rows * k, 1]), { hidden: true });
      const hidden = unit(wide(next.hidden!));
      this.#candidates.update({ hidden, logits: wide(next.logits) }, 0);
      const likeness = hidden
        .reshape([rows, k, hidden.shape[2]!])
        .matmul(context.transpose(-1, -2))
        .add(paddingBias(padding, context))
        .max(-1);
      const best = values
        .mul(1 - alpha)
        .sub(likeness.mul(alpha))
        .argMax(-1, true);
      const logProbs = values.gather(-1, best).log();
      const picked = concat([best, indices.gather(-1, best)], 0).reshape([2 * rows]);
      return outputLogProbs ? concat([picked.cast(logProbs.dtype), logProbs.reshape([rows])], 0) : picked;
    });
    const numbers = Array.from(read);
    const picked = numbers.slice(0, rows).map((at, row) => row * width + at);
    this.#advance(picked);
    return {
      tokens: numbers.slice(rows, 2 * rows),
      ...(outputLogProbs && { logProbs: numbers.slice(2 * rows) }),
      ...(outputScores && { scores: scores! }),
    };
  }

  release(): void {
    this.#known.reset();
    this.#candidates.reset();
  }

  /** Goes on from the candidates that were picked. */
  #advance(picked: readonly number[]): void {
    inferenceMode(() => {
      this.#reader.reorder(picked);
      this.#candidates.reorder(picked);
      const { hidden, logits } = this.#candidates.state!;
      this.#known.update({ context: concat([this.#known.state!.context, hidden], 1), logits }, 0);
    });
  }
}

/** -2 for padding, which is then less like a token than any token is; [rows, 1, T] or 0. */
function paddingBias(padding: readonly number[], { shape, backend, dtype }: Tensor): Tensor | number {
  if (padding.every((count) => count === 0)) return 0;
  const length = shape[1]!;
  const data = padding.flatMap((count) => Array.from({ length }, (_, i) => (i < count ? -2 : 0)));
  return fromData(Float32Array.from(data), [padding.length, 1, length], { backend }).cast(dtype);
}
