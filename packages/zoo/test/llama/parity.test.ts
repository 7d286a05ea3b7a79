/** LLaMA against transformers (scripts/fixtures/zoo/llama.py): logits, gradients, what goes on inside, and greedy text. */
import { readFileSync } from 'node:fs';
import {
  decodeSafetensors,
  fromData,
  Key,
  type DType,
  type FloatDType,
  type Tensor,
} from '@infinigrad/tensor';
import { LlamaForCausalLM } from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { largestDifference } from '../models/runner.ts';

interface Stored {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface Case {
  readonly inputs: Readonly<Record<'inputIds' | 'attentionMask' | 'positionIds', Stored>>;
  readonly logits: Stored;
  readonly probe: Stored;
  readonly hiddenStates: readonly Stored[];
  readonly attentions: readonly Stored[];
  readonly greedy: readonly (readonly number[])[];
}

const file = (name: string, part: string): Buffer =>
  readFileSync(new URL(`../fixtures/llama/${name}/${part}`, import.meta.url));
const restored = ({ shape, data }: Stored, dtype: DType = 'f64'): Tensor =>
  fromData(Float64Array.from(data), shape, { dtype });
const caseOf = (name: string): Case => JSON.parse(file(name, 'case.json').toString()) as Case;

function load(name: string, dtype: FloatDType): LlamaForCausalLM {
  const { meta } = LlamaForCausalLM;
  const config = meta.config.fromJson(JSON.parse(file(name, 'config.json').toString()));
  const model = new LlamaForCausalLM(config, new Key(0), { dtype });
  model.loadPretrainedState(decodeSafetensors(file(name, 'model.safetensors')).tensors);
  return model.eval();
}

function run(model: LlamaForCausalLM, { inputs }: Case): Tensor {
  const [inputIds, attentionMask, positionIds] = [
    inputs.inputIds,
    inputs.attentionMask,
    inputs.positionIds,
  ].map((x) => restored(x, 'i32')) as [Tensor, Tensor, Tensor];
  const { logits } = model.forward(inputIds, { attentionMask, positionIds });
  return logits.mul(attentionMask.cast(logits.dtype).unsqueeze(-1));
}

describe.each(['plain', 'llama3', 'yarn', 'linear', 'dynamic', 'longrope'])('%s', (name) => {
  const reference = caseOf(name);

  test.each([
    ['f64', 1e-9],
    ['f32', 1e-5],
  ] as const)('logits in %s', (dtype, tolerance) => {
    const logits = run(load(name, dtype), reference).cast('f64');
    expect(largestDifference(logits, restored(reference.logits))).toBeLessThan(tolerance);
  });

  test('gradients of every parameter', () => {
    const model = load(name, 'f64');
    run(model, reference).mul(restored(reference.probe)).sum().backward();
    const { tensors } = decodeSafetensors(file(name, 'gradients.safetensors'));
    const found = new Map([...model.namedParameters()].map(([own, p]) => [own, p.grad!]));
    // The gradients in the file's keys, as the model spells its weights.
    model.stateDict = () => Object.fromEntries(found);
    const spelled = model.pretrainedState();
    expect(Object.keys(spelled).toSorted()).toEqual(Object.keys(tensors).toSorted());
    for (const [key, expected] of Object.entries(tensors)) {
      const scale = Math.max(...Array.from(expected.abs().dataSync(), Number));
      // Stored in f32.
      expect(largestDifference(spelled[key]!, expected.cast('f64')) / scale, key).toBeLessThan(1e-6);
    }
  });

  test('hidden states and weights of attention', () => {
    const inputIds = restored(reference.inputs.inputIds, 'i32').narrow(0, 0, 1);
    const model = load(name, 'f64');
    const seen = model.forward(inputIds, { outputHiddenStates: true, outputAttentions: true });
    for (const part of ['hiddenStates', 'attentions'] as const) {
      expect(seen[part]!.length).toBe(reference[part].length);
      reference[part].forEach((expected, i) =>
        expect(largestDifference(seen[part]![i]!, restored(expected))).toBeLessThan(1e-9),
      );
    }
    const plain = model.forward(inputIds);
    expect(plain.hiddenStates).toBeUndefined();
    expect(plain.attentions).toBeUndefined();
  });

  test('64 tokens of greedy text', () => {
    const model = load(name, 'f64');
    const [expected] = reference.greedy as [readonly number[]];
    const start = reference.inputs.inputIds.shape[1]!;
    const { eosTokenId } = model.config;
    const text = expected.slice(0, start);
    // Frequencies that depend on the length make keys in a cache differ: these are read anew.
    const cached = name !== 'dynamic' && name !== 'longrope';
    const cache = cached ? model.newCache({ maxLength: expected.length }) : undefined;
    while (text.length < expected.length) {
      const next = cache ? text.slice(cache.length) : text;
      const { logits } = model.forward(fromData(Int32Array.from(next), [1, next.length]), {
        cache,
        lastLogits: 1,
      });
      const scores = Array.from(logits.flatten().dataSync(), (x, i) => (i === eosTokenId ? -Infinity : x));
      text.push(scores.indexOf(Math.max(...scores)));
    }
    expect(text).toEqual(expected);
    expect(expected.length).toBe(start + 64);
  });
});
