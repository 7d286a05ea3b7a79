/** Generation and its processors against transformers (scripts/fixtures/zoo/generate.py). */
import { fromData } from '@infinigrad/tensor';
import {
  generate,
  minNewTokens,
  minP,
  noRepeatNgrams,
  repetitionPenalty,
  temperature,
  topK,
  topP,
  typicalP,
  type GenerationOptions,
  type LogitsProcessor,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { readJson, tinyLlama } from './support.ts';

interface GenerationCase {
  readonly prompts: number[][];
  readonly options: Readonly<Record<string, unknown>>;
  readonly tokens: number[][];
  readonly scores?: number[];
}

interface ProcessorCase {
  readonly name: keyof typeof made;
  readonly value: number;
  readonly logits: number[][];
  readonly sequences: number[][];
  readonly result: (number | null)[][];
}

const made = {
  temperature,
  topK,
  topP,
  minP,
  typicalP,
  repetitionPenalty,
  noRepeatNgrams,
  minNewTokens: (count: number) => minNewTokens(count, [3, 5]),
} satisfies Record<string, (value: number) => LogitsProcessor>;

const file = readJson<{ generation: GenerationCase[]; processors: ProcessorCase[] }>('generate.json');

const camel = (name: string): string => name.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase());
const optionsOf = ({ options }: GenerationCase): GenerationOptions =>
  Object.fromEntries(Object.entries(options).map(([name, value]) => [camel(name), value]));

const named = (cases: readonly GenerationCase[]): (readonly [string, GenerationCase])[] =>
  cases.map((c) => [`${JSON.stringify(c.options)} after ${JSON.stringify(c.prompts)}`, c]);

describe("transformers' generate", () => {
  const model = tinyLlama();

  test.each(named(file.generation))('%s', async (_, c) => {
    const { tokens, sequences, sequenceScores } = await generate(model, c.prompts, optionsOf(c));
    expect(tokens).toEqual(c.tokens);
    const copies = tokens.length / c.prompts.length;
    expect(sequences).toEqual(tokens.map((row, i) => [...c.prompts[Math.floor(i / copies)]!, ...row]));
    expect(sequenceScores === undefined).toBe(c.scores === undefined);
    c.scores?.forEach((score, i) => expect(Math.abs(sequenceScores![i]! / score - 1)).toBeLessThan(1e-5));
  });

  test('there are cases of each kind', () => {
    const of = (name: string): number => file.generation.filter(({ options }) => name in options).length;
    expect(of('num_beams')).toBeGreaterThan(15);
    expect(file.generation.length - of('num_beams')).toBeGreaterThan(15);
  });
});

describe("transformers' processors", () => {
  test.each(file.processors.map((c) => [c.name, c.value, c] as const))('%s %d', (name, value, c) => {
    const [rows, vocabulary] = [c.logits.length, c.logits[0]!.length];
    const logits = fromData(Float32Array.from(c.logits.flat()), [rows, vocabulary]);
    const result = made[name](value)(logits, { sequences: c.sequences, newTokens: 2 });
    expect(result.shape).toEqual([rows, vocabulary]);
    const numbers = Array.from(result.dataSync());
    c.result.flat().forEach((expected, i) => {
      if (expected === null) expect(numbers[i]).toBe(-Infinity);
      else expect(numbers[i]).toBeCloseTo(expected, 5);
    });
  });
});
