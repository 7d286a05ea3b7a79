/** What a token costs is what the products cost that are run, in every model, and what is kept is what caches hold. */
import { noGrad } from '@infinigrad/autograd';
import { summary } from '@infinigrad/nn';
import { intercept, Key, sizeOf, type OperandInfo, type Tensor } from '@infinigrad/tensor';
import {
  addLora,
  InfiniTransformer,
  TransformerXL,
  T5ForConditionalGeneration,
  type ModelCache,
  type ModelCacheOptions,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { pretrainedClasses } from '../../src/core/registry.ts';
import { families, made, vocabulary, type Model } from './families.ts';
import { randomIds } from './row.ts';

/** Of the shapes that ops are called with. */
const products: Readonly<Record<string, (inputs: readonly OperandInfo[], out: readonly number[]) => number>> =
  {
    matmul: ([a], out) => 2 * sizeOf(out) * a!.shape.at(-1)!,
    linear: ([x], out) => 2 * sizeOf(out) * x!.shape.at(-1)!,
    // Beside the output stands what its gradient needs.
    attention: ([q, k, v], out) =>
      2 * (sizeOf(q!.shape) + sizeOf([...out.slice(0, -1), v!.shape.at(-1)!])) * k!.shape.at(-2)!,
  };

/** Operations of the products that a call runs. */
function counted(body: () => unknown): number {
  let total = 0;
  const seen = new Set<string>();
  const stop = intercept((call, next) => {
    seen.add(call.op);
    total += products[call.op]?.(call.inputs, call.plan.shape) ?? 0;
    return next(call);
  });
  try {
    noGrad(body);
  } finally {
    stop();
  }
  // What multiplies matrices by another name would not be seen.
  const other = [...seen].filter((op) => /matmul|linear|attention|dot|gemm|conv/i.test(op) && !products[op]);
  expect(other).toEqual([]);
  return total;
}

/** Layers that look at one token of a text alone. */
const ofTexts = /^(bert\.)?pooler$|^seqRelationship$|^classifier$/;
const lookingAtOne = new Set([
  'BertModel',
  'BertForPreTraining',
  'BertForNextSentencePrediction',
  'BertForSequenceClassification',
]);

function extra(name: string, model: Model): number {
  if (!lookingAtOne.has(name)) return 0;
  return [...model.namedModules()]
    .filter(([of]) => ofTexts.test(of))
    .reduce((sum, [, m]) => sum + 2 * (m as unknown as { weight: Tensor }).weight.size, 0);
}

test('there is an entry for every class', () => {
  expect(new Set(Object.values(families).map(({ modelClass }) => modelClass))).toEqual(
    new Set(pretrainedClasses as readonly unknown[]),
  );
});

describe('operations of a token are those of the products that are run', () => {
  test.each(Object.keys(families))('%s', (name) => {
    const model = made(name);
    for (const length of [8, 4]) {
      // Segments are filled up.
      if (name.startsWith('Infini') && length === 4) continue;
      const run = counted(() => families[name]!.call(model, randomIds(vocabulary, 1, length)));
      expect(run - extra(name, model)).toBe(length * model.flopsPerToken({ length, training: false }));
    }
    const x = randomIds(vocabulary, 1, 8);
    const table = summary(model, (one) => families[name]!.call(one, x));
    expect(table.parameters).toBe(model.numParameters());
    expect(table.rows[0]!.kind).toBe(name);
    // Norms, functions and masks come on top.
    expect(table.flops).toBeGreaterThan(counted(() => families[name]!.call(model, x)));
    const [few, more] = [0, 8].map((length) => model.flopsPerToken({ length, training: false })) as [
      number,
      number,
    ];
    expect(model.flopsPerToken({ length: 8 })).toBe(3 * more);
    expect(model.flopsPerToken()).toBe(3 * few);
    expect(more).toBeGreaterThan(few);
  });

  test.each([
    { memoryUpdate: 'delta' },
    { memoryNormalization: 'rmsNorm', featureMap: 'dpfp' },
    { gate: 'input', writeGate: 'hard', memoryLayers: [1] },
    { memoryLayers: [], tieWordEmbeddings: true },
  ])('with memories, over segments: %j', (options) => {
    for (const name of ['InfiniTransformer', 'InfiniLlamaForCausalLM']) {
      const model = made(name, 0, options);
      const run = counted(() => families[name]!.call(model, randomIds(vocabulary, 1, 24)));
      expect(run).toBe(24 * model.flopsPerToken({ length: 24, training: false }));
    }
  });

  test('of a Transformer-XL, with what is kept from before the segment', () => {
    const model = made('TransformerXL') as unknown as TransformerXL;
    const { memory } = model.forward(randomIds(vocabulary, 1, 8));
    const run = counted(() => model.forward(randomIds(vocabulary, 1, 8), { memory }));
    expect(run).toBe(8 * model.flopsPerToken({ length: 14, training: false }));
    expect(model.flopsPerToken({ length: 1000 })).toBe(model.flopsPerToken({ length: 14 }));
  });

  test('count adapters', () => {
    const model = made('LlamaForCausalLM');
    const before = model.flopsPerToken();
    addLora(model, { rank: 2, key: new Key(1), targets: ['vProj'] });
    const run = counted(() => families['LlamaForCausalLM']!.call(model, randomIds(vocabulary, 1, 8)));
    expect(run).toBe(8 * model.flopsPerToken({ length: 8, training: false }));
    expect(model.flopsPerToken()).toBe(before + 6 * 2 * 2 * (12 + 6));
  });
});

describe('what is kept', () => {
  const withCaches = Object.keys(families).filter((name) => 'newCache' in made(name));

  test.each(withCaches)('%s: is what a cache of that size holds', (name) => {
    const model = made(name) as Model & { newCache(options: ModelCacheOptions): ModelCache };
    const cache = model.newCache({ maxLength: 9 });
    const ids = randomIds(vocabulary, 1, 9);
    noGrad(() =>
      (
        model as unknown as {
          forward(ids: Tensor, options: { cache: ModelCache; decoderInputIds: Tensor }): void;
        }
      ).forward(ids, { cache, decoderInputIds: ids }),
    );
    // The keys of a text that is encoded lie in room that grows.
    const held = cache.layers.reduce((sum, layer) => {
      const { own, encoded } = layer as unknown as Partial<T5Layer>;
      return own ? sum + own.bytes + bytesOf(encoded!) : sum + layer.bytes;
    }, 0);
    expect(held).toBe(8 * model.memoryFootprint(9));
  });

  interface T5Layer {
    readonly own: { readonly bytes: number };
    readonly encoded: { readonly content: { readonly keys: Tensor; readonly values: Tensor } };
  }
  const bytesOf = ({ content: { keys, values } }: T5Layer['encoded']): number =>
    8 * (keys.size + values.size);

  test('of a text and an answer of different lengths', () => {
    const model = made('T5ForConditionalGeneration') as unknown as T5ForConditionalGeneration;
    expect(model.memoryFootprint(4, 10)).toBe(3 * 2 * 3 * 5 * 14);
    expect(model.memoryFootprint(7)).toBe(model.memoryFootprint(4, 10));
  });

  test.each(['BertModel', 'BertForMaskedLM', 'T5EncoderModel'])('%s: an encoder keeps nothing', (name) => {
    expect(made(name).memoryFootprint(100)).toBe(0);
  });

  test.each(['InfiniTransformer', 'InfiniLlamaForCausalLM'])('%s: is what the memories hold', (name) => {
    const model = made(name) as unknown as InfiniTransformer;
    const { memories } = model.forward(randomIds(vocabulary, 1, 16));
    const held = memories.reduce((sum, m) => sum + m!.matrix.size + m!.normalizer.size, 0);
    expect(held).toBe(model.memoryFootprint());
  });
});
