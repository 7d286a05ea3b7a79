/** The parts of the commands, against what they should be by another way. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { noGrad } from '@infinigrad/autograd';
import { crossEntropy } from '@infinigrad/nn';
import { fromData, Key, zeros } from '@infinigrad/tensor';
import { loadSafetensors, loadSafetensorsSharded, saveSafetensors } from '@infinigrad/tensor/node';
import { ByteTokenizer, generate, LlamaForCausalLM, T5ForConditionalGeneration } from '@infinigrad/zoo';
import { fromPretrained } from '@infinigrad/zoo/node';
import { byteSize, integers } from '../src/arguments.ts';
import { writeFolder } from '../src/aside.ts';
import { perplexity } from '../src/evaluate/perplexity.ts';
import { families, presetNames } from '../src/families.ts';
import { loadModel } from '../src/model.ts';
import { bytes, table } from '../src/output.ts';
import { TextStream } from '../src/text-stream.ts';
import { generatorNames, generatorOf } from '../src/train/generators.ts';
import { scheduleNames, scheduleOf, type TrainPlan } from '../src/train/plan.ts';
import { cli, root, temporaryFolder, text, tiny, writeText } from './support.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);
const model = at('model');
beforeAll(async () => {
  const made = await cli('train', '--data', writeText(folder), '--steps', '20', ...tiny, '--out', model);
  expect(made.err).toBe('');
});

describe('perplexity', () => {
  const tokenizer = new ByteTokenizer();
  test.each([
    [12, 12, 4],
    [12, 5, 3],
    [12, 1, 64],
    [100, 100, 2],
  ])(
    'windows of %i, %i apart, are what each token is worth on its own',
    async (length, stride, batchSize) => {
      const loaded = await loadModel(model);
      const tokens = tokenizer.encode(text.slice(0, 41));
      const found = await perplexity(loaded, tokenizer, text, { length, stride, batchSize, limit: 41 });
      let sum = 0;
      for (let t = 1; t < tokens.length; t++) {
        // The first window that tells it.
        let start = 0;
        while (t > start + length) start += stride;
        const before = tokens.slice(start, t);
        const { logits } = noGrad(() =>
          loaded.model.forward(fromData(before, [1, before.length]), { lastLogits: 1 }),
        );
        sum += await crossEntropy(logits, fromData(tokens.slice(t, t + 1), [1, 1])).item();
      }
      expect(found.tokens).toBe(40);
      expect(found.loss).toBeCloseTo(sum / 40, 5);
      expect(found.perplexity).toBeCloseTo(Math.exp(sum / 40), 3);
      expect(found.bitsPerByte).toBeCloseTo(sum / 40 / Math.LN2, 5);
    },
  );
});

describe('text as it comes', () => {
  const tokenizer = new ByteTokenizer();
  const streamed = (ids: ArrayLike<number>, stops: readonly string[] = []): string[] => {
    const pieces: string[] = [];
    const out = new TextStream(
      (tokens) => tokenizer.decode(tokens),
      stops,
      (piece) => pieces.push(piece),
    );
    for (const id of Array.from(ids)) out.add(id);
    out.end();
    expect(pieces.join('')).toBe(out.written);
    return pieces;
  };
  test('no half characters are written', () =>
    expect(streamed(tokenizer.encode('añ€😀b'))).toEqual(['a', 'ñ', '€', '😀', 'b']));
  test('bytes that are no character are written in the end', () => {
    expect(streamed([97, 0xf0]).join('')).toBe('a\uFFFD');
    expect(streamed([0x80, 0x80, 0x80, 0x80, 97]).join('')).toBe('\uFFFD\uFFFD\uFFFD\uFFFDa');
  });
  test('nothing from a stop on, nor its beginning while it may be one', () => {
    expect(streamed(tokenizer.encode('one enEND'), ['END'])).not.toContain('E');
    expect(streamed(tokenizer.encode('one enEND'), ['END']).join('')).toBe('one en');
    expect(streamed(tokenizer.encode('one EN'), ['END']).join('')).toBe('one EN');
    expect(streamed(tokenizer.encode('a. b'), ['b', '. ']).join('')).toBe('a');
  });
});

describe('convert', () => {
  const loaded = (path: string) => loadSafetensors(join(path, 'model.safetensors'));
  test('to bf16 is each tensor rounded, and says so', async () => {
    expect((await cli('convert', model, at('bf16'), '--dtype', 'bf16')).code).toBe(0);
    const [{ tensors: before }, { tensors: after }] = [await loaded(model), await loaded(at('bf16'))];
    expect(Object.keys(after)).toEqual(Object.keys(before));
    for (const [name, x] of Object.entries(before)) {
      expect(after[name]!.dtype).toBe('bf16');
      expect(after[name]!.cast('f32').dataSync()).toEqual(x.cast('bf16').cast('f32').dataSync());
    }
    const config = readFileSync(join(at('bf16'), 'config.json'), 'utf8');
    expect(JSON.parse(config)).toMatchObject({ torch_dtype: 'bfloat16', hidden_size: 16 });
    expect(existsSync(join(at('bf16'), 'tokenizer_config.json'))).toBe(true);
    expect(existsSync(join(at('bf16'), 'run.json'))).toBe(false);
  });

  test('shards and renamed keys hold the same tensors, and the model reads them', async () => {
    const args = [
      '--max-shard',
      '4kB',
      '--remove-prefix',
      'model.',
      '--rename',
      'mlp=feed',
      '--add-prefix',
      'x.',
    ];
    expect((await cli('convert', model, at('shards'), ...args)).code).toBe(0);
    expect(readdirSync(at('shards')).filter((name) => name.endsWith('.safetensors')).length).toBeGreaterThan(
      3,
    );
    const { tensors: before } = await loaded(model);
    const { tensors: after } = await loadSafetensorsSharded(at('shards'));
    const renamed = (name: string): string => `x.${name.replace(/^model\./, '').replaceAll('mlp', 'feed')}`;
    expect(Object.keys(after).sort()).toEqual(Object.keys(before).map(renamed).sort());
    for (const [name, x] of Object.entries(before))
      expect(after[renamed(name)]!.dataSync()).toEqual(x.dataSync());

    // What it is without its first letters is what a model reads, and --modernize gives it its own keys again.
    const back = ['--remove-prefix', 'x.', '--rename', 'feed=mlp'];
    expect((await cli('convert', at('shards'), at('bare'), ...back)).code).toBe(0);
    expect((await cli('convert', at('bare'), at('today'), '--modernize')).code).toBe(0);
    const today = await loaded(at('today'));
    expect(Object.keys(today.tensors).sort()).toEqual(Object.keys(before).sort());
    const same = await fromPretrained(at('today'));
    expect(same).toBeInstanceOf(LlamaForCausalLM);
  });

  test.each(['gpt2/odd', 'glm/odd', 'bert/base'])(
    '--modernize of bare keys of %s gives the file of transformers',
    async (name) => {
      const fixture = join(root, 'packages/zoo/test/fixtures', name);
      const [bare, today] = [at(`${name.replace('/', '-')}-bare`), at(`${name.replace('/', '-')}-today`)];
      const prefixes = ['--remove-prefix', name.startsWith('gpt2') ? 'transformer.' : 'model.'];
      expect((await cli('convert', fixture, bare, ...prefixes)).err).toBe('');
      expect((await cli('convert', bare, today, '--modernize')).err).toBe('');
      const [{ tensors: before }, { tensors: after }] = [await loaded(fixture), await loaded(today)];
      expect(Object.keys(after).sort()).toEqual(Object.keys(before).sort());
      for (const [key, x] of Object.entries(before)) expect(after[key]!.dataSync()).toEqual(x.dataSync());
    },
  );

  test('a folder that cannot be filled is not there', async () => {
    const failing = writeFolder(at('never'), (aside) => {
      writeFileSync(join(aside, 'half.txt'), 'half');
      return Promise.reject(new Error('no more'));
    });
    await expect(failing).rejects.toThrow('no more');
    expect(readdirSync(folder).filter((name) => name.includes('never'))).toEqual([]);
  });
});

test('an encoder-decoder model answers too', async () => {
  const fixture = join(root, 'packages/zoo/test/fixtures/t5/gated');
  const asked = ['--tokens', '5,6,7', '--max-tokens', '4', '--temperature', '0', '--json'];
  const { out, err } = await cli('generate', fixture, ...asked);
  expect(err).toBe('');
  const t5 = await fromPretrained(fixture, { modelClass: T5ForConditionalGeneration });
  const { tokens } = await generate(t5, [5, 6, 7], { maxNewTokens: 4 });
  expect(JSON.parse(out)).toEqual({ prompt: [5, 6, 7], tokens: tokens[0] });
});

test('inspect counts what there is', async () => {
  const { out } = await cli('inspect', model, '--json', '--lengths', '10,20');
  const found = JSON.parse(out) as {
    parameters: number;
    bytes: number;
    parts: Record<string, number>;
    memory: { length: number; bytes: number }[];
    tensors: { name: string; bytes: number }[];
  };
  const whole = await fromPretrained(model);
  expect(found.parameters).toBe(whole.numParameters());
  expect(found.bytes).toBe(4 * whole.numParameters());
  expect(Object.values(found.parts).reduce((a, b) => a + b, 0)).toBe(found.parameters);
  expect(found.memory).toEqual([10, 20].map((n) => ({ length: n, bytes: 4 * whole.memoryFootprint(n) })));
  expect(found.tensors.map(({ name }) => name)).toEqual(Object.keys(whole.pretrainedState()));
});

test('inspect counts no integers among the parameters', async () => {
  const path = at('with-positions.safetensors');
  const weight = zeros([3, 4]);
  const positions = zeros([1, 512], { dtype: 'i32' });
  await saveSafetensors(path, { 'embeddings.weight': weight, 'embeddings.position_ids': positions });
  const { out } = await cli('inspect', path, '--json');
  expect(JSON.parse(out)).toMatchObject({
    parameters: 12,
    bytes: 4 * (12 + 512),
    parts: { embeddings: 12 },
    dtypes: { F32: 12, I32: 512 },
  });
});

test('inspect tells the memory of texts that the model can read', async () => {
  const fixture = join(root, 'packages/zoo/test/fixtures/gpt2/odd');
  const { n_positions: positions } = JSON.parse(readFileSync(join(fixture, 'config.json'), 'utf8')) as {
    n_positions: number;
  };
  const lengths = async (...args: string[]): Promise<number[]> => {
    const { out } = await cli('inspect', fixture, '--json', ...args);
    return (JSON.parse(out) as { memory: { length: number }[] }).memory.map(({ length }) => length);
  };
  expect(positions).toBeLessThan(1024);
  expect(await lengths()).toEqual([positions]);
  expect(await lengths('--lengths', '9,2000')).toEqual([9, 2000]);
});

describe('families', () => {
  test('names of presets are used once', () => expect(new Set(presetNames).size).toBe(presetNames.length));

  test.each(families.map((family) => [family.type, family] as const))(
    '%s: the footprint is its model’s',
    (_, family) => {
      const [, options] = Object.entries(family.presets).find(([name]) => name.endsWith('-tiny'))!;
      const config = family.schema.make(options);
      const made = family.make(config, new Key(0));
      if (family.footprint)
        for (const length of [1, 40])
          expect(family.footprint(config, length)).toBe(made.memoryFootprint(length));
      else expect(['encoder', 'encoderDecoder', 'blankFiller']).toContain(family.kind);
      expect(family.schema.fromJson(family.schema.toJson(config))).toEqual(config);
    },
  );
});

describe('generators', () => {
  test.each(generatorNames)('%s: batches by key, within its tokens, and a floor', (name) => {
    const generator = generatorOf(name, 64);
    const size = { batch: 3, length: 64, whole: true };
    const batch = generator.batch(size, new Key(5));
    const ids = batch.inputIds.dataSync();
    expect(batch.inputIds.shape).toEqual([3, 64]);
    expect(ids).toEqual(generator.batch(size, new Key(5)).inputIds.dataSync());
    expect(ids).not.toEqual(generator.batch(size, new Key(6)).inputIds.dataSync());
    expect(Math.max(...ids)).toBeLessThan(generator.vocabSize);
    expect(batch.count).toBe(batch.targets.dataSync().filter((t) => t !== -100).length);
    // Every target is the token that comes next.
    const targets = batch.targets.dataSync();
    targets.forEach((target, i) => {
      if (target !== -100) expect(target).toBe(ids[i + 1]);
    });
    expect(generator.floor).toBeGreaterThanOrEqual(0);
    expect(generator.floor).toBeLessThan(Math.log(generator.vocabSize));
  });
});

describe('schedules', () => {
  const plan = { steps: 100, warmupSteps: 10, finalFactor: 0.1 } as TrainPlan;
  test.each(scheduleNames)('%s rises, then falls to its end', (schedule) => {
    const factor = scheduleOf({ ...plan, schedule });
    expect(factor(0)).toBeCloseTo(0.1, 9);
    expect(factor(9)).toBeCloseTo(1, 9);
    expect(factor(10)).toBeCloseTo(1, 9);
    expect(factor(100)).toBeCloseTo(schedule === 'constant' ? 1 : 0.1, 9);
    for (let step = 11; step <= 100; step++)
      expect(factor(step)).toBeLessThanOrEqual(factor(step - 1) + 1e-12);
  });
});

describe('what is typed and shown', () => {
  test.each([
    ['512', 512],
    ['200kB', 200_000],
    ['1.5GiB', 1.5 * 2 ** 30],
    ['2 MB', 2e6],
  ])('the size %s', (typed, size) => expect(byteSize(typed)).toBe(size));
  test('lists of integers', () => {
    expect(integers(1)('4, 5,6')).toEqual([4, 5, 6]);
    expect(() => integers(1)('4,x')).toThrow(/integer from 1/);
  });
  test('bytes and tables', () => {
    expect([0, 1023, 1024, 1.5 * 2 ** 30].map(bytes)).toEqual(['0 B', '1023 B', '1.0 KiB', '1.5 GiB']);
    expect(
      table(
        ['a', '>b'],
        [
          ['x', '1'],
          ['yy', '10'],
        ],
      ),
    ).toBe('a    b\nx    1\nyy  10');
  });
});
