/** Positions against Hugging Face (fixtures made by scripts/fixtures/nn/positions.py). */
import {
  alibiSlopes,
  relativeBucket,
  ropeFrequencies,
  ropeScalingFromConfig,
  RotaryEmbedding,
  sinusoidalPositions,
  type RopeScaling,
} from '@infinigrad/nn';
import { tensor, ValueError } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectCase, expectNumbers, fixture, numbers, type Case } from '../support.ts';

interface Frequencies {
  readonly name: string;
  readonly type: RopeScaling['type'];
  readonly base: number;
  readonly length: number;
  readonly options: Readonly<Record<string, unknown>>;
  readonly frequencies: number[];
  readonly attentionFactor: number;
}

const file = fixture<{
  frequencies: Frequencies[];
  turns: Record<'halves' | 'interleaved', Case>;
  buckets: {
    bidirectional: boolean;
    numBuckets: number;
    maxDistance: number;
    first: number;
    buckets: number[];
  }[];
  slopes: Record<string, number[]>;
  halves: number[];
}>('positions');

const scalingOf = ({ type, options }: Frequencies): RopeScaling =>
  ropeScalingFromConfig({ max_position_embeddings: 64, rope_scaling: { rope_type: type, ...options } })!;

describe('scaled frequencies', () => {
  test.each(file.frequencies)('$name', (one) => {
    const { frequencies, attentionFactor } = ropeFrequencies(16, one.base, scalingOf(one), one.length);
    // Theirs are in f32: relative, for they span five orders of magnitude.
    expectNumbers(
      Array.from(frequencies, (f, i) => f / one.frequencies[i]!),
      one.frequencies.map(() => 1),
      4e-7,
    );
    expectNumbers([attentionFactor], [one.attentionFactor], 1e-12);
  });
  test('what depends on the length is tried on both sides of it, and differs', () => {
    for (const type of ['dynamic', 'longrope']) {
      const of = (length: number): number[] =>
        file.frequencies.find((one) => one.type === type && one.length === length)!.frequencies;
      expect(of(64)).toEqual(of(16));
      expect(of(65)).not.toEqual(of(64));
    }
  });
  test("LLaMA 3.1's own: kept up to index 28, blended to 34, divided from 35 on", () => {
    const scaling = {
      type: 'llama3',
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositions: 8192,
    } as const;
    const scaled = ropeFrequencies(128, 5e5, scaling, 1).frequencies;
    const plain = ropeFrequencies(128, 5e5, null, 1).frequencies;
    const ratios = Array.from(scaled, (f, i) => f / plain[i]!);
    expect(ratios.slice(0, 29)).toEqual(new Array(29).fill(1));
    expectNumbers(ratios.slice(29, 35), [0.82817, 0.64374, 0.49351, 0.37112, 0.27143, 0.19021], 1e-5);
    expectNumbers(ratios.slice(35), new Array<number>(29).fill(1 / 8));
  });
});

describe('turns, by positions of each row', () => {
  test.each(['halves', 'interleaved'] as const)('%s', (layout) => {
    const one = file.turns[layout];
    const positions = one.options['positions'] as number[][];
    const rope = new RotaryEmbedding(6, { interleaved: layout === 'interleaved' });
    expectCase(one, ({ x }) => rope.apply(x!, tensor(positions, { dtype: 'i32' })));
    // The first row as left padding of one.
    expectCase(one, ({ x }) => rope.apply(x!, [-1, 5]));
  });
});

test.each(file.buckets)(
  'buckets of T5: $bidirectional, $numBuckets up to $maxDistance',
  ({ first, buckets, ...options }) =>
    expect(buckets.map((_, i) => relativeBucket(first + i, options))).toEqual(buckets),
);

test.each(Object.entries(file.slopes))('slopes of ALiBi for %s heads', (heads, slopes) =>
  expectNumbers(alibiSlopes(Number(heads)), slopes, 1e-7),
);

test('sinusoids in halves', () =>
  expectNumbers(numbers(sinusoidalPositions(7, 6, { layout: 'halves', dtype: 'f64' })), file.halves, 1e-7));

describe('ropeScalingFromConfig', () => {
  test('none is none', () => {
    expect(ropeScalingFromConfig({})).toBe(null);
    expect(
      ropeScalingFromConfig({
        rope_scaling: null,
        rope_parameters: { rope_theta: 1e4, rope_type: 'default' },
      }),
    ).toBe(null);
  });
  test('what is left out follows from the lengths of the model; old and new spelling', () => {
    const config = { max_position_embeddings: 128, original_max_position_embeddings: 32 };
    const factors = { short_factor: [1], long_factor: [2] };
    expect(
      ropeScalingFromConfig({ ...config, rope_scaling: { type: 'longrope', ...factors } }),
    ).toMatchObject({
      type: 'longrope',
      factor: 4,
      originalMaxPositions: 32,
    });
    expect(
      ropeScalingFromConfig({ ...config, rope_parameters: { rope_type: 'yarn', factor: 8 } }),
    ).toMatchObject({
      type: 'yarn',
      factor: 8,
      originalMaxPositions: 32,
    });
    expect(
      ropeScalingFromConfig({ max_position_embeddings: 64, rope_scaling: { type: 'dynamic', factor: 2 } }),
    ).toEqual({ type: 'dynamic', factor: 2, maxPositions: 64 });
  });
  test('errors', () => {
    const of =
      (rope_scaling: object): (() => unknown) =>
      () =>
        ropeScalingFromConfig({ rope_scaling });
    expect(of({ type: 'su' })).toThrow("ropeScalingFromConfig: the scaling 'su' is not known");
    expect(of({ type: 'linear' })).toThrow("the scaling 'linear' lacks factor");
    expect(of({ type: 'yarn' })).toThrow(ValueError);
  });
});
