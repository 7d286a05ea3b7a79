/** Byte-level BPE: training, encoding and files against Hugging Face's library; ways back; hostile files. */
import {
  BpeTokenizer,
  ByteTokenizer,
  readBpe,
  trainBpe,
  writeBpe,
  type SpecialOptions,
} from '@infinigrad/zoo';
import { FormatError, IndexError, ValueError } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fixture, runs, texts, type Fixture } from './support.ts';

const names = ['bpe', 'bpe-plain', 'bpe-runs'];
const optionsOf = ({ special, before, after }: Fixture): SpecialOptions => ({
  added: special,
  before: before === null ? [] : [before],
  after: after === null ? [] : [after],
});
const trained = (given: Fixture): BpeTokenizer =>
  trainBpe(given.corpus, {
    vocabSize: given.vocabSize,
    minFrequency: given.minFrequency,
    ...optionsOf(given),
  });

describe.each(names)('%s', (name) => {
  const given = fixture(name);
  const own = readBpe(given.file);

  test('trains the same vocabulary and merges as BpeTrainer', () => {
    const tokenizer = trained(given);
    expect(Object.fromEntries(tokenizer.vocab)).toEqual(given.file.model['vocab']);
    expect(tokenizer.merges).toEqual(given.file.model['merges']);
  });

  test.each(given.cases)('encodes and decodes $text', ({ text, ids, bare, decoded, plain }) => {
    expect(Array.from(own.encode(text))).toEqual(ids);
    expect(Array.from(own.encode(text, { special: false }))).toEqual(bare);
    expect(own.decode(ids)).toBe(decoded);
    expect(own.decode(ids, { skipSpecial: true })).toBe(plain);
  });

  test('offsets', () => {
    for (const { text, ids, offsets } of given.cases) {
      const made = own.encodeWithOffsets(text);
      expect(Array.from(made.ids)).toEqual(ids);
      expect(Array.from(made.offsets), text).toEqual(offsets);
    }
  });

  test('files: written, read and written again, the same bytes', () => {
    const files = writeBpe(trained(given));
    const again = readBpe(files['tokenizer.json'], files['tokenizer_config.json']);
    expect(writeBpe(again)).toEqual(files);
    for (const { text, ids } of given.cases) expect(Array.from(again.encode(text))).toEqual(ids);
  });

  test('every text comes back', () =>
    fc.assert(
      fc.property(texts, (text) => {
        const ids = own.encode(text, { special: false });
        expect(own.decode(ids)).toBe(text);
        // Tokens go on where those before ended, or share a character.
        const { offsets } = own.encodeWithOffsets(text, { special: false });
        for (let i = 2; i < offsets.length; i += 2) expect(offsets[i]).toBeLessThanOrEqual(offsets[i - 1]!);
        if (offsets.length > 0) expect([offsets[0], offsets.at(-1)]).toEqual([0, text.length]);
      }),
      { numRuns: runs },
    ));

  test('merges as one would by hand: again and again the first pair of the list', () =>
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'b', 'x', 'y', 'd', 'e', 's', 't', 'r'), maxLength: 30 }),
        (word) => {
          let parts = [...BpeTokenizer.spell(word)];
          for (const [first, second] of own.merges) {
            const next: string[] = [];
            for (let i = 0; i < parts.length; i++)
              if (parts[i] === first && parts[i + 1] === second) {
                next.push(first + second);
                i++;
              } else next.push(parts[i]!);
            parts = next;
          }
          expect(Array.from(own.encode(word, { special: false }), (id) => own.token(id))).toEqual(parts);
        },
      ),
      { numRuns: runs },
    ));
});

test('any merges: again and again the first in the list that fits, leftmost', () => {
  const bytes = trainBpe([], { vocabSize: 256 }).vocab;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 12 }),
      fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 24 }),
      (picks, word) => {
        const known = ['a', 'b', 'c'];
        const vocab = new Map(bytes);
        const merges = picks.map(([x, y]): [string, string] => {
          const pair: [string, string] = [known[x % known.length]!, known[y % known.length]!];
          const token = pair.join('');
          if (!vocab.has(token)) {
            vocab.set(token, vocab.size);
            known.push(token);
          }
          return pair;
        });
        const parts = [...word];
        for (;;) {
          let best = { rank: Infinity, at: -1 };
          for (let i = 0; i + 1 < parts.length; i++) {
            const rank = merges.findIndex(([x, y]) => x === parts[i] && y === parts[i + 1]);
            if (rank >= 0 && rank < best.rank) best = { rank, at: i };
          }
          if (best.at < 0) break;
          parts.splice(best.at, 2, merges[best.rank]!.join(''));
        }
        const tokenizer = new BpeTokenizer({ vocab, merges });
        expect(Array.from(tokenizer.encode(word), (id) => tokenizer.token(id))).toEqual(parts);
      },
    ),
    { numRuns: 10 * runs },
  );
});

test('special tokens: longest first, not inside others, and not at all where texts are a stranger’s', () => {
  const tokenizer = trainBpe(['ab'], {
    vocabSize: 300,
    special: { eos: '<e>', pad: '<e>x' },
    added: ['[.*]'],
    after: ['<e>'],
  });
  const [eos, pad] = [tokenizer.specialId('eos'), tokenizer.specialId('pad')];
  expect(Array.from(tokenizer.encode('<e>x<e>'))).toEqual([pad, eos, eos]);
  expect(Array.from(tokenizer.encode('[.*]'))).toEqual([tokenizer.id('[.*]'), eos]);
  const plain = tokenizer.encode('<e>', { specialInText: false, special: false });
  expect(Array.from(plain, (id) => tokenizer.isSpecial(id))).toEqual([false, false, false]);
  expect(tokenizer.decode(plain)).toBe('<e>');
  expect(() => tokenizer.specialId('mask')).toThrow(/there is no mask token/);
});

test('special tokens in the training text are no text', () => {
  const tokenizer = trainBpe(['<s><s><s>'], { vocabSize: 300, added: ['<s>'] });
  expect(tokenizer.merges).toEqual([]);
});

test('no merge makes a special token', () => {
  // é is spelt Ã©: a special token of that text is not é.
  const tokenizer = trainBpe(['é é é éa éa'], { vocabSize: 300, added: ['Ã©'] });
  expect(tokenizer.decode(tokenizer.encode('é Ã© éa'))).toBe('é Ã© éa');
});

test('stops where pairs are rare, and at the size that is asked for', () => {
  expect(trainBpe(['abab ab'], { vocabSize: 1000, minFrequency: 4 }).vocabSize).toBe(256);
  expect(trainBpe(['abab ab'], { vocabSize: 257 }).vocabSize).toBe(257);
  const told: [number, number][] = [];
  trainBpe(['abab ab'], { vocabSize: 258, onProgress: (now, of) => told.push([now, of]) });
  expect(told).toEqual(
    [[257, 258]].map(([, of]) => [trainBpe(['abab ab'], { vocabSize: 258 }).vocabSize, of]),
  );
});

test('long words take no quadratic time', () => {
  const tokenizer = readBpe(fixture('bpe-runs').file);
  const begun = performance.now();
  const text = 'a'.repeat(200_000);
  expect(tokenizer.decode(tokenizer.encode(text, { special: false }))).toBe(text);
  expect(performance.now() - begun).toBeLessThan(10_000);
});

test('bytes that are no UTF-8 become U+FFFD; unknown ids are refused', () => {
  const tokenizer = new ByteTokenizer();
  expect(tokenizer.decode([0xe4, 65])).toBe('\uFFFDA');
  expect(() => tokenizer.decode([256])).toThrow(IndexError);
  expect(() => tokenizer.decode([1.5])).toThrow(/there is no token 1.5: ids go from 0 to 255/);
  const bpe = readBpe(fixture('bpe').file);
  expect(() => bpe.decode([bpe.vocabSize])).toThrow(IndexError);
  expect(() => bpe.decode([-1])).toThrow(IndexError);
});

test.each<[string, () => unknown, RegExp]>([
  ['one text', () => trainBpe('text', { vocabSize: 300 }), /needs a list of texts, got one text/],
  ['no text', () => trainBpe([7 as never], { vocabSize: 300 }), /needs texts, got number/],
  ['vocabSize', () => trainBpe([], { vocabSize: 255 }), /vocabSize must be an integer from 256/],
  [
    'minFrequency',
    () => trainBpe([], { vocabSize: 256, minFrequency: 0 }),
    /minFrequency must be an integer ≥ 1/,
  ],
  ['a byte as special', () => trainBpe([], { vocabSize: 300, added: ['a'] }), /the character of a byte/],
  [
    'a role',
    () => trainBpe([], { vocabSize: 300, special: { end: 'x' } as never }),
    /there is no role 'end'/,
  ],
  [
    'an empty special',
    () => trainBpe([], { vocabSize: 300, added: [''] }),
    /must be a text that is not empty/,
  ],
  ['before', () => trainBpe([], { vocabSize: 300, before: ['<s>'] }), /'<s>' is no special token/],
  [
    'no text to encode',
    () => new ByteTokenizer().encode(5 as never),
    /ByteTokenizer.encode: needs a text, got number/,
  ],
])('refuses: %s', (_, call, message) => {
  expect(call).toThrow(ValueError);
  expect(call).toThrow(message);
});

describe('files that are damaged', () => {
  const { file } = fixture('bpe');
  type Json = Record<string, unknown>;
  const changed = (change: (file: Json & { model: Json }) => void): string => {
    const copy = structuredClone(file) as Json & { model: Json };
    change(copy);
    return JSON.stringify(copy);
  };
  const nested = (depth: number): object => (depth === 0 ? {} : { a: nested(depth - 1) });
  test.each<[string, string | object, RegExp]>([
    ['no JSON', '{', /the file is not JSON/],
    ['a list', '[]', /must be an object, got an array/],
    ['no model', '{}', /has no model/],
    ['depth', nested(80), /nested deeper than 64/],
    ['a pattern', { model: {}, x: { Regex: 'a'.repeat(20_000) } }, /a pattern of 20000 characters/],
    ['type', changed((f) => (f.model['type'] = 'Unigram')), /does not read models of type 'Unigram'/],
    ['type 5', changed((f) => (f.model['type'] = 5)), /model.type must be a text/],
    ['vocab', changed((f) => (f.model['vocab'] = [])), /model.vocab must be an object/],
    ['an id', changed((f) => ((f.model['vocab'] as Json)['a'] = -1)), /the id of 'a' must be an integer/],
    ['an id twice', changed((f) => ((f.model['vocab'] as Json)['a'] = 5)), /has the id 5 twice/],
    [
      'a byte',
      changed((f) => delete (f.model['vocab'] as Json)['#']),
      /the character of byte 35, '#' is not in/,
    ],
    ['merges', changed((f) => (f.model['merges'] = 'x')), /model.merges must be a list/],
    [
      'three parts',
      changed((f) => (f.model['merges'] = [['a', 'b', 'c']])),
      /merges\[0\] must be two tokens/,
    ],
    ['an unknown part', changed((f) => (f.model['merges'] = ['a qqqq'])), /'qqqq' is not in the vocabulary/],
    ['an unknown result', changed((f) => (f.model['merges'] = ['# %'])), /what is merged, '#%' is not in/],
    [
      'byte_fallback',
      changed((f) => (f.model['byte_fallback'] = true)),
      /does not read BPE with byte_fallback/,
    ],
    ['dropout', changed((f) => (f.model['dropout'] = 0.1)), /does not read BPE with dropout/],
    ['a normalizer', changed((f) => (f['normalizer'] = { type: 'NFC' })), /does not read normalizers/],
    ['a pre-tokenizer', changed((f) => (f['pre_tokenizer'] = null)), /pre_tokenizer is not ByteLevel/],
    [
      'add_prefix_space',
      changed((f) => ((f['pre_tokenizer'] as Json)['add_prefix_space'] = true)),
      /ByteLevel with add_prefix_space/,
    ],
    ['added', changed((f) => (f['added_tokens'] = {})), /added_tokens must be a list/],
    [
      'an added one',
      changed((f) => (f['added_tokens'] = [{ id: 1 }])),
      /added_tokens\[0\] must have an id and a content/,
    ],
    [
      'added twice',
      changed((f) => (f['added_tokens'] as unknown[]).push((f['added_tokens'] as unknown[])[0])),
      /has the id 0 twice/,
    ],
    [
      'added, not special',
      changed((f) => ((f['added_tokens'] as Json[])[0]!['special'] = false)),
      /added tokens that are not special/,
    ],
    [
      'two ids',
      changed((f) => ((f['added_tokens'] as Json[])[0]!['id'] = 4000)),
      /'<s>' has the ids 0 and 4000/,
    ],
    ['a template', changed((f) => (f['post_processor'] = { type: 'Bert' })), /post_processors other than/],
    [
      'no sequence',
      changed((f) => (f['post_processor'] = { type: 'TemplateProcessing', single: [] })),
      /templates without a text/,
    ],
    [
      'a stranger before',
      changed((f) => ((f['post_processor'] as { single: Json[] }).single[0] = { SpecialToken: { id: 'q' } })),
      /'q' is no special token/,
    ],
  ])('%s', (_, damaged, message) => {
    expect(() => readBpe(damaged)).toThrow(FormatError);
    expect(() => readBpe(damaged)).toThrow(message);
  });

  test('a role of what is no special token', () => {
    expect(() => readBpe(file, { eos_token: 'ab' })).toThrow(/eos_token must be a token of the vocabulary/);
    expect(() => readBpe(file, '[')).toThrow(/tokenizer_config.json is not JSON/);
    expect(readBpe(file, { eos_token: { content: '</s>' } }).special).toEqual({ eos: '</s>' });
  });

  test('any cut of the file is refused', () => {
    const text = JSON.stringify(file);
    fc.assert(
      fc.property(fc.nat({ max: text.length - 1 }), (at) => {
        expect(() => readBpe(text.slice(0, at))).toThrow(FormatError);
      }),
      { numRuns: runs },
    );
  });
});
