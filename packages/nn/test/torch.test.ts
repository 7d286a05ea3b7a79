/** Layers and losses against PyTorch in f64, forward and backward (fixtures made by scripts/fixtures/nn.py). */
import {
  causalAttention,
  CausalSelfAttention,
  crossEntropy,
  Embedding,
  LayerNorm,
  Linear,
  RMSNorm,
  RotaryEmbedding,
  SwiGLU,
  type CrossEntropyOptions,
  type Module,
} from '@infinigrad/nn';
import { Key, tensor, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectCase, fixture, withParameters, type Case } from './support.ts';

const key = new Key(0);
const dtype = 'f64' as const;

/** A module as a function of its input and of its parameters by name; the fixture must name every one of them. */
const through =
  (module: Module & { forward(x: Tensor): Tensor }, input = 'x') =>
  (given: Record<string, Tensor>): Tensor => {
    const { [input]: x, ...parameters } = given;
    expect(Object.keys(parameters).sort()).toEqual([...module.namedParameters().keys()].sort());
    return withParameters(module, parameters, () => module.forward(x!));
  };

describe('layers', () => {
  const cases = fixture<Record<'linear' | 'embedding' | 'rmsNorm' | 'layerNorm' | 'swiglu', Case>>('layers');
  const eps = 1e-3;
  test('Linear', () => expectCase(cases.linear, through(new Linear(6, 4, { key, dtype }))));
  test('Embedding', () => expectCase(cases.embedding, through(new Embedding(5, 3, { key, dtype }), 'ids')));
  test('RMSNorm', () => expectCase(cases.rmsNorm, through(new RMSNorm(6, { eps, dtype }))));
  test('LayerNorm', () => expectCase(cases.layerNorm, through(new LayerNorm(6, { eps, dtype }))));
  test('SwiGLU', () => expectCase(cases.swiglu, through(new SwiGLU(6, 4, { key, dtype }))));
});

describe('attention', () => {
  const cases = fixture<Record<'rope' | 'causal' | 'atTheEnd' | 'masked' | 'grouped', Case>>('attention');
  test('RotaryEmbedding turns halves as LLaMA does', () => {
    const { base, offset, headDim } = cases.rope.options as { base: number; offset: number; headDim: number };
    expectCase(cases.rope, ({ x }) => new RotaryEmbedding(headDim, { base }).apply(x!, offset));
  });
  test('causalAttention', () => expectCase(cases.causal, ({ q, k, v }) => causalAttention(q!, k!, v!)));
  test('causalAttention with queries at the end and a scale', () => {
    const { scale } = cases.atTheEnd.options as { scale: number };
    expectCase(cases.atTheEnd, ({ q, k, v }) => causalAttention(q!, k!, v!, { scale }));
  });
  test('causalAttention with masked keys and one head of keys for three of queries', () => {
    const { padding } = cases.masked.options as { padding: number[][] };
    const mask = tensor(padding, { dtype: 'bool' }).reshape([2, 1, 1, 5]);
    expectCase(cases.masked, ({ q, k, v }) => causalAttention(q!, k!, v!, { mask }));
  });
  test('CausalSelfAttention with grouped queries and rotary positions', () => {
    const { dim, ...heads } = cases.grouped.options as {
      dim: number;
      numHeads: number;
      numKvHeads: number;
      headDim: number;
    };
    const rope = new RotaryEmbedding(heads.headDim);
    expectCase(cases.grouped, through(new CausalSelfAttention(dim, { ...heads, key, rope, dtype })));
  });
});

describe('crossEntropy', () => {
  const { crossEntropy: cases } = fixture<{ crossEntropy: Record<string, Case> }>('losses');
  test.each(Object.entries(cases))('%s', (_, one) =>
    expectCase(one, ({ logits, targets }) =>
      crossEntropy(logits!, targets!, one.options as CrossEntropyOptions),
    ),
  );
  test('the cases cover every reduction', () =>
    expect(new Set(Object.values(cases).map(({ options }) => options['reduction']))).toEqual(
      new Set(['mean', 'sum', 'none']),
    ));
});
