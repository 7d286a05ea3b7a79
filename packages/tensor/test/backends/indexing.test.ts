/** Ops that join, frame, copy and index on the wasm backend, at sizes around every edge of the kernels, in all layouts. */
import {
  apply,
  fromData,
  getBackend,
  IndexError,
  scope,
  type Attrs,
  type DType,
  type OpName,
  type Tensor,
} from '@infinigrad/tensor';
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

const wasm = getBackend('wasm');
const js = getBackend('js');

const dtypes = ['f32', 'f64', 'f16', 'bf16', 'i32', 'u8', 'bool'] as const satisfies DType[];
const sums = ['f32', 'f64', 'i32', 'u8'] as const satisfies DType[];
const sizes = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 130] as const;

interface Operand {
  readonly values: readonly number[];
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly plan: LayoutPlan;
}

/** Numbers as the dtype holds them, quick to make in great numbers. */
function values(count: number, seed: number, dtype: DType, below?: number): number[] {
  let state = seed | 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    const bits = state >>> 8;
    if (below !== undefined) return bits % below;
    if (dtype === 'bool') return bits & 1;
    if (dtype === 'u8') return bits & 255;
    if (dtype === 'i32') return state;
    return Math.fround(state / 2 ** 20);
  });
}

function operand(
  g: Generator,
  shape: readonly number[],
  dtype: DType,
  { below, plain = g(fc.boolean) }: { below?: number; plain?: boolean } = {},
): Operand {
  const plan = plain ? contiguousPlan(shape.length) : drawLayout(g, shape);
  const own = ownShape(shape, plan);
  const count = own.reduce((a, b) => a * b, 1);
  const drawn = values(count, g(fc.integer), dtype, below);
  return { values: spreadValues(drawn, own, shape), shape, dtype, plan };
}

/** Leaves junk in the memory that is next given out for so many bytes. */
function spoil(bytes: number): void {
  scope(() => void fromData(new Uint8Array(bytes).fill(0xa5), [bytes], { backend: wasm }));
}

/** Of the output. */
let expectedBytes = 0;

/** Both backends give the same bits. */
function agree(op: OpName, operands: readonly Operand[], attrs: Attrs = {}): void {
  const [expected, actual] = [js, wasm].map((backend, i): Tensor => {
    const inputs = operands.map((o) => realise(o.values, o.shape, o.dtype, o.plan, backend));
    if (i === 1) spoil(expectedBytes);
    const out = apply(op, inputs, attrs);
    expectedBytes = out.storage.bytes;
    return out;
  }) as [Tensor, Tensor];
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.dtype).toBe(expected.dtype);
  const [got, wanted] = [actual.dataSync(), expected.dataSync()];
  for (let i = 0; i < wanted.length; i++)
    if (!Object.is(got[i], wanted[i]))
      throw new Error(`element ${i} of [${actual.shape.join(', ')}] is ${got[i]}, not ${wanted[i]}`);
}

const size = (): fc.Arbitrary<number> => fc.constantFrom(...sizes);

function shapeOf(g: Generator, rank: number): number[] {
  // Few large axes, or more small ones.
  return Array.from({ length: rank }, () => (rank > 2 ? 1 + g(fc.nat, { max: 8 }) : g(size)));
}

const drawn = (run: (g: Generator) => void, numRuns = 40): void =>
  fc.assert(fc.property(fc.gen(), run), { numRuns });
const rank = (g: Generator): number => 1 + g(fc.nat, { max: 3 });
const axisOf = (g: Generator, shape: readonly number[]): number => g(fc.nat, { max: shape.length - 1 });

describe.each(dtypes)('%s', (dtype) => {
  it('is copied from any layout', () => {
    drawn((g) => agree('clone', [operand(g, shapeOf(g, rank(g)), dtype, { plain: false })]), 80);
  });

  it.each([
    [130, 65],
    [64, 64],
    [3, 300],
    [300, 3],
    [257, 129],
    [16, 1000],
  ])('is transposed: %i × %i', (rows, columns) => {
    const shape = [rows, columns];
    const plan = { ...contiguousPlan(2), order: [1, 0] };
    agree('clone', [{ values: values(rows * columns, 3, dtype), shape, dtype, plan }]);
    const deep = [2, rows, 2, columns];
    agree('clone', [
      {
        values: values(4 * rows * columns, 5, dtype),
        shape: deep,
        dtype,
        plan: { ...contiguousPlan(4), order: [2, 0, 3, 1] },
      },
    ]);
  });

  it('is joined along any axis', () => {
    drawn((g) => {
      const shape = shapeOf(g, rank(g));
      const axis = axisOf(g, shape);
      const parts = Array.from({ length: 1 + g(fc.nat, { max: 2 }) }, () =>
        operand(g, shape.with(axis, g(fc.boolean) ? g(size) : g(fc.nat, { max: 1 })), dtype),
      );
      agree('concat', parts, { axis });
    });
  });

  it('is framed', () => {
    drawn((g) => {
      const shape = shapeOf(g, rank(g));
      const widths = shape.map(() => [g(fc.nat, { max: 5 }), g(fc.nat, { max: 5 })]);
      const x = g(fc.boolean) ? shape : shape.with(axisOf(g, shape), 0);
      agree('pad', [operand(g, x, dtype)], { widths, value: g(fc.nat, { max: 3 }) });
    });
  });

  it('is put into zeros', () => {
    drawn((g) => {
      const shape = shapeOf(g, rank(g));
      const steps = shape.map(() => g(fc.constantFrom, 1, 1, 2, -1, -3));
      const room = shape.map((n, axis) => (n - 1) * Math.abs(steps[axis]!) + 1);
      const before = shape.map(() => g(fc.nat, { max: 3 }));
      agree('unslice', [operand(g, shape, dtype)], {
        shape: room.map((n, axis) => n + before[axis]! + g(fc.nat, { max: 3 })),
        starts: room.map((n, axis) => before[axis]! + (steps[axis]! > 0 ? 0 : n - 1)),
        steps,
      });
    });
  });

  it('is picked by slices', () => {
    drawn((g) => {
      const shape = shapeOf(g, rank(g));
      const axis = axisOf(g, shape);
      const index = operand(g, shapeOf(g, g(fc.nat, { max: 2 })), g(fc.constantFrom, 'i32', 'u8'), {
        below: shape[axis]!,
      });
      agree('indexSelect', [operand(g, shape, dtype), index], { axis });
    });
  });

  it('is picked element by element', () => {
    drawn((g) => {
      const shape = shapeOf(g, rank(g));
      const axis = axisOf(g, shape);
      const picked = shape.map((n, i) => (i === axis ? g(size) : 1 + g(fc.nat, { max: n - 1 })));
      const index = operand(g, picked, g(fc.constantFrom, 'i32', 'u8'), { below: shape[axis]! });
      agree('gather', [operand(g, shape, dtype), index], { axis });
    });
  });
});

describe.each(sums)('%s', (dtype) => {
  it('is added to slices, in order', () => {
    drawn((g) => {
      const shape = shapeOf(g, rank(g));
      const axis = axisOf(g, shape);
      const index = operand(g, shapeOf(g, g(fc.nat, { max: 2 })), g(fc.constantFrom, 'i32', 'u8'), {
        below: shape[axis]!,
      });
      const source = operand(g, [...shape.slice(0, axis), ...index.shape, ...shape.slice(axis + 1)], dtype);
      agree('indexAdd', [operand(g, shape, dtype), index, source], { axis });
    });
  });

  it('is added element by element, in order', () => {
    drawn((g) => {
      const shape = shapeOf(g, rank(g));
      const axis = axisOf(g, shape);
      const picked = shape.map((n, i) => (i === axis ? g(size) : 1 + g(fc.nat, { max: n - 1 })));
      const index = operand(g, picked, g(fc.constantFrom, 'i32', 'u8'), { below: shape[axis]! });
      agree('scatterAdd', [operand(g, shape, dtype), index, operand(g, picked, dtype)], { axis });
    });
  });

  it.each(['scatterMul', 'scatterMax', 'scatterMin'] as const)('meets what comes to it by %s', (op) => {
    drawn((g) => {
      const shape = shapeOf(g, rank(g));
      const axis = axisOf(g, shape);
      const picked = shape.map((n, i) => (i === axis ? g(size) : 1 + g(fc.nat, { max: n - 1 })));
      const index = operand(g, picked, g(fc.constantFrom, 'i32', 'u8'), { below: shape[axis]! });
      agree(op, [operand(g, shape, dtype), index, operand(g, picked, dtype)], { axis });
    });
  });
});

describe.each(dtypes)('%s', (dtype) => {
  it('is written over at indexed places, the last of several to stay', () => {
    drawn((g) => {
      const shape = shapeOf(g, rank(g));
      const axis = axisOf(g, shape);
      const picked = shape.map((n, i) => (i === axis ? g(size) : 1 + g(fc.nat, { max: n - 1 })));
      const index = operand(g, picked, g(fc.constantFrom, 'i32', 'u8'), { below: shape[axis]! });
      agree('scatterSet', [operand(g, shape, dtype), index, operand(g, picked, dtype)], { axis });
    });
  });
  it('is written over in ranges', () => {
    drawn((g) => {
      const shape = shapeOf(g, rank(g));
      const ranges = shape.map((n) => {
        const start = g(fc.nat, { max: n - 1 });
        const step = g(fc.constantFrom, 1, 2, -1, -3);
        return g(fc.boolean) ? [null, null, 1] : [start, null, step];
      });
      const source = shape.map((n, i) => {
        const [start, , step] = ranges[i] as [number | null, null, number];
        return Math.ceil((step > 0 ? n - (start ?? 0) : (start ?? n - 1) + 1) / Math.abs(step));
      });
      agree('sliceScatter', [operand(g, shape, dtype), operand(g, source, dtype)], { ranges });
    });
  });
});

describe('large', () => {
  const [rows, columns, count] = [500, 96, 9000];
  const plain = (shape: number[], dtype: DType, below?: number): Operand => ({
    values: values(
      shape.reduce((a, b) => a * b, 1),
      shape.length + shape[0]!,
      dtype,
      below,
    ),
    shape,
    dtype,
    plan: contiguousPlan(shape.length),
  });

  it('tables are looked up and added to', () => {
    const [table, index] = [plain([rows, columns], 'f32'), plain([count], 'i32', rows)];
    agree('indexSelect', [table, index], { axis: 0 });
    agree('indexAdd', [table, index, plain([count, columns], 'f32')], { axis: 0 });
  });

  it('indices pick and add element by element', () => {
    const table = plain([1500, 100], 'f32');
    for (const axis of [0, 1]) {
      const index = plain([1500, 100], 'i32', axis === 0 ? 1500 : 100);
      agree('gather', [table, index], { axis });
      for (const op of ['scatterAdd', 'scatterSet', 'scatterMul', 'scatterMax'] as const)
        agree(op, [table, index, plain([1500, 100], 'f32')], { axis });
    }
    const [line, places] = [plain([1000], 'f64'), plain([70_000], 'i32', 1000)];
    agree('gather', [line, places], { axis: 0 });
    for (const op of ['scatterAdd', 'scatterSet', 'scatterMul', 'scatterMin'] as const)
      agree(op, [line, places, plain([70_000], 'f64')], { axis: 0 });
  });

  it('tensors are copied in pieces along every axis', () => {
    const three = plain([600, 20, 33], 'f32');
    for (const order of [
      [0, 1, 2],
      [1, 0, 2],
      [2, 1, 0],
      [0, 2, 1],
    ])
      for (const gap of [1, 2])
        agree('clone', [{ ...three, plan: { ...three.plan, order, steps: [1, 1, gap] } }]);
    const line = plain([300_000], 'f32');
    agree('clone', [{ ...line, plan: { ...line.plan, flips: [true] } }]);
    agree('clone', [line]);
  });

  it('tensors are copied, joined and framed', () => {
    for (const dtype of ['f32', 'u8'] as const) {
      const x = plain([700, 301], dtype);
      agree('clone', [x]);
      agree('clone', [{ ...x, plan: { ...x.plan, order: [1, 0] } }]);
      agree('clone', [{ ...x, plan: { ...x.plan, flips: [false, true] } }]);
      agree('concat', [x, x], { axis: 1 });
      agree('pad', [x], {
        widths: [
          [3, 1],
          [0, 7],
        ],
        value: 3,
      });
    }
  });
});

describe('an index out of range', () => {
  const tensor = (data: readonly number[], dtype: DType, shape: readonly number[] = [data.length]): Tensor =>
    realise(data, shape, dtype, contiguousPlan(shape.length), wasm);
  const x = (): Tensor => tensor([1, 2, 3, 4, 5, 6], 'f32', [2, 3]);

  it.each([
    ['indexSelect', [0, 1, 2, 5], 'i32', 2],
    ['indexSelect', [1, 1, 1, 1, 0, -1], 'i32', -1],
    ['indexSelect', [0, 200], 'u8', 200],
    ['gather', [0, 1, 0, 0, 7, 8], 'i32', 7],
    ['scatterAdd', [0, 1, 0, 0, -7, 8], 'i32', -7],
    ['scatterSet', [0, 1, 0, 0, -7, 8], 'i32', -7],
    ['indexAdd', [0, 1, 0, 0, 2 ** 30, 8], 'i32', 2 ** 30],
  ] as const)('%s of %j in %s', (op, index, dtype, named) => {
    const scatters = op === 'scatterAdd' || op === 'scatterSet';
    const pickedByElement = op === 'gather' || scatters;
    const at = tensor(index, dtype, pickedByElement ? [2, 3] : [index.length]);
    const source = pickedByElement
      ? x()
      : tensor(new Array<number>(index.length * 3).fill(1), 'f32', [index.length, 3]);
    const inputs = op === 'indexAdd' || scatters ? [x(), at, source] : [x(), at];
    const call = (): Tensor => apply(op, inputs, { axis: 0 });
    expect(call).toThrow(IndexError);
    expect(call).toThrow(`${op}: index ${named} is out of range for an axis of size 2`);
  });

  it('is found after many that are not', () => {
    const index = new Array<number>(100_000).fill(1);
    index[99_998] = 2;
    expect(() => x().indexSelect(0, tensor(index, 'i32'))).toThrow('index 2 is out of range');
  });
});
