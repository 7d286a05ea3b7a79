/** Optimizers against a hundred steps of PyTorch's in f64 (scripts/fixtures/nn/optim.py). */
import { schedules } from '@infinigrad/nn';
import { describe, expect, test } from 'vitest';
import { expectNumbers } from '../support.ts';
import { chosen, lossAt, optimizers, stage, start, valuesOf } from './problem.ts';

const plain = stage.cases.filter((one) => !one.average);

describe('a hundred steps of PyTorch', () => {
  test.each(plain.map((one) => [one.name, one] as const))(
    '%s',
    (_, { optimizer: kind, options, params, snapshots, schedule_options: cycle }) => {
      const problem = start();
      const optimizer = optimizers[kind]!.make(
        chosen(problem, params) as never,
        { ...options, ...(cycle && { schedule: schedules.oneCycle(cycle) }) } as never,
      );
      expect(snapshots.length).toBe(10);
      for (let step = 0; step < 100; step++) {
        optimizer.minimize(() => lossAt(problem, step));
        if (step % 10 === 9) expectNumbers(valuesOf(problem), snapshots[(step - 9) / 10]!, 1e-9);
      }
    },
  );
  test('every case moves what it trains, and all end apart', () => {
    const ends = stage.cases.map(({ snapshots }) => snapshots.at(-1)!.join());
    expect(new Set(ends).size).toBe(ends.length);
  });
});
