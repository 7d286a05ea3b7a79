/** Feature maps: their definitions, dimensions, and what they are for. */
import { featureDim, featureMap, featureMapNames, type FeatureMap } from '@infinigrad/nn';
import { gradcheck } from '@infinigrad/autograd';
import { Key, tensor, ValueError } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { dot, expectNumbers, lines, numbers, sum } from '../support.ts';

const key = new Key(71);
const d = 4;
const x = key.normal([3, d], { dtype: 'f64' });
const rows = lines(x);
const softmax = (row: readonly number[]): number[] => {
  const total = sum(row.map(Math.exp));
  return row.map((v) => Math.exp(v) / total);
};
const relu = (v: number): number => Math.max(0, v);
const dpfp = (row: readonly number[], nu: number): number[] => {
  const r = [...row.map(relu), ...row.map((v) => relu(-v))];
  return Array.from({ length: nu }, (_, i) =>
    r.map((v, j) => v * r[(j - i - 1 + r.length) % r.length]!),
  ).flat();
};

const definitions: readonly (readonly [FeatureMap, (row: number[]) => number[]])[] = [
  ['elu1', (row) => row.map((v) => (v > 0 ? v + 1 : Math.exp(v)))],
  ['relu', (row) => row.map(relu)],
  ['squaredRelu', (row) => row.map((v) => relu(v) ** 2)],
  ['softmax', softmax],
  ['exp', (row) => row.map(Math.exp)],
  ['hedgehog', (row) => [...softmax(row), ...softmax(row.map((v) => -v))]],
  ['dpfp', (row) => dpfp(row, 1)],
  [{ name: 'dpfp', nu: 1 }, (row) => dpfp(row, 1)],
  [{ name: 'dpfp', nu: 3 }, (row) => dpfp(row, 3)],
  [
    'taylor',
    (row) => [
      1,
      ...row.map((v) => v / d ** 0.25),
      ...row.flatMap((v) => row.map((w) => (v * w) / Math.sqrt(2 * d))),
    ],
  ],
  ['identity', (row) => row],
  [{ dim: (n) => n, apply: (y) => y.mul(2) }, (row) => row.map((v) => 2 * v)],
];

describe.each(definitions)('%j', (kind, definition) => {
  test('equals its definition, in the dimensions it says', () => {
    const features = featureMap(kind, x);
    expect(features.shape).toEqual([3, featureDim(kind, d)]);
    expectNumbers(numbers(features), rows.flatMap(definition));
  });

  test('keeps the dtype and all leading axes', () => {
    const many = featureMap(kind, x.cast('f32').reshape([1, 3, 1, d]));
    expect(many.dtype).toBe('f32');
    expect(many.shape).toEqual([1, 3, 1, featureDim(kind, d)]);
  });

  test('passes gradcheck', () => gradcheck((y) => featureMap(kind, y), [x], { order: 2 }));
});

test('every name has a definition here', () => {
  const named = definitions.flatMap(([kind]) => (typeof kind === 'string' ? [kind] : []));
  expect(new Set(named)).toEqual(new Set(featureMapNames));
});

test("taylor's products are e^{q·k/√d} to second order", () => {
  const q = key.foldIn(1).normal([3, d], { dtype: 'f64' });
  const overlap = numbers(featureMap('taylor', q).mul(featureMap('taylor', x)).sum(-1));
  const expected = lines(q).map((row, i) => {
    const s = dot(row, rows[i]!) / Math.sqrt(d);
    return 1 + s + s ** 2 / 2;
  });
  expectNumbers(overlap, expected);
});

test('what is no feature map is refused', () => {
  expect(() => featureMap('elu' as FeatureMap, x)).toThrow(ValueError);
  expect(() => featureMap('elu' as FeatureMap, x)).toThrow('featureMap: must be one of elu1, relu');
  expect(() => featureMap('toString' as FeatureMap, x)).toThrow(ValueError);
  for (const nu of [0, 1.5])
    expect(() => featureDim({ name: 'dpfp', nu }, d)).toThrow(`dpfp needs an integer nu ≥ 1, got ${nu}`);
  expect(() => featureMap({ name: 'relu', nu: 2 } as never, tensor([1]))).toThrow(ValueError);
});
