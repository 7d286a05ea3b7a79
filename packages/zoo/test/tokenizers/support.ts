/** Fixtures of tokenizers, and texts of all kinds. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';

export interface Case {
  readonly text: string;
  readonly ids: number[];
  readonly bare: number[];
  readonly decoded: string;
  readonly plain: string;
  readonly offsets?: number[];
}
export interface Fixture {
  readonly file: Record<string, unknown> & { readonly model: Record<string, unknown> };
  readonly cases: readonly Case[];
  readonly corpus: string[];
  readonly vocabSize: number;
  readonly minFrequency: number;
  readonly special: string[];
  readonly before: string | null;
  readonly after: string | null;
}

export const fixture = <T = Fixture>(name: string): T =>
  JSON.parse(
    readFileSync(new URL(`../fixtures/tokenizers/${name}.json`, import.meta.url).pathname, 'utf8'),
  ) as T;

const wanted = Number(process.env['INFINIGRAD_RUNS'] ?? 100);
/** Generated cases for each law; INFINIGRAD_RUNS raises it. */
export const runs = Math.max(100, Number.isFinite(wanted) ? wanted : 100);

/** Texts of whole characters, of all alphabets, with runs of spaces and letters. */
export const texts = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.string({ unit: 'grapheme', maxLength: 12 }),
      fc.constantFrom(' ', '  ', '\n', '\t', "'s", "'ll", 'the', 'ab', 'aaaa', '12', '…', '</s>', '<s>'),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));
