/** Tiny models, and generation by its plainest definition. */
import { readFileSync } from 'node:fs';
import { decodeSafetensors, fromData, Key, type FloatDType, type Tensor } from '@infinigrad/tensor';
import { LlamaForCausalLM, T5ForConditionalGeneration } from '@infinigrad/zoo';

const file = (name: string): Buffer =>
  readFileSync(new URL(`../fixtures/generation/${name}`, import.meta.url));

export const readJson = <T>(name: string): T => JSON.parse(file(name).toString()) as T;

export const vocabSize = 29;

/** The model of scripts/fixtures/zoo/generate.py. */
export function tinyLlama(dtype: FloatDType = 'f32'): LlamaForCausalLM {
  const model = new LlamaForCausalLM(
    {
      vocabSize,
      hiddenSize: 16,
      intermediateSize: 24,
      numHiddenLayers: 2,
      numAttentionHeads: 4,
      numKeyValueHeads: 2,
      maxPositionEmbeddings: 64,
      rmsNormEps: 1e-6,
      bosTokenId: 1,
      eosTokenId: 3,
      padTokenId: 0,
      tieWordEmbeddings: false,
    },
    new Key(0),
    { dtype },
  );
  model.loadPretrainedState(decodeSafetensors(file('llama.safetensors')).tensors);
  return model.eval() as LlamaForCausalLM;
}

export function tinyT5(): T5ForConditionalGeneration {
  return new T5ForConditionalGeneration(
    {
      vocabSize: 23,
      dModel: 16,
      dKv: 4,
      dFf: 24,
      numLayers: 2,
      numHeads: 4,
      decoderStartTokenId: 0,
      padTokenId: 0,
      eosTokenId: 1,
      initializerFactor: 2,
    },
    new Key(3),
  ).eval() as T5ForConditionalGeneration;
}

export const prompts = [[5, 9, 2], [7, 11, 4, 20, 8, 17], [28], [12, 12, 6, 19]];

export const ids = (row: readonly number[]): Tensor => fromData(Int32Array.from(row), [1, row.length]);

/** Logits after a whole row, read at once. */
export function lastLogits(
  model: { forward(tokens: Tensor): { readonly logits: Tensor } },
  row: readonly number[],
): number[] {
  const { logits } = model.forward(ids(row));
  return Array.from(logits.select(1, row.length - 1).dataSync());
}

export const argMax = (x: readonly number[]): number => x.indexOf(Math.max(...x));

/** The most likely token after the whole row, each time anew. */
export function plainGreedy(
  next: (row: readonly number[]) => readonly number[],
  prompt: readonly number[],
  count: number,
  end: number | null = null,
): number[] {
  const row = [...prompt];
  while (row.length < prompt.length + count) {
    row.push(argMax(next(row)));
    if (row.at(-1) === end) break;
  }
  return row.slice(prompt.length);
}

export function softmax(logits: readonly number[]): number[] {
  const most = Math.max(...logits);
  const parts = logits.map((x) => Math.exp(x - most));
  const sum = parts.reduce((a, b) => a + b, 0);
  return parts.map((x) => x / sum);
}
