/** Methods: every op and composition is there, and plain scalars take the dtype that stands beside them. */
import {
  arange,
  compositions,
  concat,
  dtypes,
  isFloat,
  maximum,
  minimum,
  opNames,
  ops,
  promote,
  recordOf,
  scalarDType,
  tensor,
  Tensor,
  where,
  type DType,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';

const list = (x: Tensor): number[] => Array.from(x.dataSync());
const of = (dtype: DType, ...values: number[]): Tensor => tensor(values, { dtype });
const prototype = Tensor.prototype as unknown as Record<string, unknown>;

describe('the surface', () => {
  it.each(opNames)('%s is a function, and a method unless its record says free', (op) => {
    expect(typeof ops[op]).toBe('function');
    expect(Object.hasOwn(prototype, op)).toBe(recordOf(op).free !== true);
  });
  it.each(Object.keys(compositions))('%s is a method', (name) => {
    expect(typeof prototype[name]).toBe('function');
  });
  it('methods do not show when properties are listed', () => {
    const keys: string[] = [];
    for (const key in tensor([1])) keys.push(key);
    expect(keys.filter((key) => key in ops || key in compositions)).toEqual([]);
  });
  it('a method is the function with the tensor as first argument', () => {
    const [x, y] = [of('f32', 1, 4), of('f32', 2, 3)];
    expect(list(x.sub(y))).toEqual(list(ops.sub(x, y)));
    expect(list(x.clip(2, 3))).toEqual(list(ops.clip(x, 2, 3)));
    expect(list(x.flip(0))).toEqual(list(compositions.flip(x, 0)));
  });
  it('some are functions by name', () => {
    const [x, y] = [of('f32', 1, 4), of('f32', 2, 3)];
    expect(list(concat([x, y]))).toEqual([1, 4, 2, 3]);
    expect(list(concat([x.unsqueeze(0), y.unsqueeze(0)], 1))).toEqual([1, 4, 2, 3]);
    expect(list(where(tensor([true, false]), x, y))).toEqual([1, 3]);
    expect([list(maximum(x, y)), list(minimum(x, y))]).toEqual([
      [2, 4],
      [1, 3],
    ]);
    expect(list(maximum(2, x))).toEqual([2, 4]);
  });
});

describe('scalars beside tensors', () => {
  /** The documented rule, once more: a float tensor keeps its dtype, integers give way to fractions, bool to integers. */
  const rows: [DType, number | boolean, DType][] = [
    ...(['f32', 'f64'] as const).flatMap((dtype) =>
      [1, -1, 0.5, 1e300, NaN, Infinity, true].map((v): [DType, number | boolean, DType] => [
        dtype,
        v,
        dtype,
      ]),
    ),
    ['i32', 1, 'i32'],
    ['i32', -7, 'i32'],
    ['i32', 0.5, 'f32'],
    ['i32', NaN, 'f32'],
    ['i32', Infinity, 'f32'],
    ['i32', true, 'i32'],
    ['u8', 0, 'u8'],
    ['u8', 255, 'u8'],
    ['u8', 256, 'i32'],
    ['u8', -1, 'i32'],
    ['u8', 1.5, 'f32'],
    ['u8', false, 'u8'],
    ['bool', true, 'bool'],
    ['bool', 1, 'i32'],
    ['bool', 0, 'i32'],
    ['bool', 0.5, 'f32'],
  ];
  it.each(rows)('beside %s, %s takes %s', (beside, value, expected) => {
    expect(scalarDType(value, beside)).toBe(expected);
    const x = of(beside, 1);
    // where promotes to the higher of the two and nothing else, so its dtype shows that of the scalar.
    const both = promote(beside, expected);
    expect(where(tensor([true]), x, value).dtype).toBe(both);
    expect(where(tensor([true]), value, x).dtype).toBe(both);
  });
  it('is exact in the dtype it takes', () => {
    expect(of('f64', 1).add(0.1).itemSync()).toBe(1.1);
    expect(of('f32', 0).add(0.1).itemSync()).toBe(Math.fround(0.1));
    expect(of('f32', 1).mul(1e300).itemSync()).toBe(Infinity);
    expect(of('f64', 1).mul(1e300).itemSync()).toBe(1e300);
    expect(
      of('i32', 2 ** 30)
        .mul(2)
        .itemSync(),
    ).toBe(-(2 ** 31));
  });
  it('keeps the sign of zero and NaN', () => {
    expect(list(of('f64', 1).div(-0))).toEqual([-Infinity]);
    expect(list(of('f64', 1).div(0))).toEqual([Infinity]);
    expect(list(of('f64', 0).mul(-0))).toEqual([-0]);
    expect(list(of('f64', 1).add(NaN))).toEqual([NaN]);
  });
  it('divides and raises in floats where the op does', () => {
    expect(
      [of('i32', 7).div(2), of('i32', 7).floorDivide(2), of('i32', 7).pow(2)].map((x) => [
        x.dtype,
        ...list(x),
      ]),
    ).toEqual([
      ['f32', 3.5],
      ['i32', 3],
      ['i32', 49],
    ]);
  });
  it('compares without changing what it compares', () => {
    expect(list(of('u8', 5, 200).lt(-1))).toEqual([0, 0]);
    expect(list(of('u8', 5, 200).gt(100.5))).toEqual([0, 1]);
    expect(list(of('i32', 1, 2).eq(1.5))).toEqual([0, 0]);
    expect(list(tensor([true, false]).eq(true))).toEqual([1, 0]);
  });
  it('two scalars meet as f32, or as bool', () => {
    const condition = tensor([true, false]);
    expect([where(condition, 1, 2).dtype, where(condition, true, false).dtype]).toEqual(['f32', 'bool']);
    // The condition has no say in the dtype of the result.
    expect(list(where(condition, 0.5, 3))).toEqual([0.5, 3]);
  });
});

describe('tensors of two dtypes', () => {
  const order: readonly DType[] = ['bool', 'u8', 'i32', 'f16', 'bf16', 'f32', 'f64'];
  it('meet in the higher one, whichever comes first; f16 and bf16, neither of which is, in f32', () => {
    expect([...dtypes]).toEqual(order);
    order.forEach((a, i) =>
      order.forEach((b, j) => {
        const beside = [a, b].includes('f16') && [a, b].includes('bf16');
        const higher = beside ? 'f32' : order[Math.max(i, j)]!;
        expect(promote(a, b)).toBe(higher);
        expect(where(tensor([true]), of(a, 1), of(b, 0)).dtype).toBe(higher);
        expect(of(a, 1).add(of(b, 1)).dtype).toBe(higher === 'bool' ? 'i32' : higher);
        expect(of(a, 1).div(of(b, 1)).dtype).toBe(isFloat(higher) ? higher : 'f32');
        expect(of(a, 1).eq(of(b, 1)).dtype).toBe('bool');
      }),
    );
  });
  it('keep their own elements', () => {
    const x = of('u8', 200);
    x.add(of('f64', 0.5));
    expect([x.dtype, list(x)]).toEqual(['u8', [200]]);
    expect(arange(3).mul(of('f32', 0.5)).dtype).toBe('f32');
  });
});
