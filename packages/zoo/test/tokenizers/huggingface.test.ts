/** Hugging Face's tokenizers and chat templates against its Python libraries; files that are damaged. */
import { readBpe, trainBpe, writeBpe } from '@infinigrad/zoo';
import { chatTemplate, loadTokenizer } from '@infinigrad/zoo/huggingface';
import { FormatError, IndexError, InfinigradError, ValueError } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { fixture, type Case } from './support.ts';

describe.each(['word-piece', 'unigram', 'bpe', 'bpe-plain', 'bpe-runs'])('%s', (name) => {
  const { file, cases } = fixture(name);
  test.each(cases)('encodes and decodes $text', async ({ text, ids, bare, decoded, plain }: Case) => {
    const tokenizer = await loadTokenizer(file);
    expect(Array.from(tokenizer.encode(text))).toEqual(ids);
    expect(Array.from(tokenizer.encode(text, { special: false }))).toEqual(bare);
    expect(tokenizer.decode(ids)).toBe(decoded);
    expect(tokenizer.decode(ids, { skipSpecial: true })).toBe(plain);
  });
});

test('reads what trainBpe made, with the roles', async () => {
  const own = trainBpe(fixture('bpe').corpus, {
    vocabSize: 400,
    special: { bos: '<s>', eos: '</s>', pad: '<pad>' },
    before: ['<s>'],
    after: ['</s>'],
  });
  const files = writeBpe(own);
  const library = await loadTokenizer(files['tokenizer.json'], files['tokenizer_config.json']);
  expect(library.special).toEqual(own.special);
  expect(library.vocabSize).toBe(own.vocabSize);
  for (const { text } of fixture('bpe').cases) {
    expect(library.encode(text)).toEqual(own.encode(text));
    const ids = own.encode(text);
    expect(library.decode(ids)).toBe(own.decode(ids));
    expect(library.decode(ids, { skipSpecial: true })).toBe(own.decode(ids, { skipSpecial: true }));
  }
  for (let id = 0; id < own.vocabSize; id++) {
    expect(library.token(id)).toBe(own.token(id));
    expect(library.id(own.token(id)!)).toBe(id);
    expect(library.isSpecial(id)).toBe(own.isSpecial(id));
  }
});

test('batches of WordPiece are cut between [CLS] and [SEP]', async () => {
  const tokenizer = await loadTokenizer(fixture('word-piece').file, { pad_token: '[PAD]' });
  const { inputIds, attentionMask } = tokenizer.batch(['ba de string tion ba ba', ''], {
    length: 5,
    truncate: true,
  });
  const [cls, sep, pad] = ['[CLS]', '[SEP]', '[PAD]'].map((token) => tokenizer.id(token));
  const data = Array.from(inputIds.dataSync());
  const bare = Array.from(tokenizer.encode('ba de string tion ba ba', { special: false }));
  expect(data).toEqual([cls, ...bare.slice(0, 3), sep, cls, sep, pad, pad, pad]);
  expect(Array.from(attentionMask.dataSync())).toEqual([1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
});

test('ids out of range, strangers’ texts and offsets are refused; no ids are no text', async () => {
  const tokenizer = await loadTokenizer(fixture('bpe').file);
  expect(tokenizer.decode([])).toBe('');
  for (const id of [-1, tokenizer.vocabSize, 0.5]) expect(() => tokenizer.decode([id])).toThrow(IndexError);
  expect(() => tokenizer.encode('a', { specialInText: false })).toThrow(/always reads special tokens/);
  expect(() => tokenizer.encode(7 as never)).toThrow(ValueError);
  expect(() => tokenizer.encodeWithOffsets('a')).toThrow(/has no offsets/);
  expect(() => tokenizer.specialId('pad')).toThrow(/there is no pad token/);
});

test('spaces before signs are cleaned up where the config asks for it, but not those that BPE has kept', async () => {
  const config = { clean_up_tokenization_spaces: true };
  const bpe = await loadTokenizer(fixture('bpe').file, config);
  expect(bpe.decode(bpe.encode('a . b !', { special: false }))).toBe('a . b !');
  const vocab = { '[UNK]': 0, a: 1, '.': 2 };
  const file = {
    model: { type: 'WordPiece', vocab, unk_token: '[UNK]' },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
  };
  expect((await loadTokenizer(file, config)).decode([1, 2])).toBe('a.');
  expect((await loadTokenizer(file)).decode([1, 2])).toBe('a .');
});

test('what is not in a vocabulary without unk: left out by BPE, as in Python; refused by Unigram', async () => {
  const bpe = { type: 'BPE', vocab: { a: 0, b: 1 }, merges: [], unk_token: null };
  expect(Array.from((await loadTokenizer({ model: bpe })).encode('acb'))).toEqual([0, 1]);
  const vocab = [
    ['a', -1],
    ['b', -2],
  ];
  const unigram = await loadTokenizer({ model: { type: 'Unigram', vocab, unk_id: null } });
  expect(Array.from(unigram.encode('ab'))).toEqual([0, 1]);
  expect(() => unigram.encode('acb')).toThrow(/not in the vocabulary, and there is no unk token/);
});

describe('files that are damaged', () => {
  type Json = Record<string, unknown>;
  const changed = (name: string, change: (file: Json & { model: Json }) => void): Json => {
    const copy = structuredClone(fixture(name).file) as Json & { model: Json };
    change(copy);
    return copy;
  };
  test.each<[string, string | object, string | object, RegExp]>([
    ['no JSON', '{"model"', {}, /tokenizer.json is not JSON/],
    ['no model', {}, {}, /has no model/],
    [
      'a kind',
      changed('bpe', (f) => (f.model['type'] = 'Other')),
      {},
      /does not know models of type 'Other'/,
    ],
    [
      'WordPiece vocab',
      changed('word-piece', (f) => (f.model['vocab'] = null)),
      {},
      /vocab must be an object/,
    ],
    [
      'WordPiece unk',
      changed('word-piece', (f) => (f.model['unk_token'] = 'no such')),
      {},
      /model.unk_token the text 'no such'/,
    ],
    ['Unigram vocab', changed('unigram', (f) => (f.model['vocab'] = {})), {}, /must be a list of pieces/],
    [
      'a piece',
      changed('unigram', (f) => (f.model['vocab'] = [['a', 'b']])),
      {},
      /vocab\[0\] must be a piece and its score/,
    ],
    ['unk_id', changed('unigram', (f) => (f.model['unk_id'] = 9999)), {}, /model.unk_id must be one of/],
    ['merges', changed('bpe', (f) => (f.model['merges'] = [['a']])), {}, /merges\[0\] must be two tokens/],
    [
      'a part that nobody knows',
      changed('bpe', (f) => (f['pre_tokenizer'] = { type: 'Other' })),
      {},
      /cannot use the file: .*Other/,
    ],
    [
      'a pattern that is none',
      changed(
        'bpe',
        (f) =>
          (f['pre_tokenizer'] = {
            type: 'Split',
            pattern: { Regex: '(' },
            behavior: 'Isolated',
            invert: false,
          }),
      ),
      {},
      /cannot use the file/,
    ],
    ['a role', fixture('bpe').file, { eos_token: 'nothing' }, /eos_token must be a token of the vocabulary/],
    [
      'templates',
      fixture('bpe').file,
      { chat_template: [{ name: 'rag', template: '' }] },
      /a list with one named default/,
    ],
    ['a template', fixture('bpe').file, { chat_template: '{% for %}' }, /chatTemplate: is no template/],
    [
      'a large id',
      changed('bpe', (f) => (f['added_tokens'] = [{ id: 2 ** 31, content: 'x' }])),
      {},
      /must have an id/,
    ],
  ])('%s', async (_, file, config, message) => {
    await expect(loadTokenizer(file, config)).rejects.toThrow(FormatError);
    await expect(loadTokenizer(file, config)).rejects.toThrow(message);
  });

  /** Of every object its members, of long ones the first two and the last two. */
  function* places(value: unknown, at: readonly string[] = []): Generator<readonly string[]> {
    if (typeof value !== 'object' || value === null) return;
    const keys = Object.keys(value);
    for (const key of keys.length > 6 ? [...keys.slice(0, 2), ...keys.slice(-2)] : keys) {
      yield [...at, key];
      yield* places((value as Record<string, unknown>)[key], [...at, key]);
    }
  }

  test.each(['bpe', 'word-piece', 'unigram'])(
    'with any one value changed are refused, or read texts: %s',
    async (name) => {
      const { file } = fixture(name);
      let refused = 0;
      for (const path of places(file))
        for (const value of ['x', -1, 1e9, null, {}, ['a'], undefined]) {
          const damaged = structuredClone(file) as Record<string, unknown>;
          const holder = path
            .slice(0, -1)
            .reduce((part, key) => part[key] as Record<string, unknown>, damaged);
          if (value === undefined) delete holder[path.at(-1)!];
          else holder[path.at(-1)!] = value;
          const reads = [
            async () => {
              const tokenizer = await loadTokenizer(damaged);
              tokenizer.decode(tokenizer.encode('the quick fox'));
            },
            ...(name === 'bpe' ? [() => void readBpe(damaged).encode('the quick fox')] : []),
          ];
          for (const read of reads)
            try {
              await read();
            } catch (error) {
              expect(error, `${path.join('.')} = ${JSON.stringify(value)}`).toBeInstanceOf(InfinigradError);
              refused++;
            }
        }
      expect(refused).toBeGreaterThan(50);
    },
  );

  test('parsed files are left as they were', async () => {
    const { file } = fixture('bpe');
    const before = JSON.stringify(file);
    await loadTokenizer(file);
    readBpe(file);
    expect(JSON.stringify(file)).toBe(before);
  });
});

describe('chat templates', () => {
  interface Chat {
    readonly template: string;
    readonly messages: { role: string; content: string }[];
    readonly prompt: boolean;
    readonly text: string;
  }
  const { chats } = fixture<{ chats: Chat[] }>('chats');
  test.each(chats)(
    'as transformers writes it: $prompt $template',
    async ({ template, messages, prompt, text }) => {
      const tokenizer = await loadTokenizer(fixture('bpe').file, {
        bos_token: '<s>',
        eos_token: '</s>',
        chat_template: template,
      });
      expect(tokenizer.chat(messages, { addGenerationPrompt: prompt })).toBe(text);
      const ids = tokenizer.encodeChat(messages, { addGenerationPrompt: prompt });
      expect(ids).toEqual(tokenizer.encode(text, { special: false }));
    },
  );

  test('one of several, and one of its own file', async () => {
    const several = [
      { name: 'tool_use', template: 'no' },
      { name: 'default', template: 'yes {{ tools }}' },
    ];
    const { file } = fixture('bpe');
    const tokenizer = await loadTokenizer(file, { chat_template: several });
    expect(tokenizer.chat([], { tools: 'x' })).toBe('yes x');
    const other = await loadTokenizer(file, { chat_template: several }, { chatTemplate: 'file' });
    expect(other.chat([])).toBe('file');
  });

  test('errors', async () => {
    const chat = await chatTemplate("{{ raise_exception('roles must alternate') }}");
    expect(() => chat([], {})).toThrow(/the template refuses: roles must alternate/);
    expect(() => chat('hi' as never, {})).toThrow(/needs a list of messages/);
    expect(() => chat([{ content: 'hi' } as never], {})).toThrow(/messages\[0\] has no role/);
    await expect(chatTemplate('{{')).rejects.toThrow(FormatError);
    await expect(chatTemplate('x'.repeat(2 ** 18 + 1))).rejects.toThrow(/at most 262144 characters/);
    await expect(chatTemplate(7 as never)).rejects.toThrow(/got the number 7/);
  });
});
