/** What each class of the zoo can do, tried on it; the table in the guide is what was found. */
import { readFileSync } from 'node:fs';
import { noGrad } from '@infinigrad/autograd';
import { documentMask } from '@infinigrad/nn';
import { InfinigradError, intercept, Key, type Tensor } from '@infinigrad/tensor';
import {
  addLora,
  BertModel,
  generate,
  mergeLora,
  resizeVocabulary,
  type CacheKind,
  type GenerationOptions,
  type LoraLinear,
  type ModelCache,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { families, made, vocabulary, type FamilyOptions, type Model } from './families.ts';
import { idsOf, largestDifference, randomIds } from './row.ts';

const layers = 2;
const ids = randomIds(vocabulary, 2, 11);
const run = (
  name: string,
  model: Model,
  options: FamilyOptions = {},
  x = ids,
): ReturnType<(typeof families)[string]['call']> => families[name]!.call(model, x, options);

/** Tries a feature; false where the class has no such thing. */
type Trial = (name: string) => boolean | Promise<boolean>;

const hiddenStates: Trial = (name) => {
  const model = made(name);
  const { main, hiddenStates: states } = run(name, model, { outputHiddenStates: true });
  expect(largestDifference(main, run(name, model).main)).toBeLessThan(1e-12);
  if (!states) return false;
  const count = name === 'T5ForConditionalGeneration' ? 3 : layers;
  expect(states.map(({ shape }) => shape)).toEqual(Array.from({ length: count + 1 }, () => [2, 11, 12]));
  // Each is another.
  for (let i = 0; i < count; i++) expect(largestDifference(states[i]!, states[i + 1]!)).toBeGreaterThan(1e-6);
  return true;
};

const attentions: Trial = (name) => {
  const model = made(name);
  const { main, attentions: weights } = run(name, model, { outputAttentions: true });
  expect(largestDifference(main, run(name, model).main)).toBeLessThan(1e-12);
  if (!weights) return false;
  expect(weights).toHaveLength(name === 'T5ForConditionalGeneration' ? 3 : layers);
  for (const w of weights) {
    expect(w.shape).toEqual([2, 3, 11, 11]);
    expect(Number(w.sum(-1).sub(1).abs().max().itemSync())).toBeLessThan(1e-12);
  }
  return true;
};

function gradients(name: string, checkpointed: boolean): { grads: Map<string, Tensor | null>; ops: number } {
  const model = made(name).train();
  if (checkpointed) Object.assign(model, { gradientCheckpointing: true });
  const loss = run(name, model, { key: new Key(1) })
    .main.square()
    .sum();
  let ops = 0;
  const stop = intercept((call, next) => (ops++, next(call)));
  try {
    loss.backward();
  } finally {
    stop();
  }
  return { grads: new Map([...model.namedParameters()].map(([of, { grad }]) => [of, grad])), ops };
}

const checkpointing: Trial = (name) => {
  if (!('gradientCheckpointing' in made(name))) return false;
  const [plain, saving] = [gradients(name, false), gradients(name, true)];
  for (const [of, grad] of plain.grads) {
    const other = saving.grads.get(of)!;
    expect(grad === null, of).toBe(other === null);
    if (grad) expect(largestDifference(grad, other), of).toBeLessThan(1e-10);
  }
  // What was not kept is made again: a block has more ops than this.
  expect(saving.ops).toBeGreaterThan(plain.ops + 10 * layers);
  return true;
};

const lora: Trial = (name) => {
  const model = made(name);
  const before = run(name, model).main;
  const keys = Object.keys(model.pretrainedState());
  const adapted = addLora(model, { rank: 2, alpha: 6, key: new Key(2), targets: /Proj$/ });
  expect(largestDifference(run(name, model).main, before)).toBe(0);
  for (const layer of model.modules() as Partial<LoraLinear>[])
    layer.loraB?.assign(new Key(3).normal(layer.loraB.shape, { std: 0.3, dtype: 'f64' }));
  const apart = run(name, model).main;
  expect(largestDifference(apart, before)).toBeGreaterThan(1e-3);
  const trained = [...model.namedParameters()].filter(([, p]) => p.requiresGrad).map(([of]) => of);
  expect(trained).toHaveLength(2 * adapted.length);
  expect(() => resizeVocabulary(model, 20, new Key(0))).toThrow(/the model has adapters.*mergeLora/);
  mergeLora(model);
  expect(largestDifference(run(name, model).main, apart)).toBeLessThan(1e-10);
  expect(Object.keys(model.pretrainedState())).toEqual(keys);
  return true;
};

const resizing: Trial = (name) => {
  const model = made(name);
  model.parameters()[1]!.requiresGrad = false;
  const before = run(name, model).main;
  const wordless = before.shape.at(-1) !== vocabulary;
  for (const size of [20, vocabulary]) {
    const resized = resizeVocabulary(model, size, new Key(7));
    const { main } = run(name, resized);
    expect(largestDifference(wordless ? main : main.narrow(-1, 0, vocabulary), before)).toBeLessThan(1e-12);
    run(name, resized, {}, randomIds(size, 1, 7));
    const flags = (of: Model): boolean[] => of.parameters().map((p) => p.requiresGrad);
    expect(flags(resized)).toEqual(flags(model));
    expect(Object.keys(resized.pretrainedState())).toEqual(Object.keys(model.pretrainedState()));
  }
  // Fewer: those that are left are what they were.
  const low = randomIds(5, 2, 11);
  const smaller = run(name, resizeVocabulary(model, 5, new Key(7)), {}, low).main;
  const own = run(name, model, {}, low).main;
  expect(largestDifference(smaller, wordless ? own : own.narrow(-1, 0, 5))).toBeLessThan(1e-12);
  return true;
};

const freezing: Trial = (name) => {
  const model = made(name).train();
  const [first] = [...model.namedParameters().keys()];
  const part = first!.split('.').slice(0, -1).join('.');
  model.freeze(part);
  run(name, model, { key: new Key(1) })
    .main.square()
    .sum()
    .backward();
  for (const [of, { grad, requiresGrad }] of model.namedParameters()) {
    expect(requiresGrad, of).toBe(!of.startsWith(`${part}.`));
    if (!requiresGrad) expect(grad, of).toBeNull();
  }
  expect([...model.namedParameters().values()].some(({ grad }) => grad !== null)).toBe(true);
  return true;
};

const prompts = [
  [3, 1, 4],
  [1, 5, 9, 2, 6, 5, 3, 5, 8, 9],
  [7, 9],
];
const open = { eosTokenId: null, maxNewTokens: 12 } as const;

async function written(
  name: string,
  prompt: readonly number[] | readonly (readonly number[])[],
  options: GenerationOptions = {},
): Promise<readonly (readonly number[])[] | null> {
  const { writer } = families[name]!;
  return writer ? (await generate(writer(made(name)), prompt, { ...open, ...options })).tokens : null;
}

const writing: Trial = async (name) => {
  const tokens = await written(name, prompts[0]!);
  if (!tokens) return false;
  expect(tokens[0]).toHaveLength(12);
  expect(await written(name, prompts[0]!, { key: new Key(4), temperature: 1.5, topP: 0.9 })).not.toEqual(
    tokens,
  );
  return true;
};

const beams: Trial = async (name) => {
  const tokens = await written(name, prompts[0]!, { numBeams: 4, numReturnSequences: 4 });
  if (!tokens) return false;
  expect(new Set(tokens.map(String)).size).toBe(4);
  return true;
};

const contrastive: Trial = async (name) => {
  const tokens = await written(name, prompts[0]!, { penaltyAlpha: 0.6, topK: 4 });
  return tokens !== null;
};

const caches: Trial = async (name) => {
  const model = made(name) as Model & { newCache?(options: object): ModelCache };
  if (!model.newCache) return false;
  const [none, ...others] = await Promise.all(
    (['none', 'growing', 'fixed'] satisfies CacheKind[]).map((cache) =>
      written(name, prompts[1]!, { cache }),
    ),
  );
  for (const tokens of others) expect(tokens).toEqual(none);
  const { bytes } = model.newCache({ maxLength: 16 });
  expect(bytes).toBe(0);
  return true;
};

const leftPadding: Trial = async (name) => {
  if (!families[name]!.writer) return false;
  try {
    const together = await written(name, prompts);
    const alone = await Promise.all(prompts.map(async (prompt) => (await written(name, prompt))![0]));
    expect(together).toEqual(alone);
    return true;
  } catch (error) {
    expect(String(error)).toContain('segments begin for all rows together');
    return false;
  }
};

/** Two documents in one row. */
const packing: Trial = (name) => {
  const model = made(name);
  const positionIds = idsOf([[0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6]]);
  const row = ids.narrow(0, 0, 1);
  const plain = run(name, model, {}, row).main;
  let packed: Tensor;
  try {
    packed = run(name, model, { attentionMask: documentMask([4, 7]), positionIds }, row).main;
  } catch (error) {
    expect(error).toBeInstanceOf(InfinigradError);
    return false;
  }
  // What knows no such mask passes over it.
  if (largestDifference(packed, plain) === 0) return false;
  for (const [at, count] of [
    [0, 4],
    [4, 7],
  ] as const) {
    const alone = run(name, model, {}, row.narrow(1, at, count)).main;
    expect(largestDifference(packed.narrow(1, at, count), alone)).toBeLessThan(1e-10);
  }
  return true;
};

const costs: Trial = (name) => {
  const model = made(name);
  expect(model.flopsPerToken({ length: 8 })).toBeGreaterThan(0);
  expect(model.memoryFootprint(8)).toBeGreaterThanOrEqual(0);
  return true;
};

const trials: Readonly<Record<string, Trial>> = {
  '`outputHiddenStates`': hiddenStates,
  '`outputAttentions`': attentions,
  checkpointing,
  'LoRA, merged': lora,
  'other vocabulary': resizing,
  freezing,
  costs,
  'packed rows': packing,
  '`generate`': writing,
  beams,
  contrastive,
  'caches, growing and fixed': caches,
  'rows of any lengths': leftPadding,
};

/** What is shown of a family: its class that writes, or else its first. */
const shown: Readonly<Record<string, readonly string[]>> = {
  LLaMA: ['LlamaForCausalLM', 'LlamaModel'],
  BERT: [
    'BertForMaskedLM',
    'BertModel',
    'BertForPreTraining',
    'BertForNextSentencePrediction',
    'BertForSequenceClassification',
    'BertForTokenClassification',
    'BertForQuestionAnswering',
  ],
  'GPT-2': ['GPT2LMHeadModel', 'GPT2Model'],
  'GPT-Neo': ['GPTNeoForCausalLM', 'GPTNeoModel'],
  T5: ['T5ForConditionalGeneration'],
  "T5's encoder": ['T5EncoderModel'],
  GLM: ['GlmForCausalLM', 'GlmModel'],
  'GLM, the first': ['GlmForBlankInfilling'],
  Gopher: ['GopherForCausalLM'],
  'Transformer-XL': ['TransformerXL'],
  'Infini-Transformer': ['InfiniTransformer'],
  'LLaMA with memories': ['InfiniLlamaForCausalLM'],
};
/** What is tried on the first class alone: what goes with a head for the next token, or with an output for each token. */
const ofWriters = new Set([
  'packed rows',
  '`generate`',
  'beams',
  'contrastive',
  'caches, growing and fixed',
  'rows of any lengths',
]);

test('every class is shown', () => {
  expect(new Set(Object.values(shown).flat())).toEqual(new Set(Object.keys(families)));
});

const guide = readFileSync(new URL('../../../../docs/guide/models.md', import.meta.url), 'utf8');
const cells = (line: string): string[] =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
const lines = guide.split('\n');
const head = lines.findIndex((line) => cells(line).includes(Object.keys(trials)[0]!));

describe('the table of the guide', () => {
  test('has every feature and every family', () => {
    const table = lines.slice(head + 2, head + 2 + Object.keys(shown).length);
    expect(cells(lines[head]!).slice(1)).toEqual(Object.keys(trials));
    expect(table.map((line) => cells(line)[0])).toEqual(Object.keys(shown));
  });

  describe.each(Object.entries(shown))('%s', (family, classes) => {
    const row = lines.slice(head + 2).find((line) => cells(line)[0] === family);
    test.each(Object.entries(trials))('%s', async (feature, trial) => {
      const told = row && cells(row)[1 + Object.keys(trials).indexOf(feature)];
      const tried = ofWriters.has(feature) ? classes.slice(0, 1) : classes;
      for (const name of tried) expect([name, (await trial(name)) ? 'yes' : '–']).toEqual([name, told]);
    });
  });
});

test('a BERT without a pooler stays without one in another vocabulary', () => {
  const model = new BertModel(families['BertModel']!.options, new Key(0), { pooler: false });
  const resized = noGrad(() => resizeVocabulary(model, 20, new Key(1)));
  expect(resized.pooler).toBeNull();
});
