/** Bytes, characters, batches, continuations and chats. */
import {
  ByteTokenizer,
  CharacterTokenizer,
  continuations,
  maskTokens,
  type SpecialOptions,
  type Tokenizer,
} from '@infinigrad/zoo';
import { Key, ValueError } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs, texts } from './support.ts';

const options: SpecialOptions = {
  special: { pad: '<pad>', bos: '<s>', eos: '</s>' },
  before: ['<s>'],
  after: ['</s>'],
};

describe.each<[string, (text: string) => Tokenizer]>([
  ['bytes', () => new ByteTokenizer(options)],
  ['characters', (text) => new CharacterTokenizer([text, 'x'], options)],
])('%s', (_, make) => {
  test('every text comes back, with its special tokens, and without', () =>
    fc.assert(
      fc.property(texts, (text) => {
        const tokenizer = make(text);
        const ids = tokenizer.encode(text);
        expect(tokenizer.decode(ids)).toBe(`<s>${text}</s>`);
        expect(tokenizer.decode(ids, { skipSpecial: true })).toBe(text.replaceAll(/<s>|<\/s>/g, ''));
        expect(tokenizer.decode(tokenizer.encode(text, { special: false }))).toBe(text);
        expect(Math.max(...ids)).toBeLessThan(tokenizer.vocabSize);
      }),
      { numRuns: runs },
    ));

  test('offsets are of the character that a token is of', () =>
    fc.assert(
      fc.property(texts, (text) => {
        const { ids, offsets } = make(text).encodeWithOffsets(text, { special: false, specialInText: false });
        const whole = make(text);
        const seen = new Set<string>();
        ids.forEach((id, i) => {
          const [from, to] = [offsets[2 * i]!, offsets[2 * i + 1]!];
          const character = text.slice(from, to);
          expect([...character]).toHaveLength(1);
          seen.add(`${from}`);
          if (character.codePointAt(0)! < 128) expect(whole.token(id)).toBe(character);
        });
        expect(seen.size).toBe([...text].length);
      }),
      { numRuns: runs },
    ));

  test('tokens and ids are one to one', () => {
    const tokenizer = make('añ日😀');
    for (let id = 0; id < tokenizer.vocabSize; id++) expect(tokenizer.id(tokenizer.token(id)!)).toBe(id);
    expect(tokenizer.token(tokenizer.vocabSize)).toBeUndefined();
    expect(tokenizer.id('nothing')).toBeUndefined();
  });
});

test('characters: sorted, special ones after them, unknown ones as unk or refused', () => {
  const tokenizer = new CharacterTokenizer('hello', { special: { unk: '?' } });
  expect(tokenizer.characters).toEqual(['e', 'h', 'l', 'o']);
  expect(Array.from(tokenizer.encode('hex'))).toEqual([1, 0, 4]);
  expect(tokenizer.decode([1, 0, 4])).toBe('he?');
  expect(() => new CharacterTokenizer('ab').encode('abc')).toThrow(/does not know the character 'c'/);
  expect(() => new CharacterTokenizer('')).toThrow(/needs at least one character/);
  expect(() => new CharacterTokenizer('a?', { added: ['?'] })).toThrow(
    /'\?' is a character and a special token/,
  );
});

test('special tokens may hold any signs', () =>
  fc.assert(
    fc.property(
      fc.uniqueArray(
        fc.string({
          unit: fc.constantFrom(...String.raw`-/\^$.*+?()[]{}|#&,:<>=@~ `, 'é', '😀'),
          minLength: 1,
          maxLength: 4,
        }),
        {
          minLength: 1,
          maxLength: 5,
        },
      ),
      (added) => {
        const tokenizer = new ByteTokenizer({ added });
        added.forEach((token) => expect(Array.from(tokenizer.encode(token))).toEqual([tokenizer.id(token)]));
        expect(tokenizer.decode(tokenizer.encode(`a${added.join('b')}c`))).toBe(`a${added.join('b')}c`);
      },
    ),
    { numRuns: runs },
  ));

describe('batches', () => {
  const tokenizer = new ByteTokenizer(options);
  const [pad, bos, eos] = ['pad', 'bos', 'eos'].map((role) => tokenizer.specialId(role as 'pad')) as [
    number,
    number,
    number,
  ];
  const rows = (x: { dataSync(): ArrayLike<number> }, T: number): number[][] => {
    const data = Array.from(x.dataSync());
    return Array.from({ length: data.length / T }, (_, i) => data.slice(i * T, (i + 1) * T));
  };
  test.each(['right', 'left'] as const)('padding on the %s', (side) => {
    const { inputIds, attentionMask } = tokenizer.batch(['a', 'bcd'], { side });
    const short = [bos, 97, eos];
    expect(rows(inputIds, 5)).toEqual([
      side === 'right' ? [...short, pad, pad] : [pad, pad, ...short],
      [bos, 98, 99, 100, eos],
    ]);
    expect(rows(attentionMask, 5)).toEqual([
      side === 'right' ? [1, 1, 1, 0, 0] : [0, 0, 1, 1, 1],
      [1, 1, 1, 1, 1],
    ]);
    expect(attentionMask.dtype).toBe('bool');
  });

  test('cuts texts, and not what stands around them', () => {
    const { inputIds } = tokenizer.batch(['abcdef', 'a'], { length: 4, truncate: true });
    expect(rows(inputIds, 4)).toEqual([
      [bos, 97, 98, eos],
      [bos, 97, eos, pad],
    ]);
    // A text that looks like what stands around it.
    const same = tokenizer.batch(['<s><s></s></s>'], { length: 4, truncate: true });
    expect(rows(same.inputIds, 4)).toEqual([[bos, bos, bos, eos]]);
  });

  test('no pad token is needed where nothing is padded', () => {
    const plain = new ByteTokenizer();
    expect(rows(plain.batch(['ab', 'cd']).inputIds, 2)).toEqual([
      [97, 98],
      [99, 100],
    ]);
    expect(() => plain.batch(['ab', 'c'])).toThrow(/there is no pad token/);
  });

  test.each<[string, () => unknown, RegExp]>([
    ['no texts', () => tokenizer.batch([]), /needs at least one text/],
    ['length', () => tokenizer.batch(['a'], { length: 0 }), /length must be an integer ≥ 1/],
    ['side', () => tokenizer.batch(['a'], { side: 'up' as never }), /side must be left or right/],
    ['too long', () => tokenizer.batch(['abc'], { length: 4 }), /a text of 5 tokens does not fit into 4/],
    [
      'no room',
      () => tokenizer.batch(['abc'], { length: 1, truncate: true }),
      /2 special tokens do not fit into 1/,
    ],
  ])('refuses: %s', (_, call, message) => {
    expect(call).toThrow(ValueError);
    expect(call).toThrow(message);
  });
});

test('continuations mask whole words', () => {
  // Characters: all but a space go on with what was before.
  const tokenizer = new CharacterTokenizer(' abc', { special: { mask: '<mask>' } });
  const continues = continuations(tokenizer, (token) => token !== ' ');
  const ids = tokenizer.encode('ab abc bc cab');
  const { targets } = maskTokens(
    ids,
    { vocabSize: tokenizer.vocabSize, mask: tokenizer.specialId('mask'), continues, rate: 0.4 },
    new Key(3),
  );
  const chosen = Array.from(targets, (target) => target !== -100);
  expect(chosen).toContain(true);
  // A word begins with a space, or at the beginning.
  ids.forEach((id, i) => {
    if (i > 0 && tokenizer.token(id) !== ' ') expect(chosen[i]).toBe(chosen[i - 1]);
  });
  expect(continuations(tokenizer)(0)).toBe(false);
  expect(continuations(tokenizer, () => true)(tokenizer.specialId('mask'))).toBe(false);
});

test('chats: by a function, and what is missing', () => {
  const tokenizer = new ByteTokenizer(options);
  expect(() => tokenizer.chat([])).toThrow(/there is no chat template/);
  tokenizer.chatTemplate = (messages, { addGenerationPrompt = false }) =>
    messages.map(({ role, content }) => `${role}:${String(content)}</s>`).join('') +
    (addGenerationPrompt ? 'a:' : '');
  const messages = [{ role: 'u', content: 'hi' }];
  expect(tokenizer.chat(messages, { addGenerationPrompt: true })).toBe('u:hi</s>a:');
  expect(tokenizer.decode(tokenizer.encodeChat(messages))).toBe('u:hi</s>');
  expect(tokenizer.encodeChat(messages).at(-1)).toBe(tokenizer.specialId('eos'));
});
