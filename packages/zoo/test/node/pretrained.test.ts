/** Models in folders: round trips, damaged files, nothing lost where saving fails. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FormatError, Key, tensor, zeros, type FloatDType, type Tensor } from '@infinigrad/tensor';
import { loadSafetensors, saveSafetensors } from '@infinigrad/tensor/node';
import { InfiniTransformer, type InfiniTransformerOptions } from '@infinigrad/zoo';
import { loadPretrained, savePretrained } from '@infinigrad/zoo/node';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { small } from '../infini/support.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'infinigrad-pretrained-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string): string => join(folder, name);
const make = (options: Partial<InfiniTransformerOptions> = {}, seed = 1, dtype: FloatDType = 'f32') =>
  new InfiniTransformer({ ...small, ...options }, new Key(seed), { dtype });
const tokens = tensor([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]], { dtype: 'i32' });
const logits = (model: InfiniTransformer): number[] => Array.from(model.forward(tokens).logits.dataSync());
const contents = (): Record<string, string> =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(file(name), 'base64')]));
const editConfig = (change: (config: Record<string, unknown>) => unknown): void => {
  const config = JSON.parse(readFileSync(file('config.json'), 'utf8')) as Record<string, unknown>;
  writeFileSync(file('config.json'), JSON.stringify(change(config)));
};
const editWeights = async (change: (tensors: Record<string, Tensor>) => void): Promise<void> => {
  const { tensors } = await loadSafetensors(file('model.safetensors'));
  change(tensors);
  await saveSafetensors(file('model.safetensors'), tensors);
};

/** The error, which must be one typed line that names the folder. */
async function failure(loading: Promise<unknown>): Promise<string> {
  const error = await loading.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(FormatError);
  const { message } = error as FormatError;
  expect(message).not.toContain('\n');
  expect(message).toContain(folder);
  return message;
}

const options: Readonly<Record<string, Partial<InfiniTransformerOptions>>> = {
  'the defaults': {},
  'tied embeddings': { tieWordEmbeddings: true },
  'our write gate, memory in the top layer': { writeGate: 'hard', memoryEps: 1, memoryLayers: [1] },
  'no memory': { memoryLayers: [] },
  'every other option': {
    numHeads: 4,
    numKvHeads: 2,
    headDim: 6,
    ropeTheta: 500,
    rmsNormEps: 1e-5,
    memoryUpdate: 'delta',
    featureMap: 'dpfp',
    memoryNormalization: 'rmsNorm',
    memoryEpsMode: 'add',
    gate: 'input',
    gateInit: 0.5,
    positionOnMemory: true,
    firstSegment: 'local',
    detachEvery: 2,
    memoryInit: 'learned',
    memoryDecay: 0.9,
    writeGate: 'sigmoid',
    writeGateMargin: 0.25,
  },
  'a gate per channel': { gate: 'perChannel' },
};

describe('a saved model comes back', () => {
  for (const [name, choice] of Object.entries(options))
    test(`with the same configuration and the same bits of logits: ${name}`, async () => {
      const model = make(choice);
      await savePretrained(model, folder);
      const back = await loadPretrained(folder);
      expect(back.config).toEqual(model.config);
      expect([...back.namedParameters().keys()]).toEqual([...model.namedParameters().keys()]);
      expect(logits(back)).toEqual(logits(model));
      expect(logits(back)).not.toEqual(logits(make(choice, 2)));
    });

  test('tied embeddings are saved once and stay tied', async () => {
    await savePretrained(make({ tieWordEmbeddings: true }), folder);
    expect((await loadPretrained(folder)).lmHead).toBeNull();
    expect(Object.keys((await loadSafetensors(file('model.safetensors'))).tensors)).not.toContain(
      'lmHead.weight',
    );
  });

  test('in its dtype', async () => {
    const model = make({}, 1, 'f64');
    await savePretrained(model, folder);
    const back = await loadPretrained(folder);
    expect(back.norm.weight.dtype).toBe('f64');
    expect(logits(back)).toEqual(logits(model));
    expect(JSON.parse(readFileSync(file('config.json'), 'utf8'))).toMatchObject({ torch_dtype: 'float64' });
  });

  test.each([
    ['f16', 'float16'],
    ['bf16', 'bfloat16'],
  ] as const)('from weights of %s as f32, which holds them all', async (dtype, name) => {
    const model = make({}, 1, dtype);
    expect(model.forward(tokens).logits.dtype).toBe(dtype);
    await savePretrained(model, folder);
    expect(JSON.parse(readFileSync(file('config.json'), 'utf8'))).toMatchObject({ torch_dtype: name });
    expect((await loadSafetensors(file('model.safetensors'))).tensors['norm.weight']!.dtype).toBe(dtype);
    expect(
      (await loadSafetensors(file('model.safetensors'), { widen: true })).tensors['norm.weight']!.dtype,
    ).toBe('f32');
    const back = await loadPretrained(folder);
    const saved = model.stateDict();
    for (const [name, value] of Object.entries(back.stateDict())) {
      expect(value.dtype).toBe('f32');
      expect(value.dataSync()).toEqual(saved[name]!.dataSync());
    }
  });

  test("the configuration has Hugging Face's keys", async () => {
    await savePretrained(make(), folder);
    expect(JSON.parse(readFileSync(file('config.json'), 'utf8'))).toMatchObject({
      model_type: 'infini_transformer',
      architectures: ['InfiniTransformer'],
      vocab_size: 11,
      hidden_size: 8,
      intermediate_size: 12,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      num_key_value_heads: 2,
      rms_norm_eps: 1e-6,
      rope_theta: 10000,
      tie_word_embeddings: false,
      torch_dtype: 'float32',
    });
  });

  test('into a folder that is made, beside files that stay, over an older save', async () => {
    const deep = file('a/b');
    await savePretrained(make({}, 1), deep);
    writeFileSync(join(deep, 'notes.txt'), 'mine');
    const model = make({ hiddenSize: 12 }, 2);
    await savePretrained(model, deep);
    expect(readdirSync(deep).sort()).toEqual(['config.json', 'model.safetensors', 'notes.txt']);
    expect(logits(await loadPretrained(deep))).toEqual(logits(model));
  });
});

describe('what cannot be loaded is told in one line that names the file', () => {
  beforeEach(() => savePretrained(make(), folder));

  test.each(['config.json', 'model.safetensors'])('no %s', async (name) => {
    rmSync(file(name));
    expect(await failure(loadPretrained(folder))).toContain(`there is no file ${file(name)}`);
  });

  test('no folder', async () => {
    expect(await failure(loadPretrained(file('nowhere')))).toContain('there is no file');
  });

  test('weights cut short, at every kind of place', async () => {
    const whole = readFileSync(file('model.safetensors'));
    for (const bytes of [0, 7, 8, 100, whole.length >> 1, whole.length - 1]) {
      writeFileSync(file('model.safetensors'), whole);
      truncateSync(file('model.safetensors'), bytes);
      expect(await failure(loadPretrained(folder))).toContain(file('model.safetensors'));
    }
  });

  test('a configuration cut short', async () => {
    truncateSync(file('config.json'), 100);
    expect(await failure(loadPretrained(folder))).toMatch(/config\.json is not JSON/);
  });

  test('a configuration too long to be one', async () => {
    writeFileSync(file('config.json'), `{"model_type":"infini_transformer"${' '.repeat(1_000_000)}}`);
    expect(await failure(loadPretrained(folder))).toMatch(
      /config\.json has 1000035 bytes, more than 1000000/,
    );
  });

  test('a configuration that is a folder', async () => {
    rmSync(file('config.json'));
    mkdirSync(file('config.json'));
    expect(await failure(loadPretrained(folder))).toMatch(/config\.json cannot be read \(EISDIR\)/);
  });

  test.each([null, 1, [], 'x'])('a configuration that is %j', async (value) => {
    editConfig(() => value);
    expect(await failure(loadPretrained(folder))).toMatch(/not a JSON object/);
  });

  test.each(['llama', undefined, 3])('model_type %j', async (model_type) => {
    editConfig((config) => ({ ...config, model_type }));
    expect(await failure(loadPretrained(folder))).toMatch(
      new RegExp(`config\\.json: .*of model type '${model_type}', not 'infini_transformer'`),
    );
  });

  test.each([
    ['hidden_size', '8'],
    ['num_hidden_layers', null],
    ['tie_word_embeddings', 'no'],
    ['memory_layers', 1],
    ['memory_layers', ['0']],
    ['detach_every', 'never'],
    ['gate', {}],
    ['rope_theta', []],
  ])('%s of the wrong type: %j', async (name, value) => {
    editConfig((config) => ({ ...config, [name]: value }));
    expect(await failure(loadPretrained(folder))).toMatch(new RegExp(`config\\.json: .*${name} is`));
  });

  test.each([
    ['vocab_size', undefined],
    ['head_dim', 3],
    ['gate', 'perToken'],
    ['memory_layers', [2]],
  ])('%s with no sense: %j', async (name, value) => {
    editConfig((config) => ({ ...config, [name]: value }));
    expect(await failure(loadPretrained(folder))).toMatch(/config\.json: InfiniTransformer: /);
  });

  test('sizes that the weights cannot fill are refused before memory is taken', async () => {
    for (const change of [
      { num_hidden_layers: 1e9 },
      { vocab_size: 1e12 },
      { head_dim: 1e9 },
      { intermediate_size: 1e9 },
      { num_hidden_layers: 900, intermediate_size: 1e5 },
    ]) {
      await savePretrained(make(), folder);
      editConfig((config) => ({ ...config, ...change }));
      expect(await failure(loadPretrained(folder))).toMatch(/config\.json: .*model\.safetensors holds/);
    }
  });

  test('weights that lack a tensor, have one too many, or one of another shape or kind', async () => {
    await editWeights((tensors) => {
      delete tensors['norm.weight'];
      tensors['extra'] = zeros([1]);
      tensors['lmHead.weight'] = zeros([11, 4]);
      tensors['embedTokens.weight'] = zeros([11, 8], { dtype: 'i32' });
    });
    const message = await failure(loadPretrained(folder));
    expect(message).toMatch(/model\.safetensors: .*missing norm\.weight; unexpected extra; mismatched /);
    expect(message).toMatch(/lmHead\.weight .*embedTokens\.weight|embedTokens\.weight .*lmHead\.weight/);
  });

  test('weights of a model with other options', async () => {
    editConfig((config) => ({ ...config, write_gate: 'hard' }));
    expect(await failure(loadPretrained(folder))).toMatch(/missing layers\.0\.attention\.writeGate\.weight/);
  });
});

describe('where saving fails, what was there stays as it was', () => {
  test.each(['config.json', 'model.safetensors'])('%s is a folder', async (name) => {
    await savePretrained(make({}, 1), folder);
    rmSync(file(name));
    mkdirSync(file(name));
    const before = readdirSync(folder);
    const other = name === 'config.json' ? 'model.safetensors' : 'config.json';
    const kept = readFileSync(file(other), 'base64');
    expect(await failure(savePretrained(make({}, 2), folder))).toContain(`${file(name)} is a folder`);
    expect(readdirSync(folder)).toEqual(before);
    expect(readFileSync(file(other), 'base64')).toBe(kept);
  });

  test('weights that cannot be read leave the old save whole', async () => {
    await savePretrained(make({}, 1), folder);
    const before = contents();
    const model = make({}, 2);
    model.stateDict = () => ({ x: null as never });
    await expect(savePretrained(model, folder)).rejects.toThrow();
    expect(contents()).toEqual(before);
  });

  test('the folder is a file', async () => {
    writeFileSync(file('taken'), 'mine');
    expect(await failure(savePretrained(make(), file('taken')))).toMatch(/taken cannot be written \(E/);
    expect(readFileSync(file('taken'), 'utf8')).toBe('mine');
  });
});
