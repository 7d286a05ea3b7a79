/** What cannot be done is told in one line, with an exit code, and leaves nothing behind. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli, contents, temporaryFolder, tiny, writeText } from './support.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);
const [data, out, model] = [at('text.txt'), at('new'), at('model')];

beforeAll(async () => {
  writeText(folder);
  writeFileSync(at('short.txt'), 'ab');
  writeFileSync(at('broken.json'), '{');
  writeFileSync(at('vit.json'), '{"model_type":"vit"}');
  writeFileSync(at('odd.json'), '{"model_type":"llama","hidden_size":-1}');
  mkdirSync(at('full'));
  writeFileSync(join(at('full'), 'thesis.txt'), 'years of work');
  mkdirSync(at('damaged'));
  writeFileSync(join(at('damaged'), 'run.json'), '{"format":1,"steps":"many"}');
  mkdirSync(at('torn'));
  writeFileSync(join(at('torn'), 'config.json'), '{"model_type":"llama"}');
  writeFileSync(join(at('torn'), 'model.safetensors'), 'no tensors');
  mkdirSync(at('vit'));
  writeFileSync(join(at('vit'), 'config.json'), '{"model_type":"vit"}');
  mkdirSync(at('unfinished'));
  writeFileSync(join(at('unfinished'), 'run.json'), '{}');
  const made = await cli('train', '--data', data, '--steps', '1', ...tiny, '--out', model);
  expect(made.err).toBe('');
  const chain = await cli('train', '--generator', 'markov', '--steps', '1', ...tiny, '--out', at('chain'));
  expect(chain.err).toBe('');
});

const train = ['train', '--out', out];
const texts = [...train, '--data', data];

const usage: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['no command', [], /say what to do/],
  ['an unknown command', ['fly'], /unknown command 'fly'/],
  ['an unknown option', ['train', '--fast'], /unknown option '--fast'/],
  ['no folder', ['train', '--data', data], /--out DIR/],
  ['no data', train, /either --data FILE or --generator NAME/],
  ['data and generator', [...texts, '--generator', 'copy'], /either --data FILE or --generator NAME/],
  ['two models', [...texts, '--model', 'gpt2', '--config', 'x'], /one of --model, --config and --from/],
  ['an unknown model', [...texts, '--model', 'gpt5'], /no model 'gpt5'; there is llama-tiny/],
  ['an unknown field', [...texts, '--set', 'depth=3'], /there is no depth; the fields are vocabSize/],
  ['a field of no sense', [...texts, '--set', 'hiddenSize=-1'], /hiddenSize must be an integer ≥ 1, got -1/],
  ['a field without a value', [...texts, '--set', 'hiddenSize'], /Give name=value/],
  ['too small a vocabulary', [...texts, '--set', 'vocabSize=9'], /vocabSize=9 is less than the 256 tokens/],
  ['no steps', [...texts, '--steps', '0'], /'0' is invalid.*integer from 1/],
  ['half a step', [...texts, '--steps', '1.5'], /'1.5' is invalid/],
  ['a learning rate of 0', [...texts, '--learning-rate', '0'], /number above 0/],
  ['an unknown schedule', [...texts, '--schedule', 'up'], /Allowed choices are cosine, linear/],
  [
    'texts longer than the model',
    [...texts, '--model', 'gpt2-tiny', '--length', '300'],
    /more than the 256 tokens/,
  ],
  ['an unknown tokenizer', [...texts, '--tokenizer', 'words'], /bytes, bpe:SIZE or a folder/],
  [
    'a tokenizer that is too small',
    [...texts, '--tokenizer', 'bpe:10'],
    /vocabSize must be an integer from 257/,
  ],
  [
    'a tokenizer beside a generator',
    [...train, '--generator', 'copy', '--tokenizer', 'bytes'],
    /without --tokenizer/,
  ],
  ['an unknown generator', [...train, '--generator', 'dice'], /no generator 'dice'; there is markov/],
  ['an unknown setting', [...train, '--generator', 'markov:sides=6'], /markov has states, order/],
  ['a setting of no sense', [...train, '--generator', 'markov:states=1'], /states must be an integer from 2/],
  [
    'passkeys in too short a text',
    [...train, '--generator', 'passkey', '--length', '32'],
    /at least 2 segments, 64/,
  ],
  ['passkeys in too short a segment', [...train, '--generator', 'passkey:digits=20'], /does not hold a key/],
  [
    'a model type that tells no next token',
    [...texts, '--config', at('vit.json')],
    /'vit' cannot be used here/,
  ],
  ['a configuration of no sense', [...texts, '--config', at('odd.json')], /hidden_size must be an integer/],
  ['resuming otherwise', ['train', '--resume', model, '--steps', '9'], /goes without --steps/],
  ['a model as it is, changed', [...texts, '--from', model, '--set', 'hiddenSize=8'], /without --set/],
  ['a forgotten path', ['train', '--out', '--json'], /Give a path/],
  ['a prompt twice', ['generate', model, 'a', '--tokens', '1'], /goes without a prompt/],
  ['a system without a chat', ['generate', model, 'a', '--system', 'b'], /goes with --chat/],
  ['a chat as JSON', ['generate', model, 'a', '--chat', '--json'], /goes without --chat/],
  ['an empty stop', ['generate', model, 'a', '--stop', ''], /--stop needs a text/],
  ['a probability above 1', ['generate', model, 'a', '--top-p', '2'], /number above 0 to 1/],
  ['no text', ['eval', model], /say which text/],
  ['a text for passkeys', ['eval', model, data, '--task', 'passkey'], /makes its own texts/],
  ['samples of a text', ['eval', model, data, '--samples', '2'], /text goes without --samples/],
  ['a stride that skips', ['eval', model, data, '--length', '8', '--stride', '9'], /would skip tokens/],
  [
    'too short a text for a needle',
    ['eval', model, data, '--task', 'needle', '--lengths', '20'],
    /must be more than/,
  ],
  ['a shard of nothing', ['convert', model, out, '--max-shard', 'small'], /200kB, 500MB or 2GB/],
  ['a dtype that there is not', ['convert', model, out, '--dtype', 'f8'], /Allowed choices are f16, bf16/],
  ['half a renaming', ['convert', model, out, '--rename', 'a'], /must be from=to/],
  [
    'keys decided twice',
    ['convert', model, out, '--modernize', '--add-prefix', 'a'],
    /--modernize decides all keys/,
  ],
];

const failures: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['a text that is not there', [...train, '--data', at('no')], /there is no file .*no$/],
  ['a folder as text', [...train, '--data', folder], /cannot be read \(EISDIR\)/],
  [
    'too short a text',
    [...train, '--data', at('short.txt')],
    /the text has 2 tokens, and --length 128 needs 129/,
  ],
  ['a broken configuration', [...texts, '--config', at('broken.json')], /is not JSON/],
  ["someone else's folder", ['train', '--data', data, '--out', at('full')], /is not empty/],
  ['a file as folder', ['train', '--data', data, '--out', data], /is a file/],
  ['a model that is not there', [...texts, '--from', at('no')], /there is no file .*config\.json/],
  ['a model without a tokenizer', [...texts, '--from', at('chain')], /holds no tokenizer/],
  ['a run that is none', ['train', '--resume', at('no')], /there is no file .*run\.json/],
  ['a damaged run', ['train', '--resume', at('damaged')], /is damaged: model must be an object/],
  [
    'a run that is not finished',
    ['generate', at('unfinished'), 'a'],
    /not finished: infinigrad train --resume/,
  ],
  ['a model that tells no next token', ['generate', at('vit'), 'a'], /type 'vit', which cannot be used/],
  ['a torn model', ['generate', at('torn'), 'a'], /model\.safetensors/],
  ['no model', ['generate', at('no'), 'a'], /there is no folder/],
  ['an empty prompt', ['generate', model, ''], /the prompt is empty/],
  ['a token that there is not', ['generate', model, '--tokens', '256'], /no token 256: the model has 256/],
  ['a text for a model without words', ['generate', at('chain'), 'a'], /give --tokens/],
  ['a chat without a template', ['generate', model, 'a', '--chat'], /has no chat template/],
  [
    'passkeys of other tokens',
    ['eval', model, '--task', 'passkey'],
    /passkeys have 36 tokens, and the model 256/,
  ],
  [
    'a text too short for needles',
    ['eval', model, at('short.txt'), '--task', 'needle'],
    /the text has 2 tokens/,
  ],
  ['nothing to inspect', ['inspect', at('no')], /there is nothing at/],
  ['a folder of something else', ['inspect', at('full')], /holds no model\.safetensors/],
  ['a torn file', ['inspect', at('torn')], /model\.safetensors/],
  ['nothing to convert', ['convert', at('no'), out], /there is nothing at/],
  ['no folder to modernize', ['convert', 'no/such', out, '--modernize'], /there is no file .*config\.json/],
  ['a folder that is not empty', ['convert', model, at('full')], /is not empty/],
  [
    'two tensors of one key',
    ['convert', model, out, '--rename', 'q_proj=k_proj'],
    /two tensors would have the key/,
  ],
];

describe('wrong options: exit code 2', () => {
  test.each(usage)('%s', async (_, args, pattern) => {
    const { code, out: told, err } = await cli(...args);
    expect([code, told]).toEqual([2, '']);
    expect(err).toMatch(/^infinigrad: [^\n]+--help[^\n]*\n$/);
    expect(err.trim()).toMatch(pattern);
    expect(existsSync(out)).toBe(false);
  });
});

describe('what fails: exit code 1', () => {
  test.each(failures)('%s', async (_, args, pattern) => {
    const before = [readdirSync(folder), contents(at('full')), contents(model)];
    const { code, err } = await cli(...args);
    expect(code).toBe(1);
    expect(err).toMatch(/^infinigrad: [^\n]+\n$/);
    expect(err.trim()).toMatch(pattern);
    expect([readdirSync(folder), contents(at('full')), contents(model)]).toEqual(before);
  });
});

test('with INFINIGRAD_DEBUG an error shows its stack', async () => {
  process.env['INFINIGRAD_DEBUG'] = '1';
  try {
    expect((await cli('inspect', at('no'))).err).toMatch(/CommandError: there is nothing[^\n]*\n +at /);
  } finally {
    delete process.env['INFINIGRAD_DEBUG'];
  }
});
