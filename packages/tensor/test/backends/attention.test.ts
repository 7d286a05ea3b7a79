/** Attention and its gradient on wasm against their compositions in f64: tiles and their edges, masks, views, extremes. */
import { apply, fromData, setThreads, threadStats, withBackend, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { runs } from '../support.ts';
import { check, Numbers, plain, type Case } from './attention-support.ts';

describe('sizes', () => {
  it('1 to 70 queries and keys, causal or not, of any size', () => {
    for (let n = 1; n <= 70; n++)
      check({
        inputs: plain([2], n, n + ((n * 5) % 7), 1 + ((n * 11) % 19), 1 + ((n * 7) % 17)),
        causal: n % 3 > 0,
        seed: n,
      });
  });

  it('any queries, keys, sizes, leading axes and masks', () => {
    const size = fc.integer({ min: 1, max: 70 });
    const width = fc.integer({ min: 1, max: 40 });
    const form = fc.integer({ min: 0, max: 5 });
    const property = fc.property(
      size,
      size,
      width,
      width,
      form,
      fc.boolean(),
      fc.nat(1e6),
      (a, b, d, dv, form, causal, seed) => {
        const [t, s] = causal ? [Math.min(a, b), Math.max(a, b)] : [a, b];
        const shapes = [[], [s], [t, s], [t, 1], [2, 1, s], [1, t, s]];
        check({
          inputs: (numbers) => [
            ...plain([2], t, s, d, dv)(numbers),
            ...(form > 0 ? [numbers.mask(shapes[form]!)] : []),
          ],
          causal,
          seed,
        });
      },
    );
    fc.assert(property, { numRuns: runs });
  });

  it.each([
    [127, 127, 32, 32],
    [128, 128, 32, 32],
    [129, 129, 32, 32],
    [64, 64, 64, 64],
    [65, 128, 5, 9],
    [200, 200, 16, 33],
    [300, 331, 8, 7],
    [2, 700, 33, 40],
    [3, 257, 20, 65],
    [12, 20, 256, 130],
  ])('%i queries, %i keys, d %i, d_v %i', (t, s, d, dv) => {
    for (const causal of [false, true]) check({ inputs: plain([2], t, s, d, dv), causal });
  });

  it('a single query, up to 4096 keys', () => {
    for (const s of [1, 3, 255, 256, 257, 1000, 4096])
      check({ inputs: plain(s > 1000 ? [] : [3], 1, s, 12, 24), causal: s % 2 === 0 });
  });

  it.each([
    ['no keys', [2], 3, 0, 4, 5],
    ['no queries', [2], 0, 3, 4, 5],
    ['no columns', [2], 3, 4, 0, 5],
    ['no values', [2], 3, 4, 5, 0],
    ['no matrices', [0], 3, 4, 5, 2],
  ] as const)('%s', (_, lead, t, s, d, dv) => void check({ inputs: plain(lead, t, s, d, dv) }));

  it('no keys under a mask', () => {
    check({ inputs: (numbers) => [...plain([2], 3, 0, 4, 5)(numbers), numbers.mask([3, 0])] });
  });
});

describe('leading axes', () => {
  const shapes: Readonly<Record<string, readonly (readonly number[])[]>> = {
    'grouped queries': [
      [2, 2, 3],
      [2, 2, 1],
      [2, 2, 1],
    ],
    'one set of queries': [[], [3], [3]],
    'one set of keys and values': [[4, 2], [], [2]],
    'keys and values that differ along other axes': [
      [1, 1],
      [3, 1],
      [1, 2],
    ],
    'axes of size 1': [
      [1, 2, 1],
      [2, 1],
      [1, 1, 1],
    ],
  };
  describe.each(Object.keys(shapes))('%s', (name) => {
    const [q, k, v] = shapes[name]!;
    it.each([
      [1, 5],
      [3, 9],
      [37, 70],
    ])('%i queries, %i keys', (t, s) => {
      for (const causal of [false, true])
        check({
          inputs: (numbers) => [
            numbers.normal([...q!, t, 12]),
            numbers.normal([...k!, s, 12]),
            numbers.normal([...v!, s, 10]),
          ],
          causal,
        });
    });
  });

  it('grouped queries, one at a time, under a mask of their own', () => {
    check({
      inputs: (numbers) => [
        numbers.normal([2, 3, 5, 1, 8]),
        numbers.normal([2, 3, 1, 40, 8]),
        numbers.normal([2, 3, 1, 40, 6]),
        numbers.mask([2, 1, 5, 1, 40]),
      ],
      causal: true,
    });
  });

  it('that only the mask has', () => {
    check({ inputs: (numbers) => [...plain([], 9, 11, 6, 5)(numbers), numbers.mask([3, 2, 9, 11])] });
  });
});

describe('masks', () => {
  it.each([
    [[21]],
    [[1]],
    [[19, 21]],
    [[19, 1]],
    [[1, 21]],
    [[3, 19, 21]],
    [[2, 1, 1, 21]],
    [[2, 1, 19, 1]],
    [[2, 3, 19, 21]],
  ])('of shape %j', (shape) => {
    for (const causal of [false, true])
      check({
        inputs: (numbers) => [...plain([2, 3], 19, 21, 10, 9)(numbers), numbers.mask(shape)],
        causal,
      });
  });

  it('lines that see nothing give zeros, and pass nothing back', () => {
    for (const [t, s] of [
      [1, 7],
      [2, 300],
      [10, 20],
      [70, 150],
    ] as const)
      for (const causal of [false, true]) {
        const [y] = check({
          inputs: (numbers) => [...plain([2], t, s, 8, 8)(numbers), numbers.mask([2, t, s], 0)],
          causal,
        });
        expect(y!.slice(0, 9)).toEqual(new Array(9).fill(0));
      }
  });

  it('of more queries than are worked on at a time', () => {
    check({ inputs: (numbers) => [...plain([2], 300, 90, 4, 4)(numbers), numbers.mask([2, 300, 90])] });
  });

  it('that hide the first tiles of keys', () => {
    const late = Uint8Array.from({ length: 600 }, (_, j) => (j >= 590 ? 1 : 0));
    for (const t of [2, 9])
      check({
        inputs: (numbers) => [...plain([1], t, 600, 8, 8)(numbers), fromData(late, [600], { dtype: 'bool' })],
      });
  });

  it('that are views', () => {
    check({
      inputs: (numbers) => [
        ...plain([2], 9, 14, 8, 8)(numbers),
        numbers
          .mask([28, 18])
          .transpose()
          .slice([
            [0, null, 2],
            [0, null, 2],
          ]),
      ],
    });
    check({
      inputs: (numbers) => [...plain([2], 9, 14, 8, 8)(numbers), numbers.mask([9, 1]).expand([2, 9, 14])],
    });
  });
});

describe('views', () => {
  it('heads side by side: [B, T, H, d] seen as [B, H, T, d]', () => {
    for (const t of [1, 3, 33, 70])
      check({
        inputs: (numbers) => [0, 1, 2].map(() => numbers.normal([2, t, 3, 12]).permute([0, 2, 1, 3])),
        causal: true,
      });
  });

  it('parts of one tensor, away from its start', () => {
    const part = (all: Tensor, i: number): Tensor =>
      all
        .slice([null, null, [i, i + 1]])
        .reshape([2, 40, 3, 8])
        .permute([0, 2, 1, 3]);
    check({
      inputs: (numbers) => {
        const all = numbers.normal([2, 40, 3, 3, 8]);
        return [part(all, 0), part(all, 1), part(all, 2)];
      },
      causal: true,
    });
  });

  it('with NaN before and after each line', () => {
    for (const [t, s] of [
      [2, 11],
      [11, 21],
    ] as const)
      for (const [d, dv] of [
        [5, 3],
        [11, 13],
      ] as const)
        check({
          inputs: (numbers) => [
            numbers.amidNaN([2, t, d]),
            numbers.amidNaN([2, s, d]),
            numbers.amidNaN([2, s, dv]),
          ],
          causal: true,
        });
  });

  it('columns apart, backwards, repeated', () => {
    check({
      inputs: (numbers) => [
        numbers.normal([2, 10, 30]).transpose(),
        numbers.normal([2, 33, 20]).slice([null, null, [null, null, 2]]),
        numbers.normal([2, 33, 12]).slice([null, [null, null, -1], [null, null, -1]]),
      ],
    });
    check({
      inputs: (numbers) => [
        numbers.normal([2, 1, 10]).expand([2, 20, 10]),
        numbers.normal([1, 33, 1]).expand([2, 33, 10]),
        numbers.normal([33, 7]).expand([2, 33, 7]),
      ],
    });
  });
});

describe('extreme scores', () => {
  it('up to ±80 and beyond', () => {
    check({
      inputs: (numbers) => [numbers.normal([50, 16], 5), ...plain([], 1, 90, 16, 16)(numbers).slice(1)],
      scale: 1,
      tolerance: 3e-5,
    });
    for (const spread of [80, 2000])
      check({
        inputs: (numbers) => [
          numbers.values(new Float32Array(70).fill(1), [70, 1]),
          numbers.normal([150, 1], spread),
          numbers.normal([150, 6]),
        ],
        scale: 1,
        causal: true,
      });
  });

  it.each([
    [1, 300],
    [5, 300],
  ])('one key that outweighs all others: %i queries, %i keys', (t, s) => {
    for (const place of [0, 70, s - 1]) {
      const keys = new Float32Array(s).fill(-80);
      keys[place] = 80;
      const [y] = check({
        inputs: (numbers) => [
          numbers.values(new Float32Array(t).fill(1), [t, 1]),
          numbers.values(keys, [s, 1]),
          numbers.values(
            Float32Array.from({ length: s }, (_, j) => j / 512),
            [s, 1],
          ),
        ],
        scale: 1,
      });
      expect(y).toEqual(Array.from({ length: 2 * t }, (_, i) => (i % 2 === 0 ? place / 512 : 80)));
    }
  });

  it('a scale of 0 or below', () => {
    for (const scale of [0, -0.7]) check({ inputs: plain([2], 20, 90, 8, 8), scale });
  });

  it('weights beyond f32 are Infinity', () => {
    const one = (value: number): Tensor => fromData(Float32Array.of(value), [1, 1]);
    const grads = withBackend('wasm', () => {
      const y = fromData(Float32Array.of(0, 0), [1, 2]);
      const g = fromData(Float32Array.of(1, 0), [1, 2]);
      return apply('attentionGrad', [g, y, one(1), one(300), one(2)], { scale: 1, causal: false });
    });
    expect(Array.from(grads.dataSync())).toEqual([Infinity, Infinity, Infinity]);
  });

  it('NaN stays in its line', () => {
    for (const [t, s] of [
      [2, 9],
      [9, 70],
    ] as const)
      withBackend('wasm', () => {
        const numbers = new Numbers('f32', 5);
        const [q, k, v] = plain([], t, s, 8, 8)(numbers) as [Tensor, Tensor, Tensor];
        const data = Float32Array.from(q.dataSync());
        data[11] = NaN;
        const y = apply('attention', [numbers.values(data, q.shape), k, v], { scale: 1, causal: false });
        const clean = apply('attention', [q, k, v], { scale: 1, causal: false }).dataSync();
        const expected = Array.from(clean, (x, i) => (Math.floor(i / 9) === 1 ? NaN : x));
        expect(Array.from(y.dataSync())).toEqual(expected);
      });
  });
});

describe('the same bits', () => {
  const initially = threadStats().count;
  afterAll(() => void setThreads(initially));

  it('each time, and with one thread or two', () => {
    const cases: Case[] = [
      { inputs: plain([6], 70, 90, 24, 20), causal: true },
      {
        inputs: (numbers) => [
          numbers.normal([2, 2, 4, 40, 16]),
          numbers.normal([2, 2, 1, 40, 16]),
          numbers.normal([2, 2, 1, 40, 16]),
        ],
      },
    ];
    for (const one of cases) {
      setThreads(1);
      const first = check(one);
      expect(check(one)).toEqual(first);
      setThreads(2);
      expect(check(one)).toEqual(first);
    }
  });
});
