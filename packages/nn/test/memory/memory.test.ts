/** The laws of the compressive memory, in f64. */
import fc from 'fast-check';
import { grad, gradcheck } from '@infinigrad/autograd';
import {
  featureDim,
  featureMap,
  memoryBytes,
  RecurrentCache,
  retrieveMemory,
  walkMemory,
  writeOpenness,
  type CompressiveMemoryOptions,
  type MemoryState,
} from '@infinigrad/nn';
import { arange, concat, full, ones, tensor, zeros, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { distance } from '../linear-attention/rules.ts';
import { numbers } from '../support.ts';
import { memoryWrittenOut } from './written-out.ts';

import { key, updates, dtype, make, type Drawn, draw, cut, read, apart, randomise } from './support.ts';

const variants: readonly Partial<CompressiveMemoryOptions>[] = [
  {},
  { normalize: 'rmsNorm' },
  { normalize: 'none', decay: 0.5 },
  { gate: 'perChannel', firstSegment: 'local' },
  { gate: 'input' },
  { initState: 'learned' },
  { decay: 0.9 },
  { writeGate: 'sigmoid' },
  { writeGate: 'hard', writeGateMargin: 0.2, eps: 1, epsMode: 'add' },
];

describe.each(updates)('the %s rule', (update) => {
  test.each(variants)('equals the equations written out: %j', (options) =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 15 }),
        fc.integer({ min: 0, max: 1000 }),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        (length, seed, started, padded, mixed) => {
          const memory = randomise(make({ ...options, update }), seed);
          const { local, ...drawn } = draw(length, seed);
          const mask = key.foldIn(seed).uniform([2, length]).lt(0.8);
          const initialState = {
            matrix: key.foldIn(seed + 1).normal([2, 2, 4, 3], { dtype }),
            normalizer: key
              .foldIn(seed + 2)
              .uniform([2, 2, 4], { dtype })
              .add(0.5),
          };
          const given = {
            ...drawn,
            ...(mixed && { local }),
            ...(padded && { mask }),
            ...(started && { initialState }),
          };
          const { q, k, v, ...rest } = given;
          const expected = memoryWrittenOut(memory, memory.stateDict(), given);
          const { output, state } = memory.read(q, k, v, rest);
          // Of padding, nothing is said.
          const said = numbers(
            (padded ? mask : ones([2, length])).reshape([2, 1, length, 1]).expand(output.shape),
          );
          const present = (all: readonly number[]): number[] => all.filter((_, i) => said[i]! > 0);
          expect(distance(present(numbers(output)), present(expected.output))).toBeLessThan(1e-11);
          expect(distance(numbers(state.matrix), expected.matrix)).toBeLessThan(1e-11);
          expect(distance(numbers(state.normalizer), expected.normalizer)).toBeLessThan(1e-11);
        },
      ),
      { numRuns: 12 },
    ),
  );

  test('two segments and then three equal five at once, through states and through a cache', () => {
    const memory = make({ update });
    const all = draw(19);
    const whole = read(memory, all);
    const first = read(memory, cut(all, 0, 8));
    const second = read(memory, cut(all, 8, 11), { initialState: first.state });
    expect(apart(concat([first.output, second.output], 2), whole.output)).toBeLessThan(1e-13);
    expect(apart(second.state.matrix, whole.state.matrix)).toBeLessThan(1e-13);
    const cache = new RecurrentCache<MemoryState>();
    for (const [start, length] of [
      [0, 4],
      [4, 4],
      [8, 11],
    ] as const) {
      const { q, k, v, local } = cut(all, start, length);
      const y = memory.forward(q, k, v, { local, cache });
      expect(apart(y, whole.output.narrow(2, start, length))).toBeLessThan(1e-13);
    }
    expect(() => memory.forward(all.q, all.k, all.v, { cache })).toThrow(
      'stands at 19 tokens, within a segment of 4',
    );
  });

  test('later tokens change no earlier output, and no token reads its own segment', () => {
    const memory = make({ update });
    const all = draw(12);
    const { output } = read(memory, all);
    for (let t = 0; t < 12; t++) {
      const disturbed = arange(12).ge(t).unsqueeze(-1);
      const { q, k, v, local } = all;
      const other = memory.read(q, disturbed.where(k.add(1), k), disturbed.where(v.add(1), v), { local });
      const untouched = Math.ceil((t + 1) / 4) * 4;
      expect(apart(other.output.narrow(2, 0, untouched), output.narrow(2, 0, untouched))).toBe(0);
      if (untouched < 12) expect(apart(other.output, output)).toBeGreaterThan(1e-4);
    }
  });

  test('gradients reach the first segment, and stop where they are cut', () => {
    const reach = (options: Partial<CompressiveMemoryOptions>): number[] => {
      const memory = make({ update, ...options });
      const { q, k, v } = draw(16, 1, 1);
      const g = grad((all: Tensor) => memory.read(q, k, all).output.narrow(2, 12, 4).square().sum())(v);
      return numbers(g.square().sum([0, 1, 3]));
    };
    const through = reach({});
    expect(through.slice(0, 12).every((g) => g > 1e-10)).toBe(true);
    expect(through.slice(12).every((g) => g === 0)).toBe(true);
    const twice = reach({ detachEvery: 2 });
    expect(twice.slice(0, 8).every((g) => g === 0)).toBe(true);
    expect(twice.slice(8, 12).every((g) => g > 1e-10)).toBe(true);
    expect(reach({ detachEvery: 1 }).every((g) => g === 0)).toBe(true);
  });

  test('passes gradcheck through three segments, into the state it starts from', () => {
    const { q, k, v } = draw(6, 2, 1);
    const memory = make({ update, segmentLength: 2 });
    const state = [full([1, 2, 4, 3], 0.3, { dtype }), full([1, 2, 4], 2, { dtype })];
    gradcheck(
      (...[a, b, c, matrix, normalizer]) => {
        const { output, state: after } = memory.read(a!, b!, c!, {
          initialState: { matrix: matrix!, normalizer: normalizer! },
        });
        return output.sum().add(after.matrix.square().sum()).add(after.normalizer.sum());
      },
      [q, k, v, ...state],
      { order: 2 },
    );
  });

  test('padding writes nothing, whatever stands there', () => {
    const memory = make({ update, writeGate: 'sigmoid' });
    // Whole segments: no filling up on either side.
    const all = draw(8);
    const junk = Object.fromEntries(
      Object.entries(draw(4, 9) as object as Record<string, Tensor>).map(([name, y]) => [name, y.mul(NaN)]),
    ) as object as Drawn;
    const join = (name: keyof Drawn): Tensor => concat([all[name], junk[name]], name === 'x' ? 1 : 2);
    const mask = arange(12).lt(8).unsqueeze(0).expand([2, 12]);
    const short = read(memory, all);
    const long = memory.read(join('q'), join('k'), join('v'), { local: join('local'), x: join('x'), mask });
    expect(apart(long.state.matrix, short.state.matrix)).toBeLessThan(1e-14);
    expect(apart(long.state.normalizer, short.state.normalizer)).toBeLessThan(1e-14);
    expect(apart(long.output.narrow(2, 0, 8), short.output)).toBeLessThan(1e-14);
  });

  test('takes d_feature (d_value + 1) numbers a head, whatever the length', () => {
    const memory = make({ update, featureMap: 'dpfp' });
    const bytes = (segments: number): number =>
      memoryBytes([read(memory, draw(4 * segments, 1, 1)).state, null]);
    expect(bytes(1)).toBe(8 * (3 + 1) * 2 * 8);
    expect(bytes(16)).toBe(bytes(1));
    expect(bytes(1000)).toBe(bytes(1));
  });

  test('in f32 stays within 1e-4 of f64 over 1,000 segments', () => {
    const memory = make({ update, gate: 'none' });
    const { q, k, v } = draw(4000, 3, 1);
    const [exact, coarse] = [
      memory.read(q, k, v),
      memory.read(...([q, k, v].map((y) => y.cast('f32')) as [Tensor, Tensor, Tensor])),
    ];
    expect(coarse.state.matrix.dtype).toBe('f32');
    expect(apart(coarse.state.matrix, exact.state.matrix)).toBeLessThan(1e-4);
    expect(apart(coarse.output, exact.output)).toBeLessThan(1e-4);
  });

  test('written n times with one binding: linear reads the value, delta half of it from the second time on', () => {
    const [k, v] = [
      featureMap('elu1', key.normal([1, 1, 1, 1, 4], { dtype })),
      key.normal([1, 1, 1, 1, 3], { dtype }),
    ];
    const { settings } = make({ update });
    for (const times of [1, 2, 3, 7]) {
      const repeated = (y: Tensor): Tensor => y.expand([1, 1, times, 1, y.shape[4]!]);
      const empty = { matrix: zeros([1, 1, 4, 3], { dtype }), normalizer: zeros([1, 1, 4], { dtype }) };
      const { last } = walkMemory(settings, repeated(k), repeated(k), repeated(v), empty);
      const y = retrieveMemory(settings, k.select(2, 0), last.matrix, last.normalizer);
      expect(apart(y, v.select(2, 0).mul(update === 'delta' && times > 1 ? 0.5 : 1))).toBeLessThan(1e-14);
    }
  });
});

describe('what the rules do', () => {
  test('linear: reads 1 wherever all values are 1', () => {
    const memory = make();
    const { q, k } = draw(12);
    const y = memory.read(q, k, ones([2, 2, 12, 3], { dtype })).output.narrow(2, 4, 8);
    expect(apart(y, ones(y.shape, { dtype }))).toBeLessThan(1e-13);
  });

  test('linear: states do not depend on how the text was cut; delta: they do', () => {
    const state = (update: 'linear' | 'delta', segmentLength: number): MemoryState =>
      read(make({ update, segmentLength }), draw(16)).state;
    for (const n of [1, 2, 8, 16]) {
      expect(apart(state('linear', n).matrix, state('linear', 4).matrix)).toBeLessThan(1e-13);
      expect(apart(state('delta', n).normalizer, state('linear', 4).normalizer)).toBeLessThan(1e-13);
    }
    expect(apart(state('delta', 1).matrix, state('delta', 8).matrix)).toBeGreaterThan(0.05);
  });

  test('in one segment delta is linear', () => {
    const [a, b] = updates.map((update) => read(make({ update, segmentLength: 16 }), draw(16)));
    expect(apart(a!.state.matrix, b!.state.matrix)).toBeLessThan(1e-15);
  });

  test('linear: a read is quadratic linear attention under the strict segment mask', () => {
    const { q, k, v } = draw(16);
    const segment = arange(16).floorDivide(4);
    const earlier = segment.unsqueeze(0).lt(segment.unsqueeze(1));
    const overlap = earlier.where(featureMap('elu1', q).matmul(featureMap('elu1', k).transpose()), 0);
    const expected = overlap.matmul(v).div(overlap.sum(-1, true).maximum(1e-6));
    expect(apart(make().read(q, k, v).output, expected)).toBeLessThan(1e-14);
  });

  test('running sums give what the walk gives', () => {
    const { k, v } = draw(12);
    const split = (y: Tensor): Tensor => y.reshape([2, 2, 3, 4, y.shape[3]!]);
    const [keys, values] = [split(featureMap('elu1', k)), split(v)];
    const initial = { matrix: ones([2, 2, 4, 3], { dtype }), normalizer: ones([2, 2, 4], { dtype }) };
    const { settings } = make();
    const [sums, walk] = [true, false].map((prefixSums) =>
      walkMemory({ ...settings, prefixSums }, keys, keys, values, initial),
    );
    expect(apart(sums!.matrices, walk!.matrices)).toBeLessThan(1e-14);
    expect(apart(sums!.normalizers, walk!.normalizers)).toBeLessThan(1e-14);
    expect(apart(sums!.last.matrix, walk!.last.matrix)).toBeLessThan(1e-14);
    expect(apart(sums!.last.normalizer, walk!.last.normalizer)).toBeLessThan(1e-14);
  });

  test('nothing is carried of the order inside a segment', () => {
    const { q, k, v } = draw(12);
    const order = tensor([2, 0, 3, 1, 4, 5, 6, 7, 8, 9, 10, 11], { dtype: 'i32' });
    const after = (a: Tensor, b: Tensor): Tensor => make().read(q, a, b).output.narrow(2, 4, 8);
    expect(apart(after(k, v), after(k.indexSelect(2, order), v.indexSelect(2, order)))).toBeLessThan(1e-14);
  });

  test("an empty memory is weighed in, or with firstSegment 'local' left out to the bit", () => {
    const all = draw(4);
    expect(
      apart(read(make({ gateInit: 0.7 }), all).output, all.local.mul(1 - 1 / (1 + Math.exp(-0.7)))),
    ).toBeLessThan(1e-15);
    expect(apart(read(make({ gateInit: 0.7, firstSegment: 'local' }), all).output, all.local)).toBe(0);
  });

  test('a shut hard write gate leaves the state as it was, to the bit', () => {
    const memory = make({ writeGate: 'hard' });
    const before = read(memory, draw(8)).state;
    memory.writeGate!.bias!.assign(full([2], -5, { dtype }));
    const { state, writeLogits } = read(memory, draw(40, 5), { initialState: before });
    expect(apart(state.matrix, before.matrix)).toBe(0);
    expect(apart(state.normalizer, before.normalizer)).toBe(0);
    expect(numbers(writeLogits!)).toEqual(new Array<number>(2 * 2 * 40).fill(-5));
    expect(numbers(writeOpenness(tensor([-5, 0, 5]), 'hard', 0.5))).toEqual([0, 0.5, 1]);
  });

  test('16-bit text is remembered in f32, and any in the dtype told', () => {
    const { q, k, v } = draw(8);
    const half = [q, k, v].map((y) => y.cast('bf16')) as [Tensor, Tensor, Tensor];
    const { output, state } = make({ gate: 'none' }).read(...half);
    expect([output.dtype, state.matrix.dtype, state.normalizer.dtype]).toEqual(['bf16', 'f32', 'f32']);
    const single = [q, k, v].map((y) => y.cast('f32')) as [Tensor, Tensor, Tensor];
    const wide = make({ memoryDtype: 'f64', gate: 'none', initState: 'learned' }, key).read(...single);
    expect([wide.output.dtype, wide.state.matrix.dtype]).toEqual(['f32', 'f64']);
  });

  test('every feature map has the dimensions it says', () => {
    for (const kind of ['relu', 'softmax', { name: 'dpfp', nu: 3 }, 'taylor', 'hedgehog'] as const) {
      const { state, output } = read(make({ featureMap: kind }), draw(8));
      expect(state.matrix.shape).toEqual([2, 2, featureDim(kind, 4), 3]);
      expect(numbers(output).every(Number.isFinite)).toBe(true);
    }
  });
});
