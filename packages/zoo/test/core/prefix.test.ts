/** Decoders as prefix language models: what comes first is read both ways. */
import type { Module } from '@infinigrad/nn';
import { Key, type Tensor } from '@infinigrad/tensor';
import {
  GlmForCausalLM,
  glmPresets,
  GopherForCausalLM,
  gopherPresets,
  GPT2LMHeadModel,
  gpt2Presets,
  GPTNeoForCausalLM,
  gptNeoPresets,
  LlamaForCausalLM,
  llamaPresets,
  type CausalLM,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { largestDifference, perturbed, randomIds } from '../models/row.ts';

const init = { dtype: 'f64' } as const;
const decoders: readonly (readonly [string, () => Module & CausalLM])[] = [
  ['LLaMA', () => new LlamaForCausalLM(llamaPresets['llama-tiny'], new Key(0), init)],
  ['GPT-2', () => new GPT2LMHeadModel(gpt2Presets['gpt2-tiny'], new Key(0), init)],
  ['GLM', () => new GlmForCausalLM(glmPresets['glm-tiny'], new Key(0), init)],
];

describe.each(decoders)('%s', (_, make) => {
  const model = make().eval() as Module & CausalLM;
  const ids = randomIds(256, 2, 8);
  const prefix = [5, 1];
  const logits = model.forward(ids, { prefix }).logits;
  const row = (x: Tensor, i: number, t: number): Tensor => x.narrow(0, i, 1).narrow(1, t, 1);

  test('tokens see the prefix and what came before, and nothing else', () => {
    for (let at = 0; at < 8; at++) {
      const changed = model.forward(perturbed(ids, at, 256), { prefix }).logits;
      for (const i of [0, 1])
        for (let t = 0; t < 8; t++) {
          const change = largestDifference(row(logits, i, t), row(changed, i, t));
          if (at <= t || at < prefix[i]!) expect(change).toBeGreaterThan(1e-9);
          else expect(change).toBeLessThan(1e-12);
        }
    }
  });

  test('read in pieces with a cache that holds the prefix equals read at once', () => {
    const cache = model.newCache({ batch: 2 });
    let at = 0;
    for (const size of [5, 2, 1]) {
      const piece = model.forward(ids.narrow(1, at, size), { cache, prefix }).logits;
      expect(largestDifference(piece, logits.narrow(1, at, size))).toBeLessThan(1e-10);
      at += size;
    }
  });

  test('a prefix of one token is none', () =>
    expect(
      largestDifference(model.forward(ids, { prefix: [1, 1] }).logits, model.forward(ids).logits),
    ).toBeLessThan(1e-10));
});

test.each([
  ['GPT-Neo', () => new GPTNeoForCausalLM(gptNeoPresets['gpt-neo-tiny'], new Key(0))],
  ['Gopher', () => new GopherForCausalLM(gopherPresets['gopher-tiny'], new Key(0))],
] as const)('%s refuses a prefix', (_, make) => {
  expect(() => make().forward(randomIds(256, 1, 4), { prefix: [2] })).toThrow(
    'a prefix needs causal attention to its own tokens',
  );
});
