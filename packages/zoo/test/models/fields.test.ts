/** No field of a configuration is passed over: each changes what a model is made of, how it starts, or what it computes. */
import { InfinigradError, Key, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { families, made, vocabulary, type Model } from './families.ts';
import { largestDifference, randomIds } from './row.ts';

/** What tells of tokens, texts or labels alone. */
const ofTexts = /^(bos|eos|pad|decoderStart|sep|cls|mask)TokenId$|^extra$|^labels$|^problemType$|^useCache$/;

/** Fields that a class has from its family, and no part that they are about. */
const unneeded: readonly (readonly [classes: RegExp, fields: RegExp, why: string])[] = [
  [/^(Llama|GPT2|GPTNeo|Glm|Bert|T5Encoder)Model$/, /^tieWordEmbeddings$/, 'no head'],
  [/^BertFor(Next|Sequence|Token|Question)/, /^tieWordEmbeddings$/, 'a head of other width'],
  [
    /^Bert(Model|ForPreTraining|ForMaskedLM|ForNext.*|ForQuestion.*)$/,
    /^classifierDropout$/,
    'no classifier',
  ],
  [/^T5EncoderModel$/, /^(numDecoderLayers|scaleDecoderOutputs)$/, 'no decoder'],
  [/^GPT2/, /^reorderAndUpcastAttn$/, 'says in what order halves are multiplied'],
  [/^InfiniLlama/, /^attentionDropout$/, 'must be 0'],
  [/^(Llama|InfiniLlama|Gopher|GlmForCausal|GlmModel)/, /^maxPositionEmbeddings$/, 'positions have no table'],
];

/** Fields that count where another is set. */
const besides: Readonly<Record<string, object>> = {
  writeGateMargin: { writeGate: 'hard' },
  memoryEps: { memoryEpsMode: 'add' },
  attentionTypes: { windowSize: 3 },
  relativeAttentionMaxDistance: { relativeAttentionNumBuckets: 8 },
};

/** Other values, of which some will do. */
function others(value: unknown, field: string): unknown[] {
  const choices: Readonly<Record<string, readonly unknown[]>> = {
    memoryUpdate: ['linear', 'delta'],
    featureMap: ['elu1', 'relu'],
    memoryNormalization: ['z', 'rmsNorm'],
    memoryEpsMode: ['clamp', 'add'],
    gate: ['perHead', 'input'],
    firstSegment: ['gated', 'local'],
    memoryInit: ['zero', 'learned'],
    writeGate: ['none', 'sigmoid'],
    memoryLayers: [[0]],
    attentionTypes: [[[['local'], 2]]],
    detachEvery: [1],
    nInner: [7],
    intermediateSize: [9],
    feedForwardProj: ['gated-gelu'],
    numKeyValueHeads: [3],
    relativeAttentionMaxDistance: [9],
    ropeScaling: [{ type: 'linear', factor: 3 }],
    classifierDropout: [0.5],
  };
  const named = choices[field]?.filter((choice) => choice !== value);
  if (named) return [...named];
  if (typeof value === 'boolean') return [!value];
  if (typeof value === 'string') return ['relu', 'silu'].filter((name) => name !== value);
  if (typeof value === 'number') return [value + 1, value * 2, value / 2, value === 0 ? 0.5 : 0.3, 4];
  return [];
}

interface Seen {
  readonly parts: string;
  readonly start: readonly number[];
  readonly outputs: readonly Tensor[];
}

/** Three segments: the second has written what the third reads. */
const ids = randomIds(vocabulary, 2, 19);

/** What shows of a model; its outputs are with the weights of `like`, where these fit. */
function seen(name: string, model: Model, like: Model | null): Seen {
  const parameters = [...model.namedParameters()];
  const parts = parameters.map(([of, { shape }]) => `${of} ${shape.join()}`).join(' ');
  const start = parameters.map(([, p]) => Number(p.detach().square().sum().itemSync()));
  if (like && like.parameters().every((p, i) => p.shape.join() === parameters[i]?.[1].shape.join()))
    model.loadStateDict(like.stateDict(), { strict: false });
  const still = families[name]!.call(model.eval(), ids).main;
  const trained = families[name]!.call(model.train(), ids, { key: new Key(5) }).main;
  trained.square().sum().backward();
  const grads = model.parameters().flatMap(({ grad }) => (grad ? [grad] : []));
  return { parts, start, outputs: [still.detach(), trained.detach(), ...grads] };
}

function differ(a: Seen, b: Seen): boolean {
  return (
    a.parts !== b.parts ||
    a.start.some((x, i) => x !== b.start[i]) ||
    a.outputs.length !== b.outputs.length ||
    a.outputs.some(
      (x, i) => x.shape.join() !== b.outputs[i]!.shape.join() || largestDifference(x, b.outputs[i]!) > 0,
    )
  );
}

describe.each(Object.keys(families))('%s', (name) => {
  const fields = Object.keys(made(name).config).filter(
    (field) =>
      !ofTexts.test(field) && !unneeded.some(([classes, which]) => classes.test(name) && which.test(field)),
  );
  test.each(fields)('%s', (field) => {
    const setting = besides[field] ?? {};
    const base = made(name, 0, setting);
    const reference = seen(name, base, null);
    const value = (base.config as Readonly<Record<string, unknown>>)[field];
    const tried: unknown[] = [];
    for (const other of others(value, field)) {
      let model: Model;
      try {
        model = made(name, 0, { ...setting, [field]: other });
        if (JSON.stringify((model.config as Record<string, unknown>)[field]) === JSON.stringify(value))
          continue;
        tried.push(other);
        if (differ(reference, seen(name, model, base))) return;
      } catch (error) {
        // Of other sizes some make no model, or none that reads these tokens.
        if (!(error instanceof InfinigradError)) throw error;
      }
    }
    expect.unreachable(`${field} ${JSON.stringify(value)} may as well be ${JSON.stringify(tried)}`);
  });
});
