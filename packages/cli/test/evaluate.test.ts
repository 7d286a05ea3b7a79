/** What evaluations of long texts count, with models that know the answer, or only some of it. */
import { expect, test } from 'vitest';
import { fromData, type Tensor } from '@infinigrad/tensor';
import { ByteTokenizer, passkeyVocabSize } from '@infinigrad/zoo';
import { needleTable } from '../src/evaluate/needle.ts';
import { passkeyTable } from '../src/evaluate/passkey.ts';
import type { LoadedReader } from '../src/model.ts';
import { text } from './support.ts';

/** A model that is certain of one token after each row. */
function certain(vocabSize: number, next: (row: readonly number[]) => number): LoadedReader {
  const forward = (inputIds: Tensor): { logits: Tensor } => {
    const [batch, length] = inputIds.shape as [number, number];
    const ids = inputIds.dataSync();
    const logits = new Float32Array(batch * vocabSize);
    for (let row = 0; row < batch; row++)
      logits[row * vocabSize + next(Array.from(ids.subarray(row * length, (row + 1) * length)))] = 1;
    return { logits: fromData(logits, [batch, 1, vocabSize]) };
  };
  return { reader: { forward }, tokenizer: null, vocabSize, most: Infinity };
}

const [keyToken, queryToken] = [10, 11];
const settings = { digits: 3, segment: 16, filler: 'cyclic' } as const;
const options = { lengths: [32, 64], samples: 5, seed: 0 };

/** @param seen the tokens before the query that it remembers */
const passkeyReader = (seen: number): LoadedReader =>
  certain(passkeyVocabSize, (row) => {
    const asked = row.indexOf(queryToken);
    const key = row.indexOf(keyToken, Math.max(0, asked - seen));
    return key < 0 || key > asked ? 0 : row[key + 1 + (row.length - 1 - asked)]!;
  });

test('passkeys: who knows tells all of them, who sees little those that are near', async () => {
  const knowing = await passkeyTable(passkeyReader(1000), settings, options);
  expect(knowing.map(({ length, position }) => `${length} ${position}`)).toEqual(
    [32, 64].flatMap((length) => ['start', 'middle', 'end'].map((position) => `${length} ${position}`)),
  );
  expect(knowing.every(({ exact, digitsRight }) => exact === 1 && digitsRight === 1)).toBe(true);
  const near = await passkeyTable(passkeyReader(28), settings, options);
  const of = (length: number, position: string): number =>
    near.find((cell) => cell.length === length && cell.position === position)!.exact;
  expect([of(64, 'start'), of(64, 'end')]).toEqual([0, 1]);
});

test('passkeys: digits count one by one', async () => {
  const first = certain(passkeyVocabSize, (row) => {
    const asked = row.indexOf(queryToken);
    return row.length - 1 === asked ? row[row.indexOf(keyToken) + 1]! : 30;
  });
  for (const { exact, digitsRight } of await passkeyTable(first, settings, options)) {
    expect(exact).toBe(0);
    expect(digitsRight).toBeCloseTo(1 / 3, 9);
  }
});

test('needles: found where the model sees, at every depth', async () => {
  const tokenizer = new ByteTokenizer();
  const reader = (seen: number): LoadedReader =>
    certain(256, (row) => {
      const read = tokenizer.decode(row);
      const from = read.lastIndexOf(' The magic number is');
      const told = read.slice(from + ' The magic number is'.length);
      const number =
        /The magic number is( \d{5})\./.exec(read.slice(Math.max(0, from - seen), from))?.[1] ?? ' 00000';
      return number.charCodeAt(told.length);
    });
  const asked = { lengths: [200], samples: 3, seed: 1 };
  const all = await needleTable(reader(1000), tokenizer, text, asked);
  expect(all.map(({ depth, found }) => [depth, found])).toEqual([0, 0.25, 0.5, 0.75, 1].map((d) => [d, 1]));
  const near = await needleTable(reader(70), tokenizer, text, asked);
  expect(near.map(({ found }) => found)).toEqual([0, 0, 0, 1, 1]);
});
