/** Masks: each by its definition, put together as sets are. */
import fc from 'fast-check';
import {
  AttentionMask,
  causalMask,
  documentMask,
  paddingMask,
  prefixMask,
  scaledDotProductAttention,
  windowMask,
} from '@infinigrad/nn';
import {
  DTypeError,
  fromData,
  Key,
  ShapeError,
  tensor,
  ValueError,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectNumbers, numbers } from '../support.ts';

const batch = 2;
/** Whether query i (of the last ones) may see key j, both counted among the keys. */
type Sees = (b: number, i: number, j: number) => boolean;

const bools = (rows: readonly (readonly boolean[])[]): Tensor =>
  fromData(Uint8Array.from(rows.flat(), Number), [rows.length, rows[0]!.length], { dtype: 'bool' });

/** A mask of so many keys, and its definition. */
interface Pair {
  readonly mask: AttentionMask;
  readonly sees: Sees;
}

function basic(keys: number): fc.Arbitrary<Pair> {
  const rows = fc.array(fc.array(fc.boolean(), { minLength: keys, maxLength: keys }), {
    minLength: batch,
    maxLength: batch,
  });
  const ids = fc.array(fc.array(fc.nat(2), { minLength: keys, maxLength: keys }), {
    minLength: batch,
    maxLength: batch,
  });
  const size = fc.integer({ min: 1, max: 6 });
  const pair = (mask: AttentionMask, sees: Sees): Pair => ({ mask, sees });
  return fc.oneof(
    fc.constant(pair(causalMask(), (_, i, j) => j <= i)),
    size.map((n) => pair(windowMask(n), (_, i, j) => j <= i && i - j < n)),
    size.map((n) => pair(windowMask(n, { bidirectional: true }), (_, i, j) => Math.abs(i - j) < n)),
    rows.map((there) => pair(paddingMask(bools(there)), (b, _, j) => there[b]![j]!)),
    rows.map(([row]) => pair(paddingMask(bools([row!]).squeeze(0)), (_, __, j) => row![j]!)),
    fc.nat(6).map((n) => pair(prefixMask(n), (_, __, j) => j < n)),
    fc.tuple(fc.nat(6), fc.nat(6)).map((ns) => pair(prefixMask(ns), (b, _, j) => j < ns[b]!)),
    ids.map((of) => pair(documentMask(tensor(of, { dtype: 'i32' })), (b, i, j) => of[b]![i] === of[b]![j])),
    ids.map(([of]) => pair(documentMask(tensor(of!, { dtype: 'i32' })), (_, i, j) => of![i] === of![j])),
  );
}

const both = (a: Pair, b: Pair): Pair => ({
  mask: a.mask.and(b.mask),
  sees: (...at) => a.sees(...at) && b.sees(...at),
});
const either = (a: Pair, b: Pair): Pair => ({
  mask: a.mask.or(b.mask),
  sees: (...at) => a.sees(...at) || b.sees(...at),
});

function composed(keys: number): fc.Arbitrary<Pair> {
  return fc
    .tuple(basic(keys), fc.array(fc.tuple(basic(keys), fc.boolean()), { maxLength: 3 }))
    .map(([first, further]) => further.reduce((at, [next, and]) => (and ? both : either)(at, next), first));
}

const sizes = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.nat(5));
const arbitrary = sizes.chain(([keys, fewer]) =>
  composed(keys).map((pair) => ({ ...pair, keys, queries: Math.max(1, keys - fewer) })),
);

const truth = (sees: Sees, queries: number, keys: number): number[] =>
  Array.from({ length: batch }, (_, b) =>
    Array.from({ length: queries }, (__, i) =>
      Array.from({ length: keys }, (___, j) => Number(sees(b, i + keys - queries, j))),
    ),
  ).flat(2);

test('are their definitions, put together with and and or', () =>
  fc.assert(
    fc.property(arbitrary, ({ mask, sees, queries, keys }) => {
      const built = mask.tensor({ queries, keys, backend: zeros([1]).backend });
      expect(built.dtype).toBe('bool');
      expect(numbers(built.expand([batch, 1, queries, keys]))).toEqual(truth(sees, queries, keys));
    }),
    { numRuns: 300 },
  ));

test('attention with a mask is attention with the tensor that it makes', () =>
  fc.assert(
    fc.property(arbitrary, fc.nat(), ({ mask, sees, queries, keys }, seed) => {
      const normal = (shape: number[], n: number): Tensor =>
        new Key(seed).foldIn(n).normal(shape, { dtype: 'f64' });
      const [q, k, v] = [
        normal([batch, 2, queries, 3], 0),
        normal([batch, 2, keys, 3], 1),
        normal([batch, 2, keys, 2], 2),
      ];
      const dense = fromData(Uint8Array.from(truth(sees, queries, keys)), [batch, 1, queries, keys], {
        dtype: 'bool',
      });
      expectNumbers(
        numbers(scaledDotProductAttention(q, k, v, { mask })),
        numbers(scaledDotProductAttention(q, k, v, { mask: dense })),
        1e-12,
      );
    }),
  ));

test('causality is left to attention where it can be', () => {
  expect(causalMask().causal).toBe(true);
  expect(windowMask(3).and(causalMask()).causal).toBe(true);
  expect(causalMask().beside({ queries: 2, keys: 3, backend: zeros([1]).backend })).toBe(null);
  expect(causalMask().or(prefixMask(1)).causal).toBe(false);
  expect(windowMask(3, { bidirectional: true }).causal).toBe(false);
});

describe('documentMask by lengths', () => {
  const { backend } = zeros([1]);
  const sees = (mask: AttentionMask, keys: number): unknown =>
    mask.tensor({ queries: keys, keys, backend }).cast('i32').toArraySync();
  test('of one row, and of several; what is left over sees itself', () => {
    const one = [
      [1, 1, 0, 0, 0],
      [1, 1, 0, 0, 0],
      [0, 0, 1, 0, 0],
      [0, 0, 0, 1, 0],
      [0, 0, 0, 0, 1],
    ];
    expect(sees(documentMask([2, 1]), 5)).toEqual([[one]]);
    expect(sees(documentMask([[2, 1], [5]]), 5)).toEqual([[one], [new Array(5).fill(new Array(5).fill(1))]]);
  });
});

describe('errors', () => {
  const at =
    (mask: AttentionMask): (() => unknown) =>
    () =>
      mask.tensor({ queries: 2, keys: 3, backend: zeros([1]).backend });
  const rows: [string, () => unknown, new (...args: never[]) => Error, string][] = [
    [
      'a window of nothing',
      () => windowMask(0),
      ValueError,
      'windowMask: size must be an integer ≥ 1, got 0',
    ],
    [
      'padding in numbers',
      () => paddingMask(zeros([2, 3])),
      DTypeError,
      'paddingMask: must be bool: [2, 3] f32',
    ],
    [
      'padding of rank 3',
      () => paddingMask(bools([[true]]).unsqueeze(0)),
      ShapeError,
      'needs [batch, T] or [T]',
    ],
    ['padding of other keys', at(paddingMask(bools([[true, false]]))), ShapeError, 'is for 2 keys, not 3'],
    ['a negative prefix', () => prefixMask([1, -2]), ValueError, 'lengths must be integers ≥ 0, got -2'],
    ['documents that float', () => documentMask(zeros([3])), DTypeError, 'documents must be integers'],
    [
      'documents of rank 0',
      () => documentMask(tensor(1, { dtype: 'i32' })),
      ShapeError,
      'needs [batch, T] or [T]',
    ],
    [
      'documents of other keys',
      at(documentMask(tensor([1, 2], { dtype: 'i32' }))),
      ShapeError,
      'is for 2 keys, not 3',
    ],
    [
      'documents that do not fit',
      at(documentMask([2, 2])),
      ValueError,
      'documents of 4 tokens do not fit into 3 keys',
    ],
    ['half a token', () => documentMask([[1.5]]), ValueError, 'lengths must be integers ≥ 0, got 1.5'],
  ];
  test.each(rows)('%s', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
});
