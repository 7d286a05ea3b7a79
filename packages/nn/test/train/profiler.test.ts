/** The profiler counts every call once, with its work, and changes no number. */
import { AdamW, Profiler, trainStep } from '@infinigrad/nn';
import { Key, scope, zeros } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { lossOf, Network, samples, valuesOf } from './support.ts';

/** A clock that a tick moves on. */
const ticking = (): (() => number) => {
  let time = 0;
  return () => time++;
};
const lineOf = (profiler: Profiler, op: string) => profiler.ops.find((line) => line.op === op);

describe('Profiler', () => {
  test('counts calls, their work and their memory', () => {
    const profiler = new Profiler({ now: ticking() });
    const [a, b] = [zeros([2, 3]), zeros([3, 4])];
    profiler.run(() => {
      a.matmul(b);
      a.matmul(b).exp().transpose();
    });
    a.matmul(b);
    expect(profiler.ops.map(({ op, calls }) => [op, calls])).toEqual([
      ['matmul', 2],
      ['exp', 1],
      ['permute', 1],
    ]);
    expect(lineOf(profiler, 'matmul')).toEqual({
      op: 'matmul',
      calls: 2,
      milliseconds: 2,
      flops: 2 * 2 * 2 * 3 * 4,
      bytes: 2 * 4 * (6 + 12 + 8),
    });
    expect(lineOf(profiler, 'permute')).toMatchObject({ flops: 0, bytes: 0 });
  });
  test('sees forward, backward and update of a step, and changes nothing', () => {
    const run = (profiler: Profiler | null): unknown => {
      const model = new Network();
      const optimizer = new AdamW(model.parameters());
      const step = (): unknown =>
        trainStep(model, optimizer, lossOf, [samples()], { key: new Key(1) }).loss.itemSync();
      return [profiler ? profiler.run(step) : step(), valuesOf(model)];
    };
    const profiler = new Profiler();
    expect(run(profiler)).toEqual(run(null));
    // Two layers forward; backward a product for each weight, and one for what goes on below the second.
    expect(lineOf(profiler, 'linear')!.calls).toBe(2);
    expect(lineOf(profiler, 'matmul')!.calls).toBe(3);
    expect(lineOf(profiler, 'softmaxCrossEntropy')!.calls).toBe(1);
    expect(lineOf(profiler, 'softmaxCrossEntropyGrad')!.calls).toBe(1);
    expect(lineOf(profiler, 'adamWStep')!.calls).toBe(new Network().parameters().length);
  });
  test('gives ops that would wait a time of their own', () => {
    const profiler = new Profiler();
    const x = new Key(1).normal([200_000]);
    scope(() => profiler.run(() => x.exp().log().sin().sum()), { fuse: true });
    for (const op of ['exp', 'log', 'sin']) expect(lineOf(profiler, op)!.milliseconds).toBeGreaterThan(0.02);
  });
  test('looks through several turns, and no longer', async () => {
    const profiler = new Profiler();
    const later = async (): Promise<number> => {
      await Promise.resolve();
      return zeros([2]).add(1).sum().item();
    };
    expect(await profiler.run(later)).toBe(2);
    await later();
    expect(lineOf(profiler, 'add')!.calls).toBe(1);
    expect(() =>
      profiler.run(() => {
        throw new Error('no');
      }),
    ).toThrow('no');
    zeros([2]).add(1);
    expect(lineOf(profiler, 'add')!.calls).toBe(1);
  });
  test('prints a table and a trace', () => {
    const profiler = new Profiler({ now: ticking() });
    profiler.run(() =>
      zeros([256, 256])
        .matmul(zeros([256, 256]))
        .exp(),
    );
    expect(profiler.table()).toBe(
      [
        'op      calls    ms  share  MFLOP   MiB',
        'matmul      1  1.00  50.0%  33.55  0.75',
        'exp         1  1.00  50.0%   0.66  0.50',
      ].join('\n'),
    );
    expect(profiler.table(1).split('\n')).toHaveLength(2);
    const common = { ph: 'X', dur: 1000, pid: 1, tid: 1 };
    expect(JSON.parse(profiler.trace())).toEqual({
      traceEvents: [
        { name: 'matmul', cat: 'structured', ts: 1000, args: { shapes: '[256, 256] [256, 256]' }, ...common },
        { name: 'exp', cat: 'elementwise', ts: 3000, args: { shapes: '[256, 256]' }, ...common },
      ],
      displayTimeUnit: 'ms',
    });
    const quiet = new Profiler({ calls: false });
    quiet.run(() => zeros([2]).exp());
    expect(JSON.parse(quiet.trace())).toMatchObject({ traceEvents: [] });
  });
});
