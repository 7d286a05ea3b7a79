/** Making tensors of given elements: what comes out, in which dtype, on which backend, and what is refused. */
import {
  arange,
  backendNames,
  currentBackend,
  DTypeError,
  dtypes,
  eye,
  fromData,
  full,
  fullLike,
  getBackend,
  linspace,
  ones,
  scalar,
  setBackend,
  ShapeError,
  tensor,
  ValueError,
  withBackend,
  zeros,
  type DType,
  type NestedArray,
  type Tensor,
} from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from './support.ts';
import { expectRefused, facts, list } from './creation-support.ts';

const arrays = { f32: Float32Array, f64: Float64Array, i32: Int32Array, u8: Uint8Array } as const;

describe('tensor', () => {
  it('takes the shape of the nesting, row by row', () => {
    expect(facts(tensor(5))).toEqual(['f32', [], [5]]);
    expect(facts(tensor([1, 2, 3]))).toEqual(['f32', [3], [1, 2, 3]]);
    expect(facts(tensor([[[1, 2]], [[3, 4]], [[5, 6]]]))).toEqual(['f32', [3, 1, 2], [1, 2, 3, 4, 5, 6]]);
  });
  it('gives back what it was made of', () => {
    const shapes = fc.array(fc.nat(3), { maxLength: 4 });
    const law = fc.property(shapes, fc.nat(), (shape, seed) => {
      let next = seed % 100;
      const build = (axis: number): NestedArray =>
        axis === shape.length ? next++ : Array.from({ length: shape[axis]! }, () => build(axis + 1));
      const values = build(0);
      const x = tensor(values, { dtype: 'i32' });
      expect(x.toArraySync()).toEqual(values);
      // What follows an axis of size 0 cannot be seen in the nesting.
      const cut = shape.indexOf(0);
      expect(x.shape).toEqual(cut < 0 ? shape : shape.slice(0, cut + 1));
    });
    fc.assert(law, { numRuns: runs });
  });
  it('of nothing is empty', () => {
    expect(facts(tensor([]))).toEqual(['f32', [0], []]);
    expect(facts(tensor([[], []]))).toEqual(['f32', [2, 0], []]);
    expect(facts(tensor([], { dtype: 'bool' }))).toEqual(['bool', [0], []]);
  });
  it('makes f32 of numbers, bool of truth values, f32 of both together', () => {
    expect(facts(tensor([1, 2.5]))).toEqual(['f32', [2], [1, 2.5]]);
    expect(facts(tensor([0.1]))).toEqual(['f32', [1], [Math.fround(0.1)]]);
    expect(facts(tensor([true, false]))).toEqual(['bool', [2], [1, 0]]);
    expect(facts(tensor(true))).toEqual(['bool', [], [1]]);
    expect(facts(tensor([true, 2]))).toEqual(['f32', [2], [1, 2]]);
  });
  it('takes the dtype it is told', () => {
    expect(facts(tensor([0.1], { dtype: 'f64' }))).toEqual(['f64', [1], [0.1]]);
    expect(facts(tensor([1.9, -1.9], { dtype: 'i32' }))).toEqual(['i32', [2], [1, -1]]);
    expect(facts(tensor([0, 0.5, -3, NaN], { dtype: 'bool' }))).toEqual(['bool', [4], [0, 1, 1, 1]]);
    expect(facts(tensor([true, false], { dtype: 'u8' }))).toEqual(['u8', [2], [1, 0]]);
  });
  it.each(Object.entries(arrays))('keeps the kind of a typed array, %s', (dtype, Kind) => {
    expect(facts(tensor(Kind.from([1, 2, 3])))).toEqual([dtype, [3], [1, 2, 3]]);
    expect(facts(tensor(Kind.from([0, 2]), { dtype: 'f64' }))).toEqual(['f64', [2], [0, 2]]);
    expect(facts(tensor(Kind.from([0, 2]), { dtype: 'bool' }))).toEqual(['bool', [2], [0, 1]]);
  });
  it('keeps NaN, infinities and the sign of zero', () => {
    for (const dtype of ['f32', 'f64'] as const)
      expect(list(tensor([NaN, Infinity, -Infinity, -0, 0], { dtype }))).toEqual([
        NaN,
        Infinity,
        -Infinity,
        -0,
        0,
      ]);
  });
  it('copies: what happens to the source later is its own affair', () => {
    const data = Float32Array.of(1, 2);
    const x = tensor(data);
    const y = fromData(data, [2, 1]);
    data[0] = 9;
    expect([list(x), list(y)]).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  const ragged: [string, unknown, string][] = [
    ['a longer row', [[1], [2, 3]], 'tensor: ragged nesting: expected 1 values at depth 1, got 2'],
    ['a shorter row', [[1, 2], [3]], 'expected 2 values at depth 1, got 1'],
    ['a full row after an empty one', [[], [1]], 'expected 0 values at depth 1, got 1'],
    ['a number among rows', [[1, 2], 3], 'expected 2 values at depth 1, got a scalar'],
    ['a row among numbers', [1, [2]], 'tensor: ragged nesting: expected a number at depth 1'],
    [
      'raggedness deep inside',
      [
        [[1], [2]],
        [[3], [4, 5]],
      ],
      'expected 1 values at depth 2, got 2',
    ],
    ['nothing', null, 'expected a number at depth 0'],
    ['a hole', [1, undefined], 'expected a number at depth 1'],
    ['text', ['1'], 'expected a number at depth 1'],
    ['tensors', [tensor([1])], 'expected a number at depth 1'],
  ];
  it.each(ragged)('refuses %s', (_, values, says) =>
    expectRefused(() => tensor(values as NestedArray), ShapeError, says),
  );
});

describe('fromData', () => {
  it.each(Object.entries(arrays))('puts row-major data under a shape, %s', (dtype, Kind) => {
    expect(facts(fromData(Kind.from([1, 2, 3, 4, 5, 6]), [2, 3]))).toEqual([
      dtype,
      [2, 3],
      [1, 2, 3, 4, 5, 6],
    ]);
    expect(facts(fromData(Kind.of(7), []))).toEqual([dtype, [], [7]]);
    expect(facts(fromData(Kind.of(), [0, 4]))).toEqual([dtype, [0, 4], []]);
  });
  it('converts to the dtype it is told', () => {
    expect(facts(fromData(Float64Array.of(0.1, 2), [2], { dtype: 'f32' }))).toEqual([
      'f32',
      [2],
      [Math.fround(0.1), 2],
    ]);
    expect(facts(fromData(Uint8Array.of(0, 7), [2], { dtype: 'bool' }))).toEqual(['bool', [2], [0, 1]]);
    expect(facts(fromData(Float64Array.of(-0, 0.25, NaN), [3], { dtype: 'bool' }))).toEqual([
      'bool',
      [3],
      [0, 1, 1],
    ]);
  });
  it('takes its own copy of the shape', () => {
    const shape = [2, 1];
    const x = fromData(Float32Array.of(1, 2), shape);
    shape[0] = 1;
    expect(x.shape).toEqual([2, 1]);
  });
  it('refuses data that does not fill the shape, and shapes that are none', () => {
    const data = Float32Array.of(1, 2, 3);
    expectRefused(() => fromData(data, [2]), ShapeError, 'fromData: 3 elements do not fill the shape [2]');
    expectRefused(() => fromData(data, []), ShapeError, '3 elements do not fill the shape []');
    expectRefused(() => fromData(data, [-3]), ShapeError, 'fromData: sizes must be integers ≥ 0, got [-3]');
    expectRefused(() => fromData(data, [1.5, 2]), ShapeError, 'got [1.5, 2]');
  });
});

describe('scalar', () => {
  it('is a tensor of rank 0, in any dtype', () => {
    expect(facts(scalar(2.5, 'f64'))).toEqual(['f64', [], [2.5]]);
    expect(facts(scalar(0.1, 'f32'))).toEqual(['f32', [], [Math.fround(0.1)]]);
    expect(facts(scalar(true, 'i32'))).toEqual(['i32', [], [1]]);
    expect(facts(scalar(7, 'bool'))).toEqual(['bool', [], [1]]);
    expect(facts(scalar(-1.5, 'i32'))).toEqual(['i32', [], [-1]]);
  });
  it('tells apart what differs, however often it is asked', () => {
    const values = [0, -0, NaN, Infinity, -Infinity, 1, 1.5, 1e21, 5e-324];
    for (let time = 0; time < 2; time++)
      for (const dtype of ['f64', 'f32', 'i32'] as const)
        for (const value of values) {
          if (dtype === 'i32' && !(Math.abs(value) < 2 ** 31)) continue;
          const held = { f64: value, f32: Math.fround(value), i32: value | 0 }[dtype];
          const x = scalar(value, dtype);
          expect([x.dtype, x.itemSync()]).toEqual([dtype, held]);
        }
    expect(
      [tensor([1], { dtype: 'f64' }).div(0), tensor([1], { dtype: 'f64' }).div(-0)].flatMap(list),
    ).toEqual([Infinity, -Infinity]);
  });
  it('stays right for more values than are kept', () => {
    const values = Array.from({ length: 1000 }, (_, i) => i / 7);
    for (const value of [...values, ...values]) expect(scalar(value, 'f64').itemSync()).toBe(value);
  });
  it('is made once for each backend', () => {
    for (const name of backendNames()) {
      const backend = getBackend(name);
      expect(scalar(3, 'f32', backend).backend).toBe(backend);
      withBackend(name, () => expect(scalar(3, 'f32').backend).toBe(backend));
    }
  });
});

describe('dtype and backend', () => {
  type Options = { dtype?: DType; backend?: ReturnType<typeof getBackend> };
  const makers: Record<string, (options: Options) => Tensor> = {
    tensor: (options) => tensor([[1], [0]], options),
    'tensor of a typed array': (options) => tensor(Float32Array.of(1, 0), options),
    fromData: (options) => fromData(Int32Array.of(1, 0), [2], options),
    full: (options) => full([2], 1, options),
    zeros: (options) => zeros([2], options),
    ones: (options) => ones([2], options),
    arange: (options) => arange(0, 2, 1, options),
    linspace: (options) => linspace(0, 1, 2, options),
    eye: (options) => eye(2, 2, options),
  };
  it.each(Object.entries(makers))('%s makes every dtype, and refuses others by name', (name, make) => {
    for (const dtype of dtypes) {
      const x = make({ dtype });
      expect(x.dtype).toBe(dtype);
      expect(list(x).every((v) => v === 0 || v === 1)).toBe(true);
    }
    const op = name === 'tensor of a typed array' ? 'fromData' : name;
    for (const dtype of ['f8', 'toString', 3])
      expectRefused(
        () => make({ dtype: dtype as DType }),
        DTypeError,
        `${op}: '${dtype}' is not a dtype. Hint: one of bool, u8, i32, f16, bf16, f32, f64`,
      );
  });
  it.each(Object.entries(makers))('%s goes to the backend it is told, else to the current one', (_, make) => {
    for (const name of backendNames()) {
      expect(make({ backend: getBackend(name) }).backend.name).toBe(name);
      expect(withBackend(name, () => make({})).backend.name).toBe(name);
    }
  });
  it('the current backend is set, borrowed, and given back on exceptions', () => {
    const before = currentBackend();
    const other = backendNames().find((name) => name !== before.name)!;
    setBackend(other);
    expect([currentBackend().name, tensor([1]).backend.name]).toEqual([other, other]);
    setBackend(before.name);
    expect(() =>
      withBackend(other, () => {
        expect(currentBackend().name).toBe(other);
        throw new RangeError('of the body');
      }),
    ).toThrow('of the body');
    expect(currentBackend()).toBe(before);
    expect(() => getBackend('abacus')).toThrow(
      `getBackend: there is no backend 'abacus'. Hint: at hand: ${backendNames().join(', ')}`,
    );
    expect(() => withBackend('abacus', () => 1)).toThrow('no backend');
    expect(currentBackend()).toBe(before);
  });
});

describe('corners', () => {
  it('linspace ends where it should, to the bit', () => {
    expect(linspace(0.3, 0.9, 5, { dtype: 'f64' }).dataSync().at(-1)).toBe(0.9);
  });
  it('arange beyond i32 counts in f32', () => {
    expect(facts(arange(2 ** 31, 2 ** 31 + 512, 256))).toEqual(['f32', [2], [2 ** 31, 2 ** 31 + 256]]);
  });
  it('typed arrays that are no kind of tensor are refused', () => {
    expect(() => fromData(Int8Array.of(-1) as never, [1])).toThrow('a Int8Array is no kind of tensor');
  });
  it('what becomes of one scalar is not seen through another', () => {
    const one = scalar(3.25, 'f64');
    one.attachment = { mine: true };
    expect(scalar(3.25, 'f64').attachment).toBeUndefined();
  });
});

describe('numbers that an integer dtype does not hold', () => {
  const makers: [string, (value: number, dtype: DType) => Tensor][] = [
    ['tensor', (value, dtype) => tensor([0, value], { dtype })],
    ['fromData', (value, dtype) => fromData(Float64Array.of(value), [1], { dtype })],
    ['full', (value, dtype) => full([2], value, { dtype })],
    ['fullLike', (value, dtype) => fullLike(zeros([2], { dtype }), value)],
    ['scalar', (value, dtype) => scalar(value, dtype)],
    ['add', (value) => zeros([2], { dtype: 'i32' }).add(value)],
  ];
  const bounds = { i32: [-(2 ** 31), 2 ** 31 - 1], u8: [0, 255] } as const;
  it.each(makers)('%s refuses', (op, make) => {
    for (const dtype of ['i32', 'u8'] as const) {
      if (op === 'add' && dtype === 'u8') continue;
      const [low, high] = bounds[dtype];
      for (const value of [low, high]) expect(list(make(value, dtype))).toContain(value);
      for (const value of op === 'add' ? [low - 1, high + 1] : [low - 1, high + 1, NaN, Infinity, -Infinity])
        expectRefused(
          () => make(value, dtype),
          ValueError,
          `${op}: ${dtype} does not hold ${value}. Hint: it holds ${low} … ${high}`,
        );
    }
  });
  it('fractions are cut off, at the ends too', () => {
    expect(list(tensor([255.9, -0.9], { dtype: 'u8' }))).toEqual([255, 0]);
    expect(list(tensor([2 ** 31 - 0.5, -(2 ** 31) - 0.5], { dtype: 'i32' }))).toEqual([
      2 ** 31 - 1,
      -(2 ** 31),
    ]);
  });
  it('what arange and linspace count up to counts too', () => {
    expectRefused(() => arange(257, { dtype: 'u8' }), ValueError, 'arange: u8 does not hold 256');
    expectRefused(() => linspace(0, -1, 2, { dtype: 'u8' }), ValueError, 'linspace: u8 does not hold -1');
  });
});

describe('options', () => {
  it('come last, after however many numbers there are', () => {
    const f64 = { dtype: 'f64' } as const;
    expect([arange(2, f64), arange(1, 3, f64), arange(1, 6, 3, f64)].map(facts)).toEqual([
      ['f64', [2], [0, 1]],
      ['f64', [2], [1, 2]],
      ['f64', [2], [1, 4]],
    ]);
    expect([eye(1, f64), eye(1, 2, f64), eye(1, undefined, f64)].map(facts)).toEqual([
      ['f64', [1, 1], [1]],
      ['f64', [1, 2], [1, 0]],
      ['f64', [1, 1], [1]],
    ]);
  });
});
