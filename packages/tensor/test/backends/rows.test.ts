/** The wasm kernels along lines against the reference in f64: odd sizes, long lines, many lines, layouts, threads. */
import { setThreads, threadStats } from '@infinigrad/tensor';
import { contiguousPlan, type LayoutPlan } from '@infinigrad/tensor/testing';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { range } from '../naive.ts';
import {
  classes,
  confinedResult,
  discrepancy,
  normal,
  opOf,
  repeated,
  result,
  rowCases,
  type Call,
} from './rows-cases.ts';

const names = Object.keys(rowCases);
const callOf = (name: string, rows: number, columns: number): Call => ({
  op: opOf(name),
  ...rowCases[name]!.make(rows, columns),
});

const sameBits = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((x, i) => Object.is(x, b[i]));

describe.each(names)('%s', (name) => {
  const check = (rows: number, columns: number): void =>
    expect(discrepancy(callOf(name, rows, columns), rowCases[name]!), `${rows} × ${columns}`).toBeNull();

  it('is right for lines of 1 to 70 elements', () => {
    for (const columns of range(70)) check(3, columns + 1);
  });
  it('is right for 1 to 40 lines', () => {
    for (const rows of range(40)) check(rows + 1, 6);
  });
  it.each([3, 4, 5, 36, 127, 128, 129])('is right for many lines of %d elements', (columns) => {
    check(1030, columns);
  });
  it('is right for long lines', () => {
    check(37, 1025);
    check(2, 20_001);
  });
  it('gives the same bits twice, wherever the result lies, and writes nothing beside it', () => {
    for (const [rows, columns] of [
      [131, 67],
      [1, 1],
      [2, 5],
      [18, 3],
    ] as const) {
      const call = callOf(name, rows, columns);
      const again = confinedResult(call);
      expect(again, `${rows} × ${columns}`).not.toBeNull();
      expect(sameBits(result(call, 'wasm', 'f32'), again!)).toBe(true);
    }
  });
});

/** Layouts of three axes. */
const plain = contiguousPlan(3);
const layouts: Readonly<Record<string, LayoutPlan>> = {
  'away from the start': { ...plain, lead: 3 },
  'the last two axes swapped': { ...plain, order: [0, 2, 1] },
  'the first two axes swapped': { ...plain, order: [1, 0, 2] },
  'axes reversed': { ...plain, order: [2, 1, 0], lead: 1 },
  'gaps in lines': { ...plain, steps: [1, 1, 2] },
  'gaps between lines': { ...plain, steps: [2, 2, 1], lead: 2 },
  'last axis backwards': { ...plain, flips: [false, false, true] },
  'first axes backwards': { ...plain, flips: [true, true, false] },
  'first axis repeated': { ...plain, repeats: [true, false, false] },
  'second axis repeated': { ...plain, repeats: [false, true, false] },
  'last axis repeated': { ...plain, repeats: [false, false, true] },
};
const vectors: readonly LayoutPlan[] = [
  contiguousPlan(1),
  { ...contiguousPlan(1), steps: [2], lead: 1 },
  { ...contiguousPlan(1), flips: [true] },
];

describe.each(Object.keys(layouts))('layout: %s', (layout) => {
  const plan = layouts[layout]!;
  const shapes = [
    [5, 19, 33],
    [3, 20, 6],
  ];
  const cube = (shape: readonly number[], mean = 0): ReturnType<typeof normal> =>
    repeated(normal(shape, mean), plan);
  const check = (name: string, call: Omit<Call, 'op'>, plans: readonly LayoutPlan[]): void =>
    expect(
      discrepancy({ op: opOf(name), ...call }, rowCases[name]!, plans),
      `${name} ${JSON.stringify(call.attrs)}`,
    ).toBeNull();

  it.each(['softmax', 'logSoftmax', 'logSumExp', 'cumsum', 'cumprod', 'logCumSumExp', 'argMax', 'argMin'])(
    '%s',
    (name) => {
      for (const shape of shapes)
        for (const axis of range(3))
          for (const keepDims of [false, true])
            check(name, { inputs: [cube(shape)], attrs: { axis, keepDims } }, [plan]);
    },
  );
  it.each(['softmaxGrad', 'logSoftmaxGrad'])('%s', (name) => {
    for (const shape of shapes)
      for (const axis of range(3)) {
        const inputs = [cube(shape), repeated(normal(shape, -1, 0.5), plan)];
        check(name, { inputs, attrs: { axis } }, [plan, plan]);
        check(name, { inputs, attrs: { axis } }, [plain, plan]);
      }
  });
  it.each(['rmsNorm', 'layerNorm'])('%s', (name) => {
    for (const shape of shapes)
      for (const vector of vectors) {
        const weights = range(name === 'rmsNorm' ? 1 : 2).map(() => normal([shape[2]!]));
        check(name, { inputs: [cube(shape), ...weights], attrs: { eps: 1e-2 } }, [plan, vector, vector]);
      }
  });
  it.each([
    ['rmsNormGrad', 1],
    ['layerNormGrad', 2],
  ] as const)('%s', (name, sums) => {
    for (const shape of shapes)
      for (const vector of vectors) {
        const columns = shape[2]!;
        const parts = [shape[0]! * shape[1]! * columns];
        const call = {
          inputs: [cube(shape), cube(shape, 1), normal([columns])],
          attrs: { eps: 1e-2 },
          parts: [...parts, ...range(sums).map(() => columns)],
        };
        check(name, call, [plan, plan, vector]);
        check(name, call, [plain, plan, vector]);
      }
  });
  it.each(['softmaxCrossEntropy', 'softmaxCrossEntropyGrad'])('%s', (name) => {
    for (const shape of shapes)
      for (const dtype of ['i32', 'u8'] as const) {
        const lead = shape.slice(0, 2);
        const targets = classes(lead, shape[2]!, 2, dtype);
        const own = { ...contiguousPlan(2), order: [1, 0], steps: [1, 2], lead: 1 };
        const inputs = [cube(shape), targets];
        if (name.endsWith('Grad'))
          check(name, { inputs: [normal(lead), ...inputs], attrs: { ignoreIndex: 2 } }, [own, plan, own]);
        else check(name, { inputs, attrs: { ignoreIndex: 2 } }, [plan, own]);
      }
  });
  it('rotary', () => {
    for (const [heads, length, d] of [
      [5, 19, 34],
      [4, 7, 6],
    ] as const) {
      const angles = [normal([length, d / 2]), normal([length, d / 2])];
      const own = { ...contiguousPlan(2), order: [1, 0], lead: 1 };
      check('rotary', { inputs: [cube([heads, length, d]), ...angles], attrs: {} }, [plan, own]);
    }
  });
  it('adamWStep', () => {
    const shape = [3, 20, 7];
    const squares = cube(shape);
    const call = rowCases['adamWStep']!.make(1, 1);
    const inputs = [
      cube(shape),
      cube(shape),
      { ...squares, values: squares.values.map((x) => Math.fround(x * x + 0.1)) },
      cube(shape),
    ];
    const parts = range(3).map(() => 420);
    check('adamWStep', { ...call, inputs, parts }, [plan, plain, plan, plan]);
  });
});

describe('rotary', () => {
  it('is right where each of many sequences makes several pieces of work', () => {
    const shape = [2, 3, 3001, 4];
    const angles = [normal([3001, 2]), normal([3001, 2])];
    const plan = { ...contiguousPlan(4), order: [0, 2, 1, 3] };
    const call = { op: 'rotary', inputs: [normal(shape), ...angles], attrs: {} } as const;
    expect(discrepancy(call, rowCases['rotary']!, [plan])).toBeNull();
    expect(confinedResult(call, [plan])).not.toBeNull();
  });
});

describe('helper threads', () => {
  const initially = threadStats().count;
  afterAll(() => void setThreads(initially));

  it('give the bits that one thread gives', async () => {
    const calls = names.map((name) => callOf(name, 1030, 129));
    setThreads(1);
    const alone = calls.map((call) => result(call, 'wasm', 'f32'));
    setThreads(2);
    for (let i = 0; i < 200 && threadStats().helpersReady < 1; i++) {
      result(calls[0]!, 'wasm', 'f32');
      await sleep(20);
    }
    expect(threadStats().helpersReady).toBe(1);
    for (let i = 0; i < 3; i++)
      calls.forEach((call, k) =>
        expect(sameBits(result(call, 'wasm', 'f32'), alone[k]!), names[k]).toBe(true),
      );
  });
});
