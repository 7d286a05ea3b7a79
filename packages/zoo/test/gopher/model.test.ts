/** Gopher: the laws of all models, a second definition number by number, sizes, errors. */
import { Key, ones, type Tensor } from '@infinigrad/tensor';
import {
  GopherForCausalLM,
  gopherConfig,
  gopherParameterCount,
  gopherPresets,
  gopherSchema,
  gopherTraining,
  type GopherOptions,
  type ModelCache,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { describeModel, idsOf, largestDifference, randomIds } from '../models/runner.ts';

const tiny: GopherOptions = {
  vocabSize: 13,
  hiddenSize: 12,
  numHiddenLayers: 2,
  numAttentionHeads: 3,
  headDim: 5,
  initializerRange: 0.3,
};

const rows: Readonly<Record<string, GopherOptions>> = {
  Gopher: tiny,
  'Gopher with a head of its own': {
    ...tiny,
    tieWordEmbeddings: false,
    intermediateSize: 7,
    hiddenAct: 'relu',
  },
};

const made = (options: GopherOptions, seed = 0): GopherForCausalLM => {
  const model = new GopherForCausalLM(options, new Key(seed), { dtype: 'f64' }).eval();
  // u and v start at 0: where they stood would not be seen.
  for (const [name, p] of model.namedParameters())
    if (name.endsWith('Bias')) p.assign(new Key(seed).foldIn(name.length).normal(p.shape, { dtype: 'f64' }));
  return model;
};

for (const [name, options] of Object.entries(rows))
  describeModel<GopherForCausalLM>({
    name,
    make: (key, { dtype }) => new GopherForCausalLM(options, key, { dtype }),
    dropping: (key) => new GopherForCausalLM({ ...options, attentionDropout: 0.3 }, key, { dtype: 'f64' }),
    vocabSize: 13,
    causal: true,
    logits: (model, ids, { cache, ...call }) =>
      model.forward(ids, { ...call, cache: cache as ModelCache | undefined }).logits,
    newCache: (model, call) =>
      model.newCache({
        ...(call.maxLength !== undefined && { maxLength: call.maxLength }),
        ...(call.leftPadding && { leftPadding: call.leftPadding }),
      }),
  });

type Matrix = number[][];
const rowsOf = (x: Tensor): Matrix => x.toArraySync() as Matrix;
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, v, i) => sum + v * b[i]!, 0);
/** x W^T */
const mapped = (x: Matrix, w: Tensor): Matrix => x.map((row) => rowsOf(w).map((line) => dot(row, line)));
const plus = (a: Matrix, b: Matrix): Matrix => a.map((row, i) => row.map((v, j) => v + b[i]![j]!));

/** The equations written out, one token, head and distance after the other. */
function naive(model: GopherForCausalLM, ids: readonly number[]): Matrix {
  const { hiddenSize: d, numAttentionHeads: heads, headDim, rmsNormEps, hiddenAct } = model.config;
  const normed = (x: Matrix, weight: Tensor): Matrix =>
    x.map((row) => {
      const size = Math.sqrt(dot(row, row) / d + rmsNormEps);
      return row.map((v, i) => (v / size) * Number(weight.dataSync()[i]));
    });
  const erf = (v: number): number => {
    let [term, sum] = [v, v];
    for (let n = 1; n < 200; n++) {
      term *= -(v * v) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  };
  const act = (v: number): number =>
    hiddenAct === 'relu' ? Math.max(0, v) : (v / 2) * (1 + erf(v / Math.SQRT2));
  /** Of a distance: all sines, then all cosines. */
  const wave = (distance: number): number[] =>
    Array.from({ length: d }, (_, i) => {
      const angle = distance / 10000 ** ((2 * (i % (d / 2))) / d);
      return i < d / 2 ? Math.sin(angle) : Math.cos(angle);
    });
  const table = rowsOf(model.embedTokens.weight);
  let x: Matrix = ids.map((id) => table[id]!);
  for (const { inputNorm, attention, postNorm, mlp } of model.layers) {
    const y = normed(x, inputNorm.weight);
    const [q, k, v] = [attention.qProj, attention.kProj, attention.vProj].map(({ weight }) =>
      mapped(y, weight),
    );
    const positions = attention.scorePositions as unknown as {
      contentBias: Tensor;
      positionBias: Tensor;
      rProj: { weight: Tensor };
    };
    const [us, vs] = [rowsOf(positions.contentBias), rowsOf(positions.positionBias)];
    const part = (row: readonly number[], h: number): number[] => row.slice(h * headDim, (h + 1) * headDim);
    const mixed = y.map((_, i) =>
      Array.from({ length: heads }, (__, h) => {
        const query = part(q![i]!, h);
        const scores = Array.from({ length: i + 1 }, (___, j) => {
          const r = part(mapped([wave(i - j)], positions.rProj.weight)[0]!, h);
          const content = dot(
            query.map((value, c) => value + us[h]![c]!),
            part(k![j]!, h),
          );
          const position = dot(
            query.map((value, c) => value + vs[h]![c]!),
            r,
          );
          return Math.exp((content + position) / Math.sqrt(headDim));
        });
        const total = scores.reduce((sum, s) => sum + s, 0);
        return Array.from({ length: headDim }, (___, c) =>
          scores.reduce((sum, s, j) => sum + (s / total) * part(v![j]!, h)[c]!, 0),
        );
      }).flat(),
    );
    x = plus(x, mapped(mixed, attention.oProj.weight));
    const inner = mapped(normed(x, postNorm.weight), mlp.upProj.weight).map((row) => row.map(act));
    x = plus(x, mapped(inner, mlp.downProj.weight));
  }
  return mapped(normed(x, model.norm.weight), (model.lmHead ?? model.embedTokens).weight);
}

test.each(Object.keys(rows))('%s equals the equations written out', (name) => {
  const model = made(rows[name]!, 2);
  const ids = [3, 1, 4, 1, 5, 9, 2, 6];
  const wanted = naive(model, ids);
  const logits = rowsOf(model.forward(idsOf([ids])).logits.squeeze(0));
  const worst = Math.max(...logits.flatMap((row, i) => row.map((v, j) => Math.abs(v - wanted[i]![j]!))));
  expect(worst).toBeLessThan(1e-11);
});

describe('sizes', () => {
  test.each([
    ['gopher-44m', 44e6, 0.5e6],
    ['gopher-117m', 117e6, 0.5e6],
    ['gopher-417m', 417e6, 0.5e6],
    ['gopher-1.4b', 1.4e9, 0.05e9],
    ['gopher-7.1b', 7.1e9, 0.05e9],
    ['gopher-280b', 280e9, 0.5e9],
  ] as const)('%s has as many parameters as its name says', (name, count, half) => {
    const counted = gopherParameterCount(gopherPresets[name]);
    expect(Math.abs(counted - count)).toBeLessThan(half);
    expect(gopherTraining[name].learningRate).toBeLessThan(1e-3);
  });

  test('parameters are counted as they are', () => {
    for (const options of Object.values(rows))
      expect(gopherParameterCount(options)).toBe(made(options).numParameters());
  });
});

test('hidden states and weights of attention are given where asked for', () => {
  const model = made(tiny);
  const ids = randomIds(13, 2, 5);
  const output = model.forward(ids, { outputHiddenStates: true, outputAttentions: true });
  expect(largestDifference(output.logits, model.forward(ids).logits)).toBeLessThan(1e-12);
  expect(output.hiddenStates!.map(({ shape }) => shape)).toEqual(Array.from({ length: 3 }, () => [2, 5, 12]));
  expect(output.attentions!.map(({ shape }) => shape)).toEqual(Array.from({ length: 2 }, () => [2, 3, 5, 5]));
});

test('gradients are the same with checkpointing', () => {
  const [plain, saving] = [made(tiny).train(), made(tiny).train()];
  saving.gradientCheckpointing = true;
  const ids = randomIds(13, 2, 5);
  for (const model of [plain, saving]) model.forward(ids).logits.square().sum().backward();
  const others = saving.namedParameters();
  for (const [name, { grad }] of plain.namedParameters())
    expect(largestDifference(grad!, others.get(name)!.grad!), name).toBeLessThan(1e-10);
});

test('config.json comes back', () => {
  const config = gopherConfig(tiny);
  expect(gopherSchema.fromJson(gopherSchema.toJson(config))).toEqual(config);
});

describe('errors', () => {
  const model = made(tiny);
  const ids = randomIds(13, 2, 3);
  test.each<[string, () => unknown, string]>([
    ['no width', () => gopherConfig({ numHiddenLayers: 1 }), 'GopherConfig: hiddenSize is missing'],
    [
      'an odd width',
      () => gopherConfig({ ...tiny, hiddenSize: 13 }),
      'GopherConfig: hiddenSize must be even',
    ],
    [
      'heads that do not part the width',
      () => gopherConfig({ ...tiny, headDim: undefined, numAttentionHeads: 5 }),
      'GopherConfig: headDim must be an integer ≥ 1',
    ],
    [
      'a row without a batch',
      () => model.forward(ids.narrow(0, 0, 1).squeeze(0)),
      'Gopher: tokens must be [batch, length]',
    ],
    [
      'a mask of numbers',
      () => model.forward(ids, { attentionMask: ones([2, 3]) }),
      'Gopher: the attention mask must be',
    ],
    ['too many logits', () => model.forward(ids, { lastLogits: 4 }), 'Gopher: lastLogits must be'],
    [
      'a cache of another model',
      () => model.forward(ids, { cache: made({ ...tiny, numHiddenLayers: 1 }).newCache() }),
      'Gopher: the cache is for 1 layers, not 2',
    ],
  ])('%s', (_, act, message) => {
    expect(act).toThrow(message);
  });
});
