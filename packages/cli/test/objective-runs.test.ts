/** Runs of every pair of model and objective that makes sense: trained, measured, asked and gone on with; and of pairs that make none. */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ByteTokenizer } from '@infinigrad/zoo';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { families } from '../src/families.ts';
import { kinds, objectiveNames, usualModels, type ObjectiveName } from '../src/objectives/names.ts';
import { blankTokens, maskTokens, ownSpecials, spanTokens } from '../src/objectives/special.ts';
import { planIn } from '../src/train/plan.ts';
import { tokenizerIn } from '../src/tokenizer.ts';
import { cli, temporaryFolder, writeText } from './support.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);
beforeAll(() => void writeText(folder));
const bytesFor = (name: ObjectiveName): ByteTokenizer => new ByteTokenizer(ownSpecials[name]);

const tinyOf: Readonly<Record<string, readonly string[]>> = {
  llama: ['hiddenSize=16', 'intermediateSize=32', 'numHiddenLayers=1'],
  gpt2: ['nEmbd=16', 'nLayer=1'],
  glm: ['hiddenSize=16', 'intermediateSize=32', 'numHiddenLayers=1'],
  bert: ['hiddenSize=16', 'intermediateSize=32', 'numHiddenLayers=1'],
  t5: ['dModel=16', 'dKv=4', 'dFf=32', 'numLayers=1'],
  glm_blank_infilling: ['hiddenSize=16', 'numLayers=1'],
};
const small = '--batch-size 2 --length 24 --steps 6 --log-every 1 --save-every 3'.split(' ');
const pairs = families.flatMap(({ type, kind, presets }) =>
  kinds[kind]
    .filter((name) => name !== 'causal')
    .map((name) => [type, name, Object.keys(presets).find((preset) => preset.endsWith('-tiny'))!] as const),
);

describe('runs', () => {
  test.each(pairs)(
    '%s, %s: trained, measured, asked, and gone on with to the bit',
    async (type, name, preset) => {
      const out = at(`${type}-${name}`);
      const set = tinyOf[type]!.flatMap((field) => ['--set', field]);
      const which = ['--model', preset, '--objective', name, '--data', at('text.txt'), '--out', out];
      const run = await cli('train', ...which, ...small, ...set);
      expect(run.err).toBe('');
      expect(JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'))).toMatchObject({ objective: name });
      const measured = await cli('eval', out, at('text.txt'), '--limit', '60', '--json');
      expect(measured.err).toBe('');
      const found = JSON.parse(measured.out) as { objective: string; loss: number; length: number };
      expect(found).toMatchObject({ objective: name, length: 24 });
      expect(found.loss).toBeGreaterThan(0);
      expect(found.loss).toBeLessThan(7);
      const prompt =
        { masked: 'c[MASK]t', blank: 'c[MASK]t', span: 'c<extra_id_0>t' }[name as string] ?? 'cat';
      const asked = await cli('generate', out, prompt, '--max-tokens', '3', '--json');
      expect(asked.err).toBe('');
      const { text: written } = JSON.parse(asked.out) as { text: string };
      if (prompt !== 'cat') expect(written).toMatch(/^c[^]*t$/);

      // As if it had been killed after its first checkpoint.
      const half = `${out}-half`;
      cpSync(out, half, { recursive: true });
      rmSync(join(half, 'model.safetensors'));
      for (const checkpoint of readdirSync(join(half, 'checkpoints')))
        if (!/0*3$/.test(checkpoint)) rmSync(join(half, 'checkpoints', checkpoint), { recursive: true });
      const again = await cli('train', '--resume', half);
      expect(again.err).toBe('');
      expect(again.out).toContain('from step 3, ');
      const weights = (where: string): string => readFileSync(join(where, 'model.safetensors'), 'base64');
      expect(weights(half)).toBe(weights(out));
    },
  );

  test('an objective alone chooses a model, and a tokenizer that has its tokens is kept', async () => {
    for (const name of ['masked', 'span', 'blank'] as const) {
      const out = at(`bpe-${name}`);
      const { type } = families.find(({ presets }) => usualModels[name] in presets)!;
      const set = tinyOf[type]!.flatMap((field) => ['--set', field]);
      const which = ['--objective', name, '--data', at('text.txt'), '--tokenizer', 'bpe:400', '--out', out];
      const run = await cli('train', ...which, ...small, ...set);
      expect(run.err).toBe('');
      const tokenizer = (await tokenizerIn(out, 0))!;
      const lookUp = { masked: maskTokens, span: spanTokens, blank: blankTokens }[name];
      expect(Object.values(lookUp(tokenizer)).every((id) => Array.isArray(id) || Number(id) >= 0)).toBe(true);
      if (name === 'span') expect(spanTokens(tokenizer).sentinels).toBe(100);
    }
  });

  test('bytes with special tokens are read as they were written', async () => {
    for (const name of objectiveNames) {
      const own = bytesFor(name);
      const tokenizer = await tokenizerIn(at(`bert-masked`), 258);
      expect(tokenizer).toBeInstanceOf(ByteTokenizer);
      expect(tokenizer!.special).toEqual(ownSpecials.masked.special);
      expect(own.vocabSize).toBe(
        256 + Object.keys(ownSpecials[name].special).length + (ownSpecials[name].added?.length ?? 0),
      );
    }
    expect(spanTokens((await tokenizerIn(at('t5-span'), 358))!)).toEqual(spanTokens(bytesFor('span')));
    expect(blankTokens((await tokenizerIn(at('glm_blank_infilling-blank'), 0))!)).toEqual(
      blankTokens(bytesFor('blank')),
    );
  });
});

const train = ['train', '--data', 'text.txt', '--out', 'never'];
const wrong: readonly (readonly [string, readonly string[], RegExp])[] = [
  [
    '--objective masked of a decoder',
    [...train, '--model', 'gpt2-tiny', '--objective', 'masked'],
    /not for models of type gpt2: they take causal or prefix/,
  ],
  [
    '--objective causal of BERT',
    [...train, '--model', 'bert-tiny', '--objective', 'causal'],
    /type bert: they take masked/,
  ],
  [
    '--objective prefix where windows are',
    [...train, '--model', 'gpt-neo-tiny', '--objective', 'prefix'],
    /type gpt_neo: they take causal/,
  ],
  ['an objective that there is not', [...train, '--objective', 'fill'], /Allowed choices are causal, masked/],
  ['noise where there is none', [...train, '--noise', '0.2'], /--objective causal goes without --noise/],
  [
    'spans of single tokens',
    [...train, '--objective', 'masked', '--span-length', '2'],
    /masked goes without --span-length/,
  ],
  [
    'a generator and spans',
    ['train', '--generator', 'copy', '--objective', 'span', '--out', 'never'],
    /a generator makes texts for the next token/,
  ],
  [
    'more spans than sentinels',
    [...train, '--objective', 'span', '--length', '300', '--noise', '0.5', '--span-length', '1'],
    /has 149 spans, and the tokenizer 100 sentinels/,
  ],
  [
    'more tokens than places',
    [...train, '--objective', 'blank', '--length', '129'],
    /more than the 128 tokens/,
  ],
  [
    'a BPE without room for sentinels',
    [...train, '--objective', 'span', '--tokenizer', 'bpe:300'],
    /from 358 \(102 special tokens and 256 bytes\)/,
  ],
];

test('a prompt is read as the model was trained, or as it is asked for', async () => {
  const bare = at('bare-prefix');
  expect((await cli('convert', at('llama-prefix'), bare)).err).toBe('');
  const draws = ['cat sat on', '--max-tokens', '12', '--temperature', '0'];
  const asked = async (...args: string[]): Promise<string> => {
    const { out, err } = await cli('generate', ...args, ...draws);
    expect(err).toBe('');
    return out;
  };
  const both = await asked(at('llama-prefix'));
  // What is converted does not know what it was trained on.
  expect(await asked(bare, '--objective', 'prefix')).toBe(both);
  expect(await asked(at('llama-prefix'), '--objective', 'causal')).toBe(await asked(bare));
});

test('a plan that says nothing of objectives is one of the next token', async () => {
  const out = at('older');
  const set = tinyOf['llama']!.flatMap((field) => ['--set', field]);
  expect((await cli('train', '--data', at('text.txt'), '--out', out, ...small, ...set)).err).toBe('');
  const path = join(out, 'run.json');
  const plan = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  for (const name of ['objective', 'noise', 'spanLength']) delete plan[name];
  writeFileSync(path, JSON.stringify(plan));
  expect(await planIn(out)).toMatchObject({ objective: 'causal', noise: 0.15, spanLength: 3 });
  writeFileSync(path, JSON.stringify({ ...plan, objective: 'guess' }));
  await expect(planIn(out)).rejects.toThrow(/is damaged: objective must be/);
});

describe('pairs that make no sense', () => {
  test.each(wrong)('%s', async (_, args, pattern) => {
    const { code, err } = await cli(
      ...args.map((one) => (one === 'text.txt' ? at(one) : one === 'never' ? at(one) : one)),
    );
    expect([code, err]).toEqual([2, expect.stringMatching(pattern)]);
    expect(err.split('\n').length).toBe(2);
    expect(existsSync(at('never'))).toBe(false);
  });

  test('a tokenizer without the tokens', async () => {
    const plain = at('llama-prefix');
    const { code, err } = await cli(
      'train',
      '--objective',
      'masked',
      '--tokenizer',
      plain,
      '--data',
      at('text.txt'),
      '--out',
      at('never'),
    );
    expect([code, err]).toEqual([1, expect.stringMatching(/needs a tokenizer with a mask token/)]);
    expect(existsSync(at('never'))).toBe(false);
  });

  test.each([
    ['a text without masks', ['generate', 'bert-masked', 'cat'], 1, /write \[MASK\] where/],
    ['a text without blanks', ['generate', 'glm_blank_infilling-blank', 'cat'], 1, /write \[MASK\] where/],
    [
      'needles for BERT',
      ['eval', 'bert-masked', 'text.txt', '--task', 'needle', '--lengths', '200'],
      1,
      /goes on with no text/,
    ],
    ['a chat with BERT', ['generate', 'bert-masked', 'a', '--chat'], 1, /goes on with no text/],
    [
      'the perplexity of BERT',
      ['eval', 'bert-masked', 'text.txt', '--objective', 'causal'],
      2,
      /type bert: they take masked/,
    ],
    [
      'a stride for BERT',
      ['eval', 'bert-masked', 'text.txt', '--stride', '3'],
      2,
      /masked goes without --stride/,
    ],
    ['a stop for blanks', ['generate', 'bert-masked', 'c[MASK]t', '--stop', 'a'], 2, /--stop goes with/],
  ] as const)('%s', async (_, args, exit, pattern) => {
    const { code, err } = await cli(...args.map((one) => (existsSync(at(one)) ? at(one) : one)));
    expect([code, err]).toEqual([exit, expect.stringMatching(pattern)]);
  });
});
