/** Matrix products on the wasm backend: sizes around every edge of the kernels, in all layouts. */
import { fromData, getBackend, zeros, type Tensor } from '@infinigrad/tensor';
import {
  contiguousPlan,
  drawLayout,
  ownShape,
  realise,
  spreadValues,
  type Generator,
  type LayoutPlan,
} from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Engine } from '../../src/backends/wasm/engine.ts';
import { Calibration, calibrationBytes } from '../../src/backends/wasm/gemm/calibrate.ts';
import { hasFused } from '../../src/backends/wasm/relaxed.ts';
import { recordOf } from '../../src/ops/table.ts';

const wasm = getBackend('wasm');
const js = getBackend('js');
type Float = 'f32' | 'f64';

const sizes = [1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 33, 64, 65, 120, 121, 129, 257, 300] as const;
const layouts = ['plain', 'transposed', 'offset', 'spaced', 'any'] as const;
type LayoutName = (typeof layouts)[number];

function planOf(name: LayoutName, rank: number, g: Generator, shape: readonly number[]): LayoutPlan {
  const plain = contiguousPlan(rank);
  const swapped = plain.order.with(rank - 2, rank - 1).with(rank - 1, rank - 2);
  switch (name) {
    case 'plain':
      return plain;
    case 'transposed':
      return { ...plain, order: swapped };
    case 'offset':
      return { ...plain, lead: 3 };
    case 'spaced':
      return { ...plain, steps: plain.steps.with(rank - 2, 2) };
    case 'any':
      return drawLayout(g, shape);
  }
}

/** Numbers in -1 … 1, quick to make in great numbers. */
function values(count: number, seed: number): number[] {
  const out = new Array<number>(count);
  for (let i = 0, state = seed | 1; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    out[i] = Math.fround(state / 2 ** 31);
  }
  return out;
}

interface Operand {
  readonly values: readonly number[];
  readonly shape: readonly number[];
  readonly plan: LayoutPlan;
}

function operand(g: Generator, shape: readonly number[], name: LayoutName, seed: number): Operand {
  const plan = planOf(name, shape.length, g, shape);
  const own = ownShape(shape, plan);
  const count = own.reduce((a, b) => a * b, 1);
  return { values: spreadValues(values(count, seed), own, shape), shape, plan };
}

/** |actual - expected| ≤ k · unit roundoff · Σ|a||b|, element by element. */
function expectProduct(a: Operand, b: Operand, dtype: Float): void {
  const [x, y] = [a, b].map((o) => realise(o.values, o.shape, dtype, o.plan, wasm)) as [Tensor, Tensor];
  const wide = (o: Operand, f = (v: number): number => v): Tensor =>
    fromData(new Float64Array(o.values).map(f), o.shape, { backend: js });
  const actual = x.matmul(y);
  const expected = wide(a).matmul(wide(b));
  expect(actual.shape).toEqual(expected.shape);
  const magnitude = wide(a, Math.abs).matmul(wide(b, Math.abs)).dataSync();
  const [got, wanted] = [actual.dataSync(), expected.dataSync()];
  const unit = (dtype === 'f32' ? 2 ** -24 : 2 ** -52) * a.shape.at(-1)!;
  for (let i = 0; i < got.length; i++)
    if (!(Math.abs(got[i]! - wanted[i]!) <= unit * magnitude[i]!))
      throw new Error(`element ${i} of [${expected.shape.join(', ')}] is ${got[i]}, not ${wanted[i]}`);
}

const drawn = (
  run: (
    g: Generator,
    form: { m: number; k: number; n: number; left: LayoutName; right: LayoutName; seed: number },
  ) => void,
  numRuns: number,
  from: readonly number[] = sizes,
): void =>
  fc.assert(
    fc.property(
      fc.gen(),
      fc.record({
        m: fc.constantFrom(...from),
        k: fc.constantFrom(...from),
        n: fc.constantFrom(...from),
        left: fc.constantFrom(...layouts),
        right: fc.constantFrom(...layouts),
        seed: fc.integer(),
      }),
      run,
    ),
    { numRuns },
  );

describe.each(['f32', 'f64'] as const)('matrix products of %s', (dtype) => {
  it('agree with the reference for all sizes and layouts', () => {
    drawn((g, { m, k, n, left, right, seed }) => {
      expectProduct(operand(g, [m, k], left, seed), operand(g, [k, n], right, seed + 1), dtype);
    }, 120);
  });

  it.each(layouts.flatMap((left) => layouts.map((right) => [left, right] as const)))(
    'agree where A is %s and B is %s',
    (left, right) => {
      drawn(
        (g, { m, k, n, seed }) => {
          expectProduct(operand(g, [m, k], left, seed), operand(g, [k, n], right, seed + 1), dtype);
        },
        6,
        [1, 2, 3, 5, 8, 13, 31, 65, 129],
      );
    },
  );

  it('agree where one side is a vector or a few rows', () => {
    drawn((g, { m, k, n, left, right, seed }) => {
      const long = [k, n].map((size) => size * 3) as [number, number];
      const few = 1 + (m % 3);
      expectProduct(operand(g, [few, long[0]], left, seed), operand(g, long, right, seed + 1), dtype);
      expectProduct(operand(g, long, left, seed), operand(g, [long[1], 1], right, seed + 1), dtype);
    }, 60);
  });

  it('agree where leading axes broadcast', () => {
    drawn(
      (g, { m, k, n, left, right, seed }) => {
        const whole = [1 + g(fc.nat, { max: 2 }), 1 + g(fc.nat, { max: 3 })];
        const lead = (): number[] =>
          whole.slice(g(fc.nat, { max: 2 })).map((size) => (g(fc.boolean) ? size : 1));
        const [a, b] = [lead(), lead()];
        expectProduct(operand(g, [...a, m, k], left, seed), operand(g, [...b, k, n], right, seed + 1), dtype);
      },
      80,
      [1, 2, 3, 4, 5, 8, 9, 17, 33, 65],
    );
  });

  it('agree where they are cut into blocks along every axis', () => {
    const g = fc.sample(fc.gen(), 1)[0]!;
    for (const left of ['plain', 'transposed', 'spaced'] as const)
      for (const right of ['plain', 'transposed'] as const)
        expectProduct(operand(g, [257, 530], left, 3), operand(g, [530, 1037], right, 5), dtype);
    // Large ones in a batch, each with a B of its own, or one for all.
    for (const shape of [
      [3, 120, 100],
      [1, 120, 100],
      [120, 100],
    ])
      expectProduct(operand(g, [3, 130, 120], 'transposed', 3), operand(g, shape, 'plain', 5), dtype);
  });

  it('are zero where there is nothing to add up, and empty where they have no elements', () => {
    const none = (shape: number[]): Tensor => zeros(shape, { dtype, backend: wasm });
    expect([
      ...none([2, 0])
        .matmul(none([0, 3]))
        .dataSync(),
    ]).toEqual([0, 0, 0, 0, 0, 0]);
    expect(none([0, 4]).matmul(none([4, 3])).shape).toEqual([0, 3]);
    expect(
      none([2, 4])
        .matmul(none([4, 0]))
        .dataSync(),
    ).toHaveLength(0);
    expect(none([0, 2, 4]).matmul(none([4, 3])).shape).toEqual([0, 2, 3]);
  });

  it.each([
    [4, 4, 4],
    [1, 64, 70],
    [70, 64, 1],
    [2, 300, 33],
    [65, 33, 31],
    [130, 300, 70],
  ])('let NaN and the infinities through, and nothing else: %i × %i × %i', (m, k, n) => {
    for (const [left, right] of [
      ['plain', 'plain'],
      ['plain', 'transposed'],
      ['transposed', 'plain'],
    ] as const) {
      const g = fc.sample(fc.gen(), 1)[0]!;
      const [a, b] = [operand(g, [m, k], left, 7), operand(g, [k, n], right, 9)];
      const row = m - 1;
      const spoilt = a.values.with(row * k + k - 1, NaN).with(0, m > 1 ? Infinity : NaN);
      const out = realise(spoilt, a.shape, dtype, a.plan, wasm)
        .matmul(realise(b.values, b.shape, dtype, b.plan, wasm))
        .dataSync();
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          const y = out[i * n + j]!;
          if (i === row) expect(y).toBeNaN();
          else if (i === 0) expect(y).toBe(b.values[j]! > 0 ? Infinity : -Infinity);
          else expect(Number.isFinite(y)).toBe(true);
        }
    }
  });
});

/** A product on an engine of its own. */
function multiply(
  engine: Engine,
  [m, k, n]: readonly [number, number, number],
  transposed: readonly [boolean, boolean],
): Float32Array {
  const view = (data: Float32Array, shape: number[], turned: boolean) => {
    const buffer = engine.heap.allocate(data.byteLength);
    engine.heap.touch(buffer);
    new Float32Array(engine.heap.memory.buffer, buffer.pointer, data.length).set(data);
    const [rows, columns] = shape as [number, number];
    return { buffer, dtype: 'f32' as const, shape, strides: turned ? [1, rows] : [columns, 1], offset: 0 };
  };
  engine.heap.beginRun();
  const a = view(Float32Array.from(values(m * k, 1)), [m, k], transposed[0]);
  const b = view(Float32Array.from(values(k * n, 2)), [k, n], transposed[1]);
  const output = view(new Float32Array(m * n), [m, n], false);
  engine.gemm.run({ op: 'matmul', record: recordOf('matmul'), inputs: [a, b], output, attrs: {} });
  return new Float32Array(engine.heap.memory.buffer, output.buffer.pointer, m * n).slice();
}

const bytes = (x: Float32Array): Uint8Array => new Uint8Array(x.buffer);

describe('the micro-kernels', () => {
  const shapes = [
    [3, 5, 7],
    [16, 16, 16],
    [64, 64, 64],
    [67, 301, 29],
    [131, 517, 75],
    [257, 300, 513],
    [1, 600, 100],
    [300, 600, 1],
  ] as const;
  it('give the same sums to the last bit', () => {
    const engines = new Engine().gemm.variants.map((variant) => {
      const engine = new Engine();
      engine.gemm.variant = variant;
      return engine;
    });
    for (const transposed of [
      [false, false],
      [false, true],
      [true, false],
      [true, true],
    ] as const)
      for (const shape of shapes) {
        const [first, ...others] = engines.map((engine) => multiply(engine, shape, transposed));
        for (const other of others) expect(Buffer.compare(bytes(other), bytes(first!))).toBe(0);
      }
  });

  it('are timed once, without a trace in the sums', () => {
    const engine = new Engine();
    const shape = [520, 512, 520] as const;
    const first = multiply(engine, shape, [false, false]);
    for (let i = 0; i < 4; i++)
      expect(Buffer.compare(bytes(multiply(engine, shape, [false, false])), bytes(first))).toBe(0);
    expect(engine.gemm.variants).toContain(engine.gemm.variant);
  });

  it('are chosen by the clock', () => {
    const engine = new Engine();
    const room = engine.heap.reserve(calibrationBytes);
    const candidates = engine.gemm.variants;
    const fused = hasFused();
    // Time stands still but for the samples of one candidate: the others are faster by far.
    for (const slow of [0, 1]) {
      let reading = 0;
      let sample = 0;
      const clock = (): number => {
        // Two readings a sample, four samples of each candidate to warm up, then five rounds of one each.
        const at = Math.floor(reading++ / 2);
        const warming = at < 4 * candidates.length;
        const candidate = warming ? 0 : (at - 4 * candidates.length) % candidates.length;
        if (reading % 2 === 0) sample += candidate === slow ? 2 : 1;
        return sample;
      };
      const calibration = new Calibration(engine.kernels, () => room, candidates, fused, clock);
      expect(calibration.after(2 ** 27)).toBe(null);
      expect(calibration.after(2 ** 28)).toBe(null);
      const chosen = calibration.after(2 ** 28)!;
      expect(candidates).toContain(chosen);
      if (slow === 0) expect(chosen).not.toBe(candidates[0]);
      expect(calibration.after(2 ** 30)).toBe(null);
    }
  });
});
