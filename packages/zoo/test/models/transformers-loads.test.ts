/** BERT, GPT-2 and GPT-Neo drawn and saved here: transformers loads them, and makes the same of tokens. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Key, type Tensor } from '@infinigrad/tensor';
import {
  BertForMaskedLM,
  BertForPreTraining,
  BertForQuestionAnswering,
  BertForSequenceClassification,
  BertModel,
  GPT2LMHeadModel,
  GPT2Model,
  GPTNeoForCausalLM,
  type BertOptions,
  type GPT2Options,
  type GPTNeoOptions,
  type PretrainedModel,
} from '@infinigrad/zoo';
import { savePretrained } from '@infinigrad/zoo/node';
import { afterAll, expect, test } from 'vitest';
import { randomIds } from './runner.ts';

const python = pythonWith('torch', 'transformers');
const folder = mkdtempSync(join(tmpdir(), 'infinigrad-transformers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bert: BertOptions = {
  vocabSize: 13,
  hiddenSize: 12,
  numHiddenLayers: 2,
  numAttentionHeads: 3,
  intermediateSize: 17,
  maxPositionEmbeddings: 16,
  initializerRange: 0.3,
};
const gpt2: GPT2Options = {
  vocabSize: 13,
  nPositions: 16,
  nEmbd: 12,
  nLayer: 2,
  nHead: 3,
  nInner: 17,
  initializerRange: 0.3,
  scaleAttnByInverseLayerIdx: true,
};
const neo: GPTNeoOptions = {
  vocabSize: 13,
  maxPositionEmbeddings: 16,
  hiddenSize: 12,
  numLayers: 3,
  numHeads: 3,
  windowSize: 2,
  initializerRange: 0.3,
};

type Model = PretrainedModel<object> & { forward(ids: Tensor): object };
const key = new Key(0);
const models: Readonly<Record<string, Model>> = {
  masked: new BertForMaskedLM({ ...bert, hiddenAct: 'gelu_new' }, key),
  pretraining: new BertForPreTraining(bert, key),
  base: new BertModel(bert, key),
  classifier: new BertForSequenceClassification({ ...bert, labels: ['a', 'b', 'c'] }, key),
  answers: new BertForQuestionAnswering(bert, key),
  gpt2: new GPT2LMHeadModel(gpt2, key),
  'gpt2 untied': new GPT2LMHeadModel({ ...gpt2, tieWordEmbeddings: false }, key),
  'gpt2 base': new GPT2Model(gpt2, key),
  neo: new GPTNeoForCausalLM(neo, key),
  'neo untied': new GPTNeoForCausalLM({ ...neo, tieWordEmbeddings: false }, key),
};

const script = `
import json, sys, torch, transformers
results = {}
for folder in sys.argv[2:]:
    config = transformers.AutoConfig.from_pretrained(folder)
    model, info = getattr(transformers, config.architectures[0]).from_pretrained(
        folder, output_loading_info=True, attn_implementation="eager")
    with torch.no_grad():
        output = model.eval()(torch.tensor(json.loads(sys.argv[1])))
    results[folder] = {
        "outputs": {k: v.flatten().tolist() for k, v in output.items() if isinstance(v, torch.Tensor)},
        **{k: sorted(str(x) for x in info[k + "_keys"]) for k in ("missing", "unexpected", "mismatched")},
    }
print("RESULT" + json.dumps(results))
`;
import { pythonWith } from './python.ts';

interface Loaded {
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly mismatched: readonly string[];
}

const camel = (name: string): string => name.replace(/_(.)/g, (_, c: string) => c.toUpperCase());

test.skipIf(!python)(
  `transformers loads what was saved${python ? '' : ' (skipped: INFINIGRAD_PYTHON names no Python that has transformers)'}`,
  { timeout: 300_000 },
  async () => {
    const ids = randomIds(13, 2, 9);
    const folders = await Promise.all(
      Object.entries(models).map(async ([name, model]) => {
        const to = join(folder, name);
        await savePretrained(model, to);
        return to;
      }),
    );
    const rows = JSON.stringify(ids.toArraySync());
    const { stdout, stderr } = spawnSync(python!, ['-c', script, rows, ...folders], { encoding: 'utf8' });
    const line = stdout.split('\n').find((text) => text.startsWith('RESULT'));
    expect(line, stderr).toBeDefined();
    const results = JSON.parse(line!.slice('RESULT'.length)) as Readonly<Record<string, Loaded>>;
    for (const [name, model] of Object.entries(models)) {
      const { outputs, missing, unexpected, mismatched } = results[join(folder, name)]!;
      expect([missing, unexpected, mismatched], name).toEqual([[], [], []]);
      const own = model.eval().forward(ids) as Readonly<Record<string, Tensor | null>>;
      expect(Object.keys(outputs).length, name).toBeGreaterThan(0);
      for (const [of, values] of Object.entries(outputs)) {
        const made = own[camel(of)]!.flatten().dataSync();
        expect(made.length, `${name} ${of}`).toBe(values.length);
        values.forEach((value, i) =>
          expect(Math.abs(value - Number(made[i])), `${name} ${of}`).toBeLessThan(1e-5),
        );
      }
    }
  },
);
