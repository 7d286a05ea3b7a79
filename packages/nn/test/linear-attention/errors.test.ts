/** What the recurrences refuse, and the inverse that the delta rules stand on. */
import { gradcheck } from '@infinigrad/autograd';
import {
  deltaRule,
  gatedDeltaRule,
  gatedLinearAttention,
  linearAttention,
  retention,
  retentionDecays,
  type RecurrenceOptions,
} from '@infinigrad/nn';
import { DTypeError, eye, Key, ones, ShapeError, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectNumbers, numbers } from '../support.ts';
// The inverse is no part of what the package exports.
import { unitLowerInverse } from '../../src/linear-attention/unit-inverse.ts';

const [batch, heads, length, dk, dv] = [2, 3, 4, 5, 6];
const q = zeros([batch, heads, length, dk]);
const v = zeros([batch, heads, length, dv]);
const perToken = zeros([batch, heads, length]);
const given = (options: RecurrenceOptions) => (): unknown => linearAttention(q, q, v, options);

const rows: readonly (readonly [string, () => unknown, new (...args: never[]) => Error, string])[] = [
  [
    'too few axes',
    () => linearAttention(q.select(0, 0), q, v),
    ShapeError,
    'linearAttention: needs q and k [batch, heads, T, d_key]',
  ],
  ['keys of another size', () => deltaRule(q, v, v, perToken), ShapeError, 'deltaRule: needs q and k'],
  ['values of another length', () => linearAttention(q, q, v.narrow(2, 0, 3)), ShapeError, 'needs q and k'],
  [
    'no tokens',
    () => linearAttention(q.narrow(2, 0, 0), q.narrow(2, 0, 0), v.narrow(2, 0, 0)),
    ShapeError,
    'needs q and k',
  ],
  [
    'no tokens to retain',
    () => retention(q.narrow(2, 0, 0), q.narrow(2, 0, 0), v.narrow(2, 0, 0)),
    ShapeError,
    'retention: needs q and k',
  ],
  ['integers', () => linearAttention(q.cast('i32'), q, v), DTypeError, 'needs floating-point tensors'],
  ['two dtypes', () => linearAttention(q, q, v.cast('f64')), DTypeError, 'q, k and v must have one dtype'],
  [
    'integer gates',
    () => gatedLinearAttention(q, q, v, perToken.cast('i32')),
    DTypeError,
    'needs floating-point tensors',
  ],
  ['betas of another size', () => deltaRule(q, q, v, q), ShapeError, 'deltaRule: betas must be [2, 3, 4]'],
  [
    'gates of another size',
    () => gatedLinearAttention(q, q, v, v),
    ShapeError,
    'gatedLinearAttention: gates must be [2, 3, 4] or [2, 3, 4, 5]',
  ],
  [
    'a gate for each channel of a delta rule',
    () => gatedDeltaRule(q, q, v, perToken, q),
    ShapeError,
    'gatedDeltaRule: gates must be [batch, heads, T]',
  ],
  [
    'too few decays',
    () => retention(q, q, v, { decays: [1] }),
    ValueError,
    'retention: needs 3 decays in (0, 1], got [1]',
  ],
  ['a decay of 0', () => retention(q, q, v, { decays: [1, 1, 0] }), ValueError, 'needs 3 decays in (0, 1]'],
  [
    'an eps below 0',
    () => linearAttention(q, q, v, { eps: -1 }),
    ValueError,
    'eps must be a number ≥ 0, got -1',
  ],
  [
    'a mask of another size',
    given({ mask: ones([2, 3], { dtype: 'bool' }) }),
    ShapeError,
    'the mask must be [2, 4]',
  ],
  ['a mask of numbers', given({ mask: ones([2, 4]) }), DTypeError, 'the mask must be bool'],
  [
    'documents of another size',
    given({ documents: ones([2, 3], { dtype: 'i32' }) }),
    ShapeError,
    'the documents must be [2, 4]',
  ],
  [
    'documents that are no integers',
    given({ documents: ones([2, 4]) }),
    DTypeError,
    'documents must be integers',
  ],
  ['another state', given({ initialState: { matrix: v } }), ShapeError, 'the state must be [2, 3, 5, 6]'],
  [
    'another normaliser',
    given({ initialState: { matrix: zeros([2, 3, 5, 6]), normalizer: v } }),
    ShapeError,
    'the state must be',
  ],
  [
    'an unknown form',
    given({ form: 'fast' as never }),
    ValueError,
    "form must be auto, recurrent, chunkwise or parallel, got 'fast'",
  ],
  ['chunks of 48', given({ chunkSize: 48 }), ValueError, 'chunkSize must be a power of two, got 48'],
  ['chunks of half a token', given({ chunkSize: 0.5 }), ValueError, 'chunkSize must be a power of two'],
];

test.each(rows)('%s', (_, body, type, says) => {
  expect(body).toThrow(type);
  expect(body).toThrow(says);
});

test("retention's decays are RetNet's", () =>
  expect(retentionDecays(3)).toEqual([1 - 1 / 32, 1 - 1 / 64, 1 - 1 / 128]));

describe('the inverse of I + L', () => {
  test.each([1, 2, 4, 32])('of %i rows', (n) => {
    const lower = new Key(n).normal([2, 3, n, n], { dtype: 'f64', std: 0.3 });
    const inverse = unitLowerInverse(lower);
    const product = lower
      .tril(-1)
      .add(eye(n, { dtype: 'f64' }))
      .matmul(inverse);
    expectNumbers(numbers(product), numbers(eye(n, { dtype: 'f64' }).expand([2, 3, n, n])));
  });

  test('passes gradcheck to second order, and has no gradient above the diagonal', () => {
    const lower = new Key(3).normal([2, 4, 4], { dtype: 'f64' });
    gradcheck((x: Tensor) => unitLowerInverse(x.tril(-1)), [lower], { order: 2 });
    gradcheck(unitLowerInverse, [lower], { order: 2 });
  });
});
