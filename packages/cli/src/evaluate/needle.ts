/** A needle in a haystack: a number told somewhere in a text, and asked for at its end. */
import { Key } from '@infinigrad/tensor';
import { generate, type Tokenizer } from '@infinigrad/zoo';
import { CommandError, UsageError } from '../errors.ts';
import type { LoadedReader } from '../model.ts';

export interface NeedleCell {
  readonly length: number;
  /** Where the needle lies, from 0 to 1. */
  readonly depth: number;
  readonly samples: number;
  /** Share of the texts after which the model tells the number. */
  readonly found: number;
}

const depths = [0, 0.25, 0.5, 0.75, 1];
const needleOf = (number: string): string => ` The magic number is ${number}. `;
const question = ' The magic number is';

/** @throws UsageError for lengths that hold no needle or that the model cannot read, CommandError for a text that is too short */
export async function needleTable(
  { reader, most }: LoadedReader,
  tokenizer: Tokenizer,
  haystack: string,
  options: { readonly lengths: readonly number[]; readonly samples: number; readonly seed: number },
): Promise<NeedleCell[]> {
  const { lengths, samples, seed } = options;
  const encode = (text: string): number[] => Array.from(tokenizer.encode(text, { special: false }));
  const hay = encode(haystack);
  const asked = encode(question);
  const cells: NeedleCell[] = [];
  for (const length of lengths)
    for (const depth of depths) {
      let found = 0;
      for (let sample = 0; sample < samples; sample++) {
        const [a, b] = new Key(seed)
          .foldIn(length)
          .foldIn(Math.round(depth * 100))
          .foldIn(sample)
          .bits(2);
        const number = String(10_000 + (a! % 90_000));
        const [needle, answer] = [encode(needleOf(number)), encode(` ${number}`)];
        const room = length - needle.length - asked.length - answer.length;
        if (room < 1 || length > most)
          throw new UsageError(
            `--lengths ${length} must be more than ${length - room} tokens${most === Infinity ? '' : ` and at most ${most}`}`,
          );
        if (hay.length < room)
          throw new CommandError(`the text has ${hay.length} tokens, and --lengths ${length} needs ${room}`);
        const start = Math.floor((b! / 2 ** 32) * (hay.length - room + 1));
        const at = start + Math.round(depth * room);
        const prompt = [...hay.slice(start, at), ...needle, ...hay.slice(at, start + room), ...asked];
        const maxNewTokens = answer.length;
        const { tokens } = await generate(reader, prompt, { maxNewTokens, eosTokenId: null });
        if (tokenizer.decode(tokens[0]!).trimStart().startsWith(number)) found++;
      }
      cells.push({ length, depth, samples, found: found / samples });
    }
  return cells;
}
