/** Loading and saving folders: forms of weights, keys with and without prefix, progress, and all that can be wrong. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { FormatError, Key, memoryStats, tensor, zeros, type Tensor } from '@infinigrad/tensor';
import { loadSafetensors, saveSafetensors } from '@infinigrad/tensor/node';
import { LlamaForCausalLM, LlamaModel, type LlamaOptions, type PretrainedReport } from '@infinigrad/zoo';
import { CheckpointError, fromPretrained, savePretrained } from '@infinigrad/zoo/node';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const tiny: LlamaOptions = {
  vocabSize: 11,
  hiddenSize: 8,
  intermediateSize: 12,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  numKeyValueHeads: 1,
  initializerRange: 0.3,
};
const make = (options: LlamaOptions = {}, seed = 1): LlamaForCausalLM =>
  new LlamaForCausalLM({ ...tiny, ...options }, new Key(seed)).eval();
const ids = tensor([[1, 4, 2, 10, 0]], { dtype: 'i32' });
const logits = (model: LlamaForCausalLM): ArrayLike<number> => model.forward(ids).logits.dataSync();
const load = (options = {}): Promise<LlamaForCausalLM> =>
  fromPretrained(folder, { modelClass: LlamaForCausalLM, ...options });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'infinigrad-pretrained-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const file = (name: string): string => join(folder, name);
const weights = 'model.safetensors';
const editConfig = (change: (config: Record<string, unknown>) => unknown): void => {
  const config = JSON.parse(readFileSync(file('config.json'), 'utf8')) as Record<string, unknown>;
  writeFileSync(file('config.json'), JSON.stringify(change(config)));
};
const editWeights = async (
  change: (tensors: Record<string, Tensor>) => Record<string, Tensor> | void,
): Promise<void> => {
  const { tensors } = await loadSafetensors(file(weights));
  const changed = change(tensors) ?? tensors;
  await saveSafetensors(file(weights), changed);
};
const renamed = (tensors: Record<string, Tensor>, name: (key: string) => string): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(tensors).map(([key, value]) => [name(key), value]));

/** The error, which must be one typed line that names the folder. */
async function failure(loading: Promise<unknown>): Promise<FormatError> {
  const error = await loading.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(FormatError);
  expect((error as FormatError).message).toContain(folder);
  expect((error as FormatError).message).not.toContain('\n');
  return error as FormatError;
}

describe('weights', () => {
  test('in several files, which a save in one file replaces, and the other way round', async () => {
    const [model, other] = [make(), make({}, 2)];
    await savePretrained(model, folder, { maxShardBytes: 1000 });
    const shards = readdirSync(folder).filter((name) => name.startsWith('model-'));
    expect(shards.length).toBeGreaterThan(2);
    expect(existsSync(file(weights))).toBe(false);
    expect(logits(await load())).toEqual(logits(model));
    await savePretrained(other, folder);
    expect(readdirSync(folder).toSorted()).toEqual(['config.json', weights]);
    expect(logits(await load())).toEqual(logits(other));
    await savePretrained(model, folder, { maxShardBytes: 1000 });
    expect(readdirSync(folder).toSorted()).toEqual(
      ['config.json', ...shards, 'model.safetensors.index.json'].toSorted(),
    );
    expect(logits(await load())).toEqual(logits(model));
  });

  test.each([
    ['f16', 'float16', 2e-3],
    ['bf16', 'bfloat16', 2e-2],
    ['f64', 'float64', 0],
  ] as const)('saved as %s', async (dtype, name, tolerance) => {
    const model = make();
    await savePretrained(model, folder, { dtype });
    expect(JSON.parse(readFileSync(file('config.json'), 'utf8'))).toMatchObject({ torch_dtype: name });
    expect(
      Object.values((await loadSafetensors(file(weights))).tensors).every((x) => x.dtype === dtype),
    ).toBe(true);
    const back = await load();
    expect(back.lmHead!.weight.dtype).toBe(dtype === 'f64' ? 'f64' : 'f32');
    const before = model.stateDict();
    for (const [key, value] of Object.entries(back.stateDict())) {
      const [a, b] = [value.dataSync(), before[key]!.dataSync()];
      a.forEach((x, i) => expect(Math.abs(x - b[i]!)).toBeLessThanOrEqual(tolerance * Math.abs(b[i]!)));
    }
    expect((await load({ dtype: 'bf16' })).lmHead!.weight.dtype).toBe('bf16');
  });

  test('are written as they were when saving began, in another dtype too', async () => {
    for (const dtype of ['f32', 'f64'] as const) {
      const model = make();
      const before = logits(model);
      const saving = savePretrained(model, folder, { dtype, maxShardBytes: 1000 });
      for (const parameter of model.parameters()) parameter.assign(parameter.detach().mul(3));
      await saving;
      expect(logits(await load({ dtype: 'f32' }))).toEqual(before);
    }
  });

  test('take little more memory than they hold: what is read is the parameter, and blanks are shared', async () => {
    const wide = { vocabSize: 64, hiddenSize: 64, intermediateSize: 128, numHiddenLayers: 12 };
    const model = make(wide);
    await savePretrained(model, folder);
    const before = memoryStats().allocatedBytes;
    const back = await load();
    const held = 4 * back.numParameters();
    expect((memoryStats().allocatedBytes - before) / held).toBeLessThan(1.2);
    const storages = new Set(back.parameters().map(({ storage }) => storage));
    expect(storages.size).toBe(back.parameters().length);
    expect(logits(back)).toEqual(logits(model));
  });

  test('with the prefix of the base model or without it, into the whole model or the base alone', async () => {
    const model = make();
    await savePretrained(model, folder);
    const base = await fromPretrained(folder, { modelClass: LlamaModel });
    const states = base.forward(ids).lastHiddenState.dataSync();
    expect(states).toEqual(model.model.forward(ids).lastHiddenState.dataSync());
    await editWeights((tensors) => renamed(tensors, (key) => key.replace(/^model\./, '')));
    expect(logits(await load())).toEqual(logits(model));
    expect(
      (await fromPretrained(folder, { modelClass: LlamaModel })).forward(ids).lastHiddenState.dataSync(),
    ).toEqual(states);
    await savePretrained(base, folder);
    expect((await fromPretrained(folder)).constructor).toBe(LlamaModel);
    expect(Object.keys((await loadSafetensors(file(weights))).tensors)).toContain('embed_tokens.weight');
  });

  test('of a tied head are there once, twice, or under the name of the head alone', async () => {
    const model = make({ tieWordEmbeddings: true });
    await savePretrained(model, folder);
    const [table, head] = ['model.embed_tokens.weight', 'lm_head.weight'];
    expect(Object.keys((await loadSafetensors(file(weights))).tensors)).not.toContain(head);
    for (const change of [
      (t: Record<string, Tensor>) => ({ ...t, [head]: t[table]! }),
      (t: Record<string, Tensor>) => Object.fromEntries(Object.entries(t).filter(([key]) => key !== table)),
    ]) {
      await editWeights(change);
      const reports: PretrainedReport[] = [];
      expect(logits(await load({ onReport: (r: PretrainedReport) => reports.push(r) }))).toEqual(
        logits(model),
      );
      expect(reports[0]!.tied.length).toBe(1);
      expect([...reports[0]!.missing, ...reports[0]!.unexpected]).toEqual([]);
    }
    // Without the tie the head is a tensor of its own.
    editConfig((config) => ({ ...config, tie_word_embeddings: false }));
    expect((await failure(load())).message).toMatch(/missing model\.embed_tokens\.weight/);
  });

  test('of older files hold buffers that mean nothing', async () => {
    await savePretrained(make(), folder);
    await editWeights((tensors) => ({
      ...tensors,
      'model.layers.0.self_attn.rotary_emb.inv_freq': zeros([4]),
    }));
    const reports: PretrainedReport[] = [];
    await load({ onReport: (r: PretrainedReport) => reports.push(r) });
    expect(reports[0]!.ignored).toEqual(['model.layers.0.self_attn.rotary_emb.inv_freq']);
  });

  test('tell how far they are', async () => {
    await savePretrained(make(), folder);
    const seen: { name: string; loaded: number; total: number }[] = [];
    const model = await load({ onProgress: (p: (typeof seen)[number]) => seen.push(p) });
    expect(new Set(seen.map(({ name }) => name)).size).toBe(Object.keys(model.pretrainedState()).length);
    expect(seen.at(-1)!.loaded).toBe(seen[0]!.total);
    expect(seen[0]!.total).toBe(4 * model.numParameters());
    seen.reduce((before, { loaded }) => {
      expect(loaded).toBeGreaterThan(before);
      return loaded;
    }, 0);
  });
});

describe('the configuration', () => {
  test('keeps what it does not know', async () => {
    await savePretrained(make(), folder);
    editConfig((config) => ({ ...config, use_cache: true, my_own: { a: [1] } }));
    const model = await load();
    expect(model.config.extra).toEqual({ use_cache: true, my_own: { a: [1] } });
    await savePretrained(model, folder);
    expect(JSON.parse(readFileSync(file('config.json'), 'utf8'))).toMatchObject({ my_own: { a: [1] } });
  });

  test('names the class by its architecture, else by the model type; without either one must be told', async () => {
    await savePretrained(make(), folder);
    expect((await fromPretrained(folder)).constructor).toBe(LlamaForCausalLM);
    editConfig((config) => ({ ...config, architectures: undefined }));
    expect((await fromPretrained(folder)).constructor).toBe(LlamaForCausalLM);
    editConfig((config) => ({ ...config, model_type: undefined }));
    expect((await failure(fromPretrained(folder))).message).toMatch(/neither model_type nor architectures/);
    expect((await load()).config.hiddenSize).toBe(8);
  });
});

describe('a model card', () => {
  test('is written where it is asked for, and says what it was told', async () => {
    await savePretrained(make(), folder);
    expect(existsSync(file('README.md'))).toBe(false);
    await savePretrained(make(), folder, {
      card: {
        title: 'A small one',
        description: 'Made to be looked at.',
        license: 'mit',
        languages: ['en'],
        datasets: ['a "quoted" set'],
        metrics: { 'loss | nats': 1.5 },
        training: { seed: 7, steps: 100 },
      },
    });
    const card = readFileSync(file('README.md'), 'utf8');
    expect(card.split('\n')[0]).toBe('---');
    for (const line of [
      'license: "mit"',
      '- "a \\"quoted\\" set"',
      '- "llama"',
      '# A small one',
      '| loss \\| nats | 1.5 |',
      '| seed | 7 |',
      '| architecture | LlamaForCausalLM |',
      `| parameters | ${make().numParameters().toLocaleString('en')} |`,
    ])
      expect(card.split('\n')).toContain(line);
    await expect(savePretrained(make(), folder, { card: { license: 3 as never } })).rejects.toThrow(
      /license must be a text/,
    );
  });
});

describe('what cannot be loaded is told in one line that names the file', () => {
  beforeEach(() => savePretrained(make(), folder));

  test.each(['config.json', weights])('no %s', async (name) => {
    rmSync(file(name));
    expect((await failure(load())).message).toContain(`there is no file ${file(name)}`);
  });

  test('weights of PyTorch alone', async () => {
    renameSync(file(weights), file('pytorch_model.bin'));
    expect((await failure(load())).message).toMatch(/pytorch_model\.bin cannot be read: convert it/);
  });

  test('weights cut short', async () => {
    truncateSync(file(weights), 500);
    expect((await failure(load())).message).toContain(file(weights));
  });

  test('a shard that is missing, and an index that leads elsewhere', async () => {
    await savePretrained(make(), folder, { maxShardBytes: 1000 });
    const shard = readdirSync(folder).find((name) => name.startsWith('model-00002'))!;
    const kept = readFileSync(file(shard));
    rmSync(file(shard));
    expect((await failure(load())).message).toContain(shard);
    writeFileSync(file(shard), kept);
    const index = readFileSync(file('model.safetensors.index.json'), 'utf8');
    writeFileSync(file('model.safetensors.index.json'), index.replace(shard, `../${shard}`));
    await failure(load());
  });

  test('a model type that there is none of', async () => {
    editConfig((config) => ({ ...config, model_type: 'mamba', architectures: ['MambaForCausalLM'] }));
    expect((await failure(fromPretrained(folder))).message).toMatch(
      /model type 'mamba', of which there is none here; there is .*llama/,
    );
    expect((await failure(load())).message).toMatch(/of model type 'mamba', not 'llama'/);
  });

  test.each([null, 3, [], 'x'])('a configuration that is %j', async (value) => {
    editConfig(() => value);
    expect((await failure(load())).message).toMatch(/config\.json: .*needs a JSON object/);
    await failure(fromPretrained(folder));
  });

  test.each([
    ['hidden_size', '8'],
    ['hidden_size', 8.5],
    ['num_key_value_heads', 3],
    ['head_dim', 7],
    ['hidden_act', 'sine'],
    ['tie_word_embeddings', 'no'],
    ['rms_norm_eps', -1],
    ['rope_theta', 0],
    ['rope_scaling', 'linear'],
    ['rope_scaling', { type: 'linear' }],
    ['rope_scaling', { type: 'linear', factor: 'two' }],
    ['rope_scaling', { type: 'spiral', factor: 2 }],
    [
      'rope_scaling',
      {
        type: 'longrope',
        factor: 2,
        original_max_position_embeddings: 8,
        short_factor: [1],
        long_factor: [2],
      },
    ],
    ['rope_parameters', [1]],
    ['eos_token_id', 'end'],
  ])('%s with no sense: %j', async (name, value) => {
    editConfig((config) => ({ ...config, [name]: value }));
    expect((await failure(load())).message).toMatch(/config\.json: /);
  });

  test('sizes that the weights cannot fill, before memory is taken', async () => {
    for (const change of [
      { num_hidden_layers: 1e9 },
      { vocab_size: 1e12 },
      { head_dim: 2e9 },
      { intermediate_size: 1e9 },
      { num_hidden_layers: 900, intermediate_size: 1e5 },
    ]) {
      await savePretrained(make(), folder);
      editConfig((config) => ({ ...config, ...change }));
      expect((await failure(load())).message).toMatch(/config\.json: .*model\.safetensors holds/);
    }
  });

  test('tensors that are missing, too many, or of another shape or kind; the error has the report', async () => {
    await editWeights((tensors) => {
      delete tensors['model.norm.weight'];
      tensors['extra'] = zeros([1]);
      tensors['embed_tokens.weight'] = tensors['model.embed_tokens.weight']!;
      tensors['lm_head.weight'] = zeros([8, 11]);
      tensors['model.layers.1.mlp.up_proj.weight'] = zeros([12, 8], { dtype: 'i32' });
    });
    const error = await failure(load());
    expect(error).toBeInstanceOf(CheckpointError);
    const { report } = error as CheckpointError;
    expect(report!.missing).toEqual(['model.norm.weight']);
    expect(report!.unexpected.toSorted()).toEqual(['embed_tokens.weight', 'extra']);
    expect(report!.mismatched.map(({ name }) => name)).toEqual([
      'model.layers.1.mlp.up_proj.weight',
      'lm_head.weight',
    ]);
    await failure(load({ strict: false }));
  });

  test('strict: false lets pass what is missing or too many, ignore what it names', async () => {
    await editWeights((tensors) => {
      delete tensors['model.norm.weight'];
      tensors['extra'] = zeros([1]);
    });
    await failure(load());
    expect((await failure(load({ ignore: [/^extra$/] }))).message).not.toContain('extra');
    const model = await load({ strict: false });
    expect(Array.from(model.model.norm.weight.dataSync())).toEqual(new Array(8).fill(1));
  });

  test('what is missing is drawn by the key, as in a new model; the rest is what the file holds', async () => {
    await editWeights((tensors) => {
      delete tensors['model.layers.1.mlp.up_proj.weight'];
    });
    const { tensors } = await loadSafetensors(file(weights));
    for (const key of [undefined, new Key(5)]) {
      const { model } = await load({ strict: false, ...(key && { key }) });
      const drawn = new LlamaForCausalLM(make().config, key ?? new Key(0)).model;
      const [loaded, fresh] = [model, drawn].map(({ layers }) => layers[1]!.mlp);
      expect(loaded!.upProj.weight.dataSync()).toEqual(fresh!.upProj.weight.dataSync());
      expect(loaded!.downProj.weight.dataSync()).toEqual(
        tensors['model.layers.1.mlp.down_proj.weight']!.dataSync(),
      );
    }
  });

  test('whatever stands in config.json, it is a model or an error of ours', () =>
    fc.assert(
      fc.asyncProperty(
        fc.constantFrom(
          'vocab_size',
          'hidden_size',
          'num_hidden_layers',
          'num_attention_heads',
          'head_dim',
          'rope_scaling',
          'rope_parameters',
          'rope_theta',
          'hidden_act',
          'pad_token_id',
          'architectures',
          'model_type',
          '__proto__',
        ),
        fc.jsonValue({ maxDepth: 2 }),
        async (name, value) => {
          const before = readFileSync(file('config.json'), 'utf8');
          const text = `${before.trimEnd().slice(0, -1)}, ${JSON.stringify(name)}: ${JSON.stringify(value)}}`;
          writeFileSync(file('config.json'), text);
          try {
            await fromPretrained(folder);
          } catch (error) {
            expect(error).toBeInstanceOf(FormatError);
          } finally {
            writeFileSync(file('config.json'), before);
          }
        },
      ),
      { numRuns: 200 },
    ));
});

test('a folder that cannot be written is told, and what was there stays', async () => {
  writeFileSync(file('taken'), 'mine');
  expect((await failure(savePretrained(make(), file('taken')))).message).toMatch(/taken cannot be written/);
  mkdirSync(file('full'));
  mkdirSync(join(file('full'), 'config.json'));
  expect((await failure(savePretrained(make(), file('full')))).message).toMatch(/config\.json is a folder/);
  expect(readdirSync(file('full'))).toEqual(['config.json']);
});
