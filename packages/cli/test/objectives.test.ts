/** What models are trained on: batches of each objective. */
import { Key } from '@infinigrad/tensor';
import { ByteTokenizer, fillBlanks, fillSpans, type Tokenizer } from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { courseOf, tokensOf, type Course, type CourseOptions } from '../src/objectives/courses.ts';
import { kinds, type Kind, type ObjectiveName } from '../src/objectives/names.ts';
import { blankTokens, maskTokens, ownSpecials, spanTokens } from '../src/objectives/special.ts';
import { text } from './support.ts';

const bytesFor = (name: ObjectiveName): ByteTokenizer => new ByteTokenizer(ownSpecials[name]);
const windowsOf = (course: Course, count: number, tokenizer: Tokenizer): Int32Array[] => {
  const tokens = tokensOf([text], tokenizer, course);
  return Array.from({ length: count }, (_, i) => tokens.slice(7 * i, 7 * i + course.window));
};
const made = (
  name: ObjectiveName,
  kind: Kind,
  options: Partial<CourseOptions> = {},
  tokenizer: Tokenizer = bytesFor(name),
) => {
  const course = courseOf(
    name,
    { kind, length: 48, vocabSize: tokenizer.vocabSize, noise: 0.2, spanLength: 2, ...options },
    tokenizer,
  );
  const windows = windowsOf(course, 3, tokenizer);
  const batch = course.batch(windows, new Key(4)) as unknown as Readonly<
    Record<string, { readonly shape: number[]; dataSync(): Int32Array }>
  >;
  const rows = (field: string): number[][] => {
    const { shape } = batch[field]!;
    const data = batch[field]!.dataSync();
    return windows.map((_, i) => Array.from(data.slice(i * shape[1]!, (i + 1) * shape[1]!)));
  };
  return { course, windows, batch, rows, tokenizer };
};

describe('batches', () => {
  test('causal: every token but the first is told', () => {
    const { course, windows, rows } = made('causal', 'decoder');
    expect(course.window).toBe(49);
    windows.forEach((window, i) => {
      expect(rows('inputIds')[i]).toEqual(Array.from(window.subarray(0, -1)));
      expect(rows('targets')[i]).toEqual(Array.from(window.subarray(1)));
    });
  });

  test('masked: what is told stood there, and never what stands around', () => {
    const special = { ...ownSpecials.masked.special, cls: '[CLS]', sep: '[SEP]' };
    for (const tokenizer of [bytesFor('masked'), new ByteTokenizer({ special })]) {
      const { course, windows, rows, batch } = made('masked', 'encoder', {}, tokenizer);
      const { before, after, mask } = maskTokens(tokenizer);
      expect(course.window).toBe(48 - before.length - after.length);
      expect(batch['inputIds']!.shape).toEqual([3, 48]);
      windows.forEach((window, i) => {
        const whole = [...before, ...window, ...after];
        const [inputs, targets] = [rows('inputIds')[i]!, rows('targets')[i]!];
        whole.forEach((token, t) => {
          if (targets[t] === -100) expect(inputs[t]).toBe(token);
          else expect(targets[t]).toBe(token);
        });
        for (const t of [...before.map((_, n) => n), ...after.map((_, n) => 47 - n)])
          expect(targets[t]).toBe(-100);
        expect(inputs).toContain(mask);
      });
    }
  });

  test('masked: some token is told even of very few', () => {
    const tokenizer = bytesFor('masked');
    const options = { kind: 'encoder', length: 2, vocabSize: 258, noise: 0.01, spanLength: 1 } as const;
    const course = courseOf('masked', options, tokenizer);
    for (let seed = 0; seed < 5; seed++)
      expect(course.batch([Int32Array.of(65, 66)], new Key(seed)).count).toBeGreaterThan(0);
  });

  test('span: the text comes back, and inputs are as long as they may be', () => {
    const { windows, rows, tokenizer, batch } = made('span', 'encoderDecoder');
    const own = spanTokens(tokenizer);
    expect([own.sentinel, own.sentinels]).toEqual([tokenizer.vocabSize - 1, 100]);
    expect(batch['inputIds']!.shape).toEqual([3, 48]);
    windows.forEach((window, i) => {
      const pair = { inputs: rows('inputIds')[i]!, targets: rows('targets')[i]! };
      const back = fillSpans(
        { inputs: Int32Array.from(pair.inputs), targets: Int32Array.from(pair.targets) },
        own,
      );
      expect([...back]).toEqual([...window]);
      expect(rows('decoderInputIds')[i]).toEqual([own.pad, ...pair.targets.slice(0, -1)]);
    });
  });

  test('blank: the text comes back', () => {
    const { windows, rows, batch, tokenizer } = made('blank', 'blankFiller');
    const own = blankTokens(tokenizer);
    const places = batch['positionIds']!.dataSync();
    const { shape } = batch['positionIds']!;
    windows.forEach((window, i) => {
      const length = rows('targets')[i]!.lastIndexOf(own.end) + 1;
      const places2 = places.subarray(i * 2 * shape[2]!, (i + 1) * 2 * shape[2]!);
      const row = {
        inputIds: Int32Array.from(rows('inputIds')[i]!.slice(0, length)),
        targets: Int32Array.from(rows('targets')[i]!.slice(0, length)),
        positions: places2.slice(0, length),
        blockPositions: places2.slice(shape[2]!, shape[2]! + length),
        sep: (batch['sep'] as unknown as number[])[i]!,
      };
      expect([...fillBlanks(row, own)]).toEqual([...window]);
    });
  });

  test('prefix: what follows is told, by a decoder of whole texts and by one that an encoder reads for', () => {
    const { windows, rows, batch } = made('prefix', 'prefixDecoder');
    windows.forEach((window, i) => {
      const prefix = (batch['prefix'] as unknown as number[])[i]!;
      expect(rows('inputIds')[i]).toEqual(Array.from(window.subarray(0, -1)));
      expect(rows('targets')[i]).toEqual(
        Array.from(window.slice(1), (token, t) => (t + 1 < prefix ? -100 : token)),
      );
    });
    const two = made('prefix', 'encoderDecoder', {}, bytesFor('span'));
    const { end } = spanTokens(two.tokenizer);
    two.windows.forEach((window, i) => {
      const inputs = two.rows('inputIds')[i]!;
      const told = two.rows('targets')[i]!.filter((token) => token !== -100);
      expect([...inputs.slice(0, inputs.indexOf(end)), ...told]).toEqual([...window]);
    });
  });

  test.each(
    Object.entries(kinds).flatMap(([kind, names]) => names.map((name) => [name, kind as Kind] as const)),
  )('%s of %s: decided by the key', (name, kind) => {
    const tokenizer = bytesFor(kind === 'encoderDecoder' ? 'span' : name);
    const { course, windows } = made(name, kind, {}, tokenizer);
    const targets = (seed: number): string => course.batch(windows, new Key(seed)).targets.dataSync().join();
    expect(targets(1)).toBe(targets(1));
    if (name !== 'causal') expect(targets(1)).not.toBe(targets(2));
  });
});
