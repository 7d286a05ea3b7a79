/** Texts from files: what is in them, whatever the separator and however large, and cursors that give the same rest. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shuffled, type DataSource, type Json } from '@infinigrad/nn';
import { textFiles, type TextFilesOptions } from '@infinigrad/nn/node';
import { FormatError, Key, ValueError } from '@infinigrad/tensor';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'infinigrad-texts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
function write(content: string): string {
  const path = join(folder, `${files++}.txt`);
  writeFileSync(path, content);
  return path;
}

async function collect<T>(source: AsyncIterable<T>, most = Infinity): Promise<T[]> {
  const items: T[] = [];
  if (most === 0) return items;
  for await (const item of source) if (items.push(item) >= most) break;
  return items;
}
const saved = (source: DataSource<unknown>): Json => JSON.parse(JSON.stringify(source.state())) as Json;

const word = fc.string({ unit: fc.constantFrom('a', 'ü', '😀', ' ', '<'), maxLength: 6 });
const given = fc.record({
  contents: fc.array(fc.array(word, { maxLength: 6 }), { minLength: 1, maxLength: 4 }),
  separator: fc.constantFrom('\n', '<|end|>', '\n\n', 'ö'),
  last: fc.boolean(),
  skipEmpty: fc.boolean(),
  shuffle: fc.option(fc.nat(9), { nil: undefined }),
});

describe('textFiles', () => {
  test('gives what is between separators, and a cursor the same rest', () =>
    fc.assert(
      fc.asyncProperty(given, fc.nat(30), async ({ contents, separator, last, skipEmpty, shuffle }, at) => {
        const texts = contents.map(
          (words) => words.join(separator) + (last && words.length > 0 ? separator : ''),
        );
        const paths = texts.map(write);
        const options: TextFilesOptions = {
          separator,
          skipEmpty,
          ...(shuffle !== undefined && { shuffle: new Key(shuffle) }),
        };
        const expected = texts.flatMap((text) => {
          const parts = text.split(separator);
          // A separator at the end ends a text, and begins none.
          if (parts.at(-1) === '') parts.pop();
          return parts.filter((part) => part !== '' || !skipEmpty);
        });
        const whole = await collect(textFiles(paths, options));
        if (shuffle === undefined) expect(whole).toEqual(expected);
        else expect(whole.toSorted()).toEqual(expected.toSorted());
        const one = textFiles(paths, options);
        const before = await collect(one, at % (whole.length + 1));
        const other = textFiles(paths, options);
        other.load(saved(one));
        const rest = await collect(other);
        expect([...before, ...rest]).toEqual(whole);
        expect(await collect(one)).toEqual(rest);
        expect(await collect(other)).toEqual(await collect(one));
      }),
      { numRuns: 60 },
    ));
  test('takes line ends of both kinds, and separators and letters that lie across two reads', async () => {
    const size = 2 ** 18;
    expect(await collect(textFiles([write('a\r\nb\nc\r\n')]))).toEqual(['a', 'b', 'c']);
    for (const shift of [-3, -2, -1, 0, 1]) {
      const long = 'x'.repeat(size + shift);
      const path = write(`${long}<end>ü😀<end>z`);
      expect(await collect(textFiles([path], { separator: '<end>' }))).toEqual([long, 'ü😀', 'z']);
      const letters = `${'x'.repeat(size + shift - 2)}😀`;
      expect(await collect(textFiles([write(`${letters}\nb`)]))).toEqual([letters, 'b']);
    }
  });
  test('holds no more than it needs of a large file', async () => {
    const line = 'abcdefgh'.repeat(64);
    const path = write(`${line}\n`.repeat(60_000));
    const before = process.memoryUsage().arrayBuffers;
    let [count, most] = [0, 0];
    for await (const text of textFiles([path])) {
      if (text.length !== line.length) expect(text).toBe(line);
      if (++count % 1000 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    expect(count).toBe(60_000);
    // Of 30 MB; what the garbage collector has not seen yet counts too.
    expect(most).toBeLessThan(24e6);
  });
  test('is mixed by shuffled, whose cursor holds what waits', async () => {
    const path = write(Array.from({ length: 40 }, (_, i) => `t${i}`).join('\n'));
    const make = () => shuffled(textFiles([path]), { key: new Key(1), buffer: 8 });
    const whole = await collect(make());
    const one = make();
    await collect(one, 17);
    const other = make();
    other.load(saved(one));
    expect(await collect(other)).toEqual(whole.slice(17));
    expect(whole.toSorted()).toEqual(Array.from({ length: 40 }, (_, i) => `t${i}`).toSorted());
  });
  test('in another order of files each epoch', async () => {
    const paths = Array.from({ length: 8 }, (_, i) => write(String(i)));
    const one = textFiles(paths, { shuffle: new Key(3) });
    const [first, second] = [await collect(one), await collect(one)];
    expect(first).not.toEqual(second);
    expect(first.toSorted()).toEqual(second.toSorted());
  });
});

describe('errors', () => {
  const path = write('a\nbbbb\nc');
  const good = { epoch: 0, place: 0, offset: 0, files: 1, separator: '\n', shuffle: null };
  test.each<[string, () => unknown, string]>([
    ['no files', () => textFiles([]), 'textFiles: needs at least one file'],
    [
      'no separator',
      () => textFiles([path], { separator: '' }),
      'textFiles: the separator must not be empty',
    ],
    [
      'maxBytes',
      () => textFiles([path], { maxBytes: 0 }),
      'textFiles: maxBytes must be an integer ≥ 1, got 0',
    ],
    [
      'a cursor of other files',
      () => textFiles([path]).load({ ...good, files: 2 }),
      'textFiles.load: the cursor belongs to other data: its files is 2, here it is 1',
    ],
    [
      'a cursor beyond the files',
      () => textFiles([path]).load({ ...good, place: 2 }),
      "textFiles.load: the cursor's place must be an integer from 0 to 1, got 2",
    ],
    [
      'a cursor without a place',
      () => textFiles([path]).load({ ...good, offset: 'x' }),
      "textFiles.load: the cursor's offset must be",
    ],
  ])('%s', (_, body, says) => {
    expect(body).toThrow(ValueError);
    expect(body).toThrow(says);
  });
  test('a file that is missing, a text that is too long', async () => {
    const missing = join(folder, 'none.txt');
    await expect(collect(textFiles([missing]))).rejects.toThrow(
      new FormatError('textFiles', `${missing} cannot be read (ENOENT)`),
    );
    await expect(collect(textFiles([path], { maxBytes: 3 }))).rejects.toThrow(
      `textFiles: ${path} holds a text of more than 3 bytes`,
    );
    expect(await collect(textFiles([path], { maxBytes: 4 }))).toEqual(['a', 'bbbb', 'c']);
    await expect(collect(textFiles([write('x'.repeat(300_000))], { maxBytes: 1000 }))).rejects.toThrow(
      FormatError,
    );
  });
});
