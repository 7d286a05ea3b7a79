/** What types forbid and JavaScript lets through: refused by name, not computed with. */
import {
  arange,
  cartesianProd,
  concat,
  DTypeError,
  einsum,
  full,
  Key,
  meshgrid,
  ShapeError,
  stack,
  tensor,
  ValueError,
  where,
  zeros,
  type InfinigradError,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';

/** A value of a type that it has not. */
const loose = (value: unknown): never => value as never;
const x = arange(6, { dtype: 'f32' }).reshape([2, 3]);
const image = zeros([1, 1, 4, 4]);

type Row = [string, () => unknown, new (...args: never[]) => InfinigradError];
const rows: Row[] = [
  [
    "add: input 1 must be a tensor or a number, not the text '1': [2, 3] f32",
    () => x.add(loose('1')),
    DTypeError,
  ],
  [
    'add: input 1 must be a tensor or a number, not an array: [2, 3] f32. Hint: tensor()',
    () => x.add(loose([1])),
    DTypeError,
  ],
  ['add: input 1 must be a tensor or a number, not undefined', () => x.add(loose(undefined)), DTypeError],
  ['add: input 1 must be a tensor or a number, not null', () => x.add(loose(null)), DTypeError],
  ['matmul: input 1 must be a tensor or a number, not an array', () => x.matmul(loose([[1]])), DTypeError],
  ['gather: input 1 must be a tensor or a number, not an array', () => x.gather(0, loose([[0]])), DTypeError],
  [
    'where: input 2 must be a tensor or a number, not undefined',
    () => where(x.gt(0), x, loose(undefined)),
    DTypeError,
  ],
  ['concat: needs an array of tensors, not a Tensor', () => concat(loose(x)), DTypeError],
  ['concat: input 1 must be a tensor or a number, not an object', () => concat([x, loose({})]), DTypeError],
  ['stack: tensors must come in an array, not as a Tensor', () => stack(loose(x)), ValueError],
  ['meshgrid: vectors must come in an array, not as a Tensor', () => meshgrid(loose(x)), ValueError],
  [
    'cartesianProd: vectors must come in an array, not as a Tensor',
    () => cartesianProd(loose(x)),
    ValueError,
  ],
  ['einsum: needs an equation, then tensors, not an array', () => einsum('ij', loose([x])), ValueError],
  ['einsum: needs an equation, then tensors, not a Tensor', () => einsum(loose(x), loose('ij')), ValueError],
  [
    'zeros: a shape is an array of sizes, not the number 2. Hint: as in [2, 3]',
    () => zeros(loose(2)),
    ShapeError,
  ],
  ['full: a shape is an array of sizes, not the number 1', () => full(loose(1), loose([2])), ShapeError],
  ["full: needs a number or a truth value, not the text '1'", () => full([2], loose('1')), ValueError],
  ['Key.normal: a shape is an array of sizes', () => new Key(0).normal(loose(3)), ShapeError],
  [
    'tensor: ragged nesting: expected a number at depth 1, got a Tensor. Hint: stack()',
    () => tensor([loose(x)]),
    ShapeError,
  ],
  [
    'tensor: ragged nesting: expected a number at depth 1, got the bigint 1n',
    () => tensor([loose(1n)]),
    ShapeError,
  ],
  [
    'reshape: the sizes must come in an array, not as the number 3: [2, 3] f32',
    () => x.reshape(loose(3)),
    ValueError,
  ],
  ['expand: the sizes must come in an array', () => x.expand(loose(3)), ValueError],
  ['permute: the axes must come in an array', () => x.permute(loose(1)), ValueError],
  ['slice: the ranges must come in an array', () => x.slice(loose(0)), ValueError],
  [
    'slice: start, stop and step must come in an array, not as the number 0',
    () => x.slice(loose([0, 1])),
    ValueError,
  ],
  ['pad: the widths must come in an array', () => x.pad(loose(1)), ValueError],
  [
    'pad: the widths of an axis must come in an array, not as the number 1',
    () => x.pad(loose([1, 1])),
    ValueError,
  ],
  ['sum: axes must come in an array, not as an object', () => x.sum(loose({ axis: 0 })), ValueError],
  ["norm: axes must come in an array, not as the text 'fro'", () => x.norm(loose('fro')), ValueError],
  ['sort: axis an object is out of range', () => x.sort(loose({ descending: true })), Error as never],
  [
    'clip: min and max are numbers or null, not a Tensor: [2, 3] f32. Hint: maximum()',
    () => x.clip(loose(x)),
    ValueError,
  ],
  ['at: undefined is no index', () => x.at(loose(undefined)), ValueError],
  ['at: an object is no index', () => x.at(loose({ start: 1 })), ValueError],
  [
    'maxPool2d: kernelSize must come in an array, not as undefined',
    () => image.maxPool2d(loose(undefined)),
    ValueError,
  ],
];

describe('refused', () => {
  it.each(rows)('%s', (says, body, kind) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
});

describe('operators', () => {
  it('that want a number get an error, in place of NaN and false', () => {
    const [a, b] = [loose(x), loose(x)] as [number, number];
    for (const body of [
      () => a * 2,
      () => a - b,
      () => a < b,
      () => +a,
      () => Math.max(a, b),
      () => Number(a),
    ]) {
      expect(body).toThrow(DTypeError);
      expect(body).toThrow(
        'Tensor: a tensor is no number: [2, 3] f32. Hint: methods compute, as in x.mul(2)',
      );
    }
  });
  it('that want text get it', () => {
    expect(`${x}`).toBe(x.format());
    expect('x = ' + String(x)).toBe(`x = ${x.format()}`);
  });
});
