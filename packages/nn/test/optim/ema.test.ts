/** Averages of parameters: PyTorch's trace, swapping, exact resume, what is refused. */
import { ExponentialMovingAverage, Linear, Parameter, SGD, type AverageState } from '@infinigrad/nn';
import {
  fromData,
  Key,
  memoryStats,
  ones,
  scope,
  tensor,
  ValueError,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectNumbers, numbers } from '../support.ts';
import { lossAt, names, stage, start, valuesOf } from './problem.ts';

const dtype = 'f64' as const;

test('a hundred steps of PyTorch’s AveragedModel', () => {
  const { options, average, snapshots } = stage.cases.find((one) => one.average)!;
  const problem = start();
  const params = names.map((name) => problem[name]);
  const optimizer = new SGD(params, options);
  const ema = new ExponentialMovingAverage(params, { decay: average! });
  for (let step = 0; step < 100; step++) {
    optimizer.minimize(() => lossAt(problem, step));
    ema.update();
    if (step % 10 < 9) continue;
    const own = valuesOf(problem);
    ema.averaged(() => expectNumbers(valuesOf(problem), snapshots[(step - 9) / 10]!, 1e-9));
    expect(valuesOf(problem)).toEqual(own);
    expect(own).not.toEqual(snapshots[(step - 9) / 10]!);
  }
});

test('follows its formula, with warm-up', () => {
  const values = fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 1, maxLength: 8 });
  const law = fc.property(values, fc.constantFrom(0, 0.5, 0.99), fc.boolean(), (all, decay, warmup) => {
    const p = new Parameter(tensor([0], { dtype }));
    const ema = new ExponentialMovingAverage([p], { decay, warmup });
    let average = all[0]!;
    all.forEach((value, i) => {
      p.assign(tensor([value], { dtype }));
      ema.update();
      const d = warmup ? Math.min(decay, (2 + i) / (11 + i)) : decay;
      average = i === 0 ? value : d * average + (1 - d) * value;
      ema.averaged(() => expectNumbers(numbers(p), [average]));
    });
    expect(ema.updates).toBe(all.length);
  });
  fc.assert(law);
});

test.each(['f32', 'bf16'] as const)(
  'swaps in and out to the bit, and keeps averages of %s in f32',
  (kind) => {
    const p = new Parameter(new Key(1).normal([4]).cast(kind));
    const ema = new ExponentialMovingAverage([p], { decay: 0.9 });
    for (let i = 0; i < 3; i++) {
      p.assign(new Key(2).foldIn(i).normal([4]).cast(kind));
      ema.update();
    }
    const [own, { storage }] = [numbers(p), p];
    expect(ema.swapped).toBe(false);
    ema.swap();
    expect(ema.swapped).toBe(true);
    expect(p.dtype).toBe(kind);
    expect(numbers(p)).not.toEqual(own);
    expect(numbers(p)).toEqual(numbers(ema.stateDict().tensors['0']!.cast(kind)));
    ema.swap();
    expect([numbers(p), p.storage === storage, ema.swapped]).toEqual([own, true, false]);
    expect(ema.stateDict().tensors['0']!.dtype).toBe('f32');
  },
);

test('what was saved while the averages were in place stays', () => {
  const model = new Linear(2, 2, { key: new Key(1), dtype });
  const ema = new ExponentialMovingAverage(model.parameters(), { decay: 0.5 });
  ema.update();
  model.weight.assign(ones([2, 2], { dtype }));
  ema.update();
  const saved = ema.averaged(() => model.stateDict());
  const before = numbers(saved['weight']!);
  for (let i = 0; i < 3; i++) ema.update();
  expect(numbers(saved['weight']!)).toEqual(before);
  expect(numbers(model.weight)).toEqual([1, 1, 1, 1]);
});

test('values come back where the body throws', () => {
  const p = new Parameter(tensor([1], { dtype }));
  const ema = new ExponentialMovingAverage([p]);
  ema.update();
  p.assign(tensor([2], { dtype }));
  expect(() =>
    ema.averaged(() => {
      throw new RangeError('of the body');
    }),
  ).toThrow('of the body');
  expect([numbers(p), ema.swapped]).toEqual([[2], false]);
});

test('goes on bit for bit from a saved state, wherever it was stopped', () => {
  const law = fc.property(fc.nat(6), (at) => {
    const run = (ema: ExponentialMovingAverage, p: Parameter, from: number, to: number): void => {
      for (let i = from; i < to; i++) {
        p.assign(new Key(3).foldIn(i).normal([3]));
        ema.update();
      }
    };
    const [p, q, r] = [1, 2, 3].map(() => new Parameter(zeros([3]))) as [Parameter, Parameter, Parameter];
    const [whole, first, second] = [p, q, r].map(
      (each) => new ExponentialMovingAverage([each], { decay: 0.7 }),
    ) as [ExponentialMovingAverage, ExponentialMovingAverage, ExponentialMovingAverage];
    run(whole, p, 0, 6);
    run(first, q, 0, at);
    const { updates, tensors } = first.stateDict();
    const copies = Object.entries(tensors).map(
      ([name, x]) => [name, fromData(x.dataSync(), x.shape)] as const,
    );
    second.loadStateDict({ updates, tensors: Object.fromEntries(copies) });
    run(second, r, at, 6);
    expect(numbers(second.stateDict().tensors['0']!)).toEqual(numbers(whole.stateDict().tensors['0']!));
  });
  fc.assert(law);
});

test('takes no memory beyond the averages', () => {
  const p = new Parameter(new Key(1).normal([1000]));
  const ema = new ExponentialMovingAverage([p]);
  for (let i = 0; i < 2; i++) ema.update();
  const before = memoryStats();
  for (let i = 0; i < 100; i++) {
    ema.update();
    ema.averaged(() => scope(() => p.sum().itemSync()));
  }
  const after = memoryStats();
  expect([after.tiers, after.buffers]).toEqual([before.tiers, before.buffers]);
});

describe('refused', () => {
  const p = new Parameter(zeros([2], { dtype }));
  const fresh = (updates = 1): ExponentialMovingAverage => {
    const ema = new ExponentialMovingAverage([p]);
    for (let i = 0; i < updates; i++) ema.update();
    return ema;
  };
  const swapped = (): ExponentialMovingAverage => {
    const ema = fresh();
    ema.swap();
    return ema;
  };
  const state = (tensors: Record<string, Tensor>, updates = 1): AverageState => ({ updates, tensors });
  const rows: [string, () => unknown, string][] = [
    ['no parameters', () => new ExponentialMovingAverage([]), 'needs at least one parameter'],
    ['a tensor', () => new ExponentialMovingAverage([zeros([1]) as Parameter]), 'and nothing else'],
    [
      'a decay of 1',
      () => new ExponentialMovingAverage([p], { decay: 1 }),
      'decay must lie in [0, 1), got 1',
    ],
    [
      'a swap before the first update',
      () => fresh(0).swap(),
      'nothing has been averaged yet. Hint: call update()',
    ],
    [
      'an update while swapped',
      () => swapped().update(),
      'ExponentialMovingAverage.update: the averages stand',
    ],
    ['averaged while swapped', () => swapped().averaged(() => 0), 'averaged: the averages stand'],
    ['loading while swapped', () => swapped().loadStateDict(state({})), 'loadStateDict: the averages stand'],
    ['a missing average', () => fresh().loadStateDict(state({})), 'loadStateDict: missing 0'],
    [
      'one too many',
      () => fresh().loadStateDict(state({ '0': zeros([2], { dtype }), x: zeros([1]) })),
      'unexpected x',
    ],
    [
      'averages without updates',
      () => fresh().loadStateDict(state({ '0': zeros([2], { dtype }) }, 0)),
      'unexpected 0',
    ],
    [
      'another shape',
      () => fresh().loadStateDict(state({ '0': zeros([3], { dtype }) })),
      '0 is [3] f64, the parameter [2] f64',
    ],
    [
      'another dtype',
      () => fresh().loadStateDict(state({ '0': zeros([2]) })),
      '0 is [2] f32, the parameter [2] f64',
    ],
    ['a count', () => fresh().loadStateDict(state({}, -1)), 'updates -1 is not an integer ≥ 0'],
  ];
  test.each(rows)('%s', (_, body, says) => {
    expect(body).toThrow(ValueError);
    expect(body).toThrow(says);
  });
});
