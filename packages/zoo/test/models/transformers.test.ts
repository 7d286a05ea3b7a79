/**
 * The live comparison: models and a tokenizer that are saved here, in one file and in several, are loaded by transformers, which makes
 * the same of tokens, of losses and of beginnings of texts. Skips, and says so, unless INFINIGRAD_PYTHON names a Python that has it.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromData, type Tensor } from '@infinigrad/tensor';
import { generate, trainBpe, writeBpe, type GenerativeModel } from '@infinigrad/zoo';
import { savePretrained } from '@infinigrad/zoo/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixture } from '../tokenizers/support.ts';
import { liveModels, type LiveModel } from './live-models.ts';
import { pythonWith } from './python.ts';
import { expectGradients } from './reference.ts';
import { largestDifference } from './row.ts';
import { askTransformers, type Answers } from './transformers.ts';

const python = pythonWith('torch', 'transformers', 'safetensors');
const length = 64;
const camel = (name: string): string => name.replace(/_(.)/g, (_, c: string) => c.toUpperCase());
/** A key moves all scores of a query alike by its bias. */
const keyBias = /\.self\.key\.bias$/;

describe.skipIf(!python)('saved here, and loaded by transformers', () => {
  const root = mkdtempSync(join(tmpdir(), 'infinigrad-transformers-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  const wholeFile = (name: string): string => join(root, name);
  const inShards = (name: string): string => join(root, 'shards', name);
  const tokenizerFolder = join(root, 'tokenizer');
  const { corpus, cases } = fixture('bpe');
  const texts = cases.map(({ text }) => text);
  const bpe = trainBpe(corpus, {
    vocabSize: 450,
    special: { bos: '<s>', eos: '</s>', pad: '<pad>' },
    before: ['<s>'],
    after: ['</s>'],
  });
  const made: Record<string, LiveModel> = {};
  let answers: Answers;

  beforeAll(async () => {
    mkdirSync(tokenizerFolder);
    for (const [name, content] of Object.entries(writeBpe(bpe)))
      writeFileSync(join(tokenizerFolder, name), content);
    const jobs = [];
    for (const [name, make] of Object.entries(liveModels)) {
      const { model, inputs, writes } = (made[name] = make());
      model.eval();
      await savePretrained(model, wholeFile(name));
      await savePretrained(model, inShards(name), { maxShardBytes: 2000 });
      jobs.push({ folder: wholeFile(name), inputs, newTokens: writes ? length : 0 });
      jobs.push({ folder: inShards(name), inputs, newTokens: 0 });
    }
    answers = await askTransformers(python!, jobs, [{ folder: tokenizerFolder, texts }]);
  }, 300_000);

  test.each(Object.keys(liveModels))('%s: outputs and gradients, text', async (name) => {
    const { model, forward, inputs, writes } = made[name]!;
    const { left, outputs, gradients, written } = answers.models[wholeFile(name)]!;
    expect(left).toEqual([]);
    const own = forward(model) as Readonly<Record<string, Tensor | null>>;
    const compared = Object.keys(outputs).filter((of) => own[camel(of)]);
    expect(compared.length).toBeGreaterThan(0);
    let loss: Tensor | undefined;
    for (const of of compared) {
      const x = own[camel(of)]!;
      expect(largestDifference(x.detach(), outputs[of]!), of).toBeLessThan(1e-5);
      const probe = fromData(
        Float32Array.from({ length: x.size }, (_, i) => Math.cos(i)),
        x.shape,
      );
      const part = x.mul(probe).sum();
      loss = loss ? loss.add(part) : part;
    }
    expectGradients(model, loss!, gradients, 1e-4, keyBias);
    if (!writes) return;
    const [prompt] = inputs['input_ids']!.toArraySync() as number[][];
    const wide = model.to({ dtype: 'f64' }) as unknown as GenerativeModel;
    const { sequences } = await generate(wide, [prompt!], { maxNewTokens: length, minNewTokens: length });
    expect(sequences).toEqual([written]);
  });

  test.each(Object.keys(liveModels))('%s: the same in several files', (name) => {
    const { left, outputs } = answers.models[inShards(name)]!;
    expect(left).toEqual([]);
    for (const [of, x] of Object.entries(answers.models[wholeFile(name)]!.outputs))
      expect(largestDifference(outputs[of]!, x), of).toBe(0);
  });

  test('a tokenizer that was trained here: ids of all texts', () => {
    const { ids, eos, pad } = answers.tokenizers[tokenizerFolder]!;
    expect(ids).toEqual(texts.map((text) => Array.from(bpe.encode(text))));
    expect([eos, pad]).toEqual(['</s>', bpe.specialId('pad')]);
  });
});
