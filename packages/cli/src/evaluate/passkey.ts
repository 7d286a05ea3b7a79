/** Passkeys: digits hidden in filler and asked for at the end, told freely. */
import { Key } from '@infinigrad/tensor';
import { generate, passkeyBatch, passkeyVocabSize, type KeyPosition } from '@infinigrad/zoo';
import { CommandError, UsageError } from '../errors.ts';
import type { LoadedReader } from '../model.ts';

export interface PasskeySettings {
  readonly digits: number;
  readonly segment: number;
  readonly filler: 'cyclic' | 'random';
}

export interface PasskeyCell {
  readonly length: number;
  readonly position: KeyPosition;
  readonly samples: number;
  /** Share of the texts of which all digits are right. */
  readonly exact: number;
  /** Share of the digits that are. */
  readonly digitsRight: number;
}

/** @throws CommandError for a model of other tokens, UsageError for lengths that do not fit */
export async function passkeyTable(
  { reader, vocabSize, most }: LoadedReader,
  { digits, segment, filler }: PasskeySettings,
  options: { readonly lengths: readonly number[]; readonly samples: number; readonly seed: number },
): Promise<PasskeyCell[]> {
  const { lengths, samples, seed } = options;
  if (vocabSize !== passkeyVocabSize)
    throw new CommandError(
      `passkeys have ${passkeyVocabSize} tokens, and the model ${vocabSize}: train one with --generator passkey`,
    );
  for (const length of lengths)
    if (length % segment !== 0 || length < 2 * segment || length > most)
      throw new UsageError(
        `--lengths ${length} must be a multiple of ${segment}, from ${2 * segment}${most === Infinity ? '' : ` to ${most}`}`,
      );
  const layout = { segmentLength: segment, digits, filler };
  const cells: PasskeyCell[] = [];
  for (const length of lengths)
    for (const [p, position] of (['start', 'middle', 'end'] as const).entries()) {
      const key = new Key(seed).foldIn(length).foldIn(p);
      const { data, answers } = passkeyBatch(
        layout,
        { batch: samples, segments: length / segment, position },
        key,
      );
      const prompts = answers.map((_, row) =>
        Array.from(data.subarray(row * length, (row + 1) * length - digits)),
      );
      const { tokens } = await generate(reader, prompts, { maxNewTokens: digits, eosTokenId: null });
      const right = answers.map((answer, row) => answer.map((digit, i) => digit === tokens[row]![i]));
      cells.push({
        length,
        position,
        samples,
        exact: right.filter((row) => row.every(Boolean)).length / samples,
        digitsRight: right.flat().filter(Boolean).length / (samples * digits),
      });
    }
  return cells;
}
