/** Shapes known to the compiler. This file is compiled, never run: what must not compile is marked, and must be. */
import { fromData, Key, ones, tensor, zeros, type Shape, type Tensor } from '@infinigrad/tensor';
import type { Multiply } from '../../src/types/numbers.ts';

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : { got: A; wanted: B };
const is = <T extends true>(): T | void => undefined;
type Is<T extends Tensor<Shape>, S extends Shape> =
  T extends Tensor<infer Own> ? Same<Mutable<Own>, S> : never;
type Mutable<S extends Shape> = { -readonly [I in keyof S]: S[I] };
type Any = number[];

// Products of literals.
is<Same<Multiply<0, 7>, 0>>();
is<Same<Multiply<12, 12>, 144>>();
is<Same<Multiply<768, 3072>, 2359296>>();
is<Same<Multiply<99999, 99999>, 9999800001>>();
is<Same<Multiply<number, 3>, number>>();

const a = zeros([2, 3] as const);
const b = ones([3, 4] as const);
const batch = new Key(0).normal([8, 1, 2, 3] as const);
const plain = zeros([2, 3]);
const sizes: number[] = [2, 3];
const known = zeros(sizes);

// Literal tuples are known, plain arrays are not.
is<Is<typeof a, [2, 3]>>();
is<Is<typeof plain, Any>>();
is<Is<typeof known, Any>>();
is<Same<(typeof a)['shape'][1], 3>>();
const nested = tensor([
  [1, 2, 3],
  [4, 5, 6],
] as const);
is<Is<typeof nested, [2, 3]>>();
const loose = tensor([
  [1, 2, 3],
  [4, 5, 6],
]);
is<Is<typeof loose, Any>>();
const data = fromData(new Float32Array(6), [3, 2] as const);
is<Is<typeof data, [3, 2]>>();

// Any known shape is a tensor; a function of tensors takes it.
const total = (x: Tensor): Tensor => x.sum();
total(a);
let changing: Tensor = a;
changing = b;
total(changing);
const matrix: Tensor<readonly [number, number]> = a;
// @ts-expect-error a vector is no matrix
const vector: Tensor<readonly [number]> = a;

// Element by element.
const negated = a.neg();
is<Is<typeof negated, [2, 3]>>();
const sum = a.add(1).mul(tensor([1, 2, 3] as const));
is<Is<typeof sum, [2, 3]>>();
const stretched = a.sub(batch);
is<Is<typeof stretched, [8, 1, 2, 3]>>();
const column = zeros([2, 1] as const).maximum(zeros([3] as const));
is<Is<typeof column, [2, 3]>>();
const compared = a.lt(plain);
is<Is<typeof compared, Any>>();
const softened = a.softmax(-1).cast('f64').clip(0, 1);
is<Is<typeof softened, [2, 3]>>();
// @ts-expect-error [2, 3] and [3, 4] do not broadcast
a.add(b);
// @ts-expect-error [2, 3] and [2] do not broadcast
a.mul(zeros([2] as const));

// Matrix products.
const product = a.matmul(b);
is<Is<typeof product, [2, 4]>>();
const batched = batch.matmul(zeros([5, 3, 7] as const));
is<Is<typeof batched, [8, 5, 2, 7]>>();
const mapped = a.matmul(zeros([3] as const));
is<Is<typeof mapped, [2]>>();
const scalarProduct = zeros([3] as const).matmul(ones([3] as const));
is<Is<typeof scalarProduct, []>>();
const open = a.matmul(plain);
is<Is<typeof open, Any>>();
// @ts-expect-error the inner sizes differ
a.matmul(zeros([2, 4] as const));
// @ts-expect-error the inner sizes differ
b.matmul(a);
// @ts-expect-error the batches do not broadcast
batch.matmul(zeros([3, 5, 3, 7] as const).expand([3, 5, 3, 7]) && zeros([3, 2, 3, 7] as const));

// Reshaping.
const reshaped = a.reshape([3, 2]);
is<Is<typeof reshaped, [3, 2]>>();
const merged = zeros([8, 128, 12, 64] as const).reshape([8, 128, 768]);
is<Is<typeof merged, [8, 128, 768]>>();
const worked = a.reshape([-1, 2]);
is<Is<typeof worked, [number, 2]>>();
const free = plain.reshape([3, 2]);
is<Is<typeof free, Any>>();
// @ts-expect-error 6 elements are not 8
a.reshape([2, 4]);
// @ts-expect-error 786432 elements are not 786,431
zeros([8, 128, 12, 64] as const).reshape([8, 128, 767]);

// Axes in another order.
const turned = a.transpose();
is<Is<typeof turned, [3, 2]>>();
const swapped = batch.transpose(0, -1);
is<Is<typeof swapped, [3, 1, 2, 8]>>();
const permuted = batch.permute([1, 3, 0, 2]);
is<Is<typeof permuted, [1, 3, 8, 2]>>();
const wider = a.unsqueeze(1).unsqueeze(-1).unsqueeze(0);
is<Is<typeof wider, [1, 2, 1, 3, 1]>>();
// @ts-expect-error there is no axis 2
a.transpose(0, 2);
// @ts-expect-error the order names two axes of four
batch.permute([1, 0]);

// Reductions.
const all = a.sum();
is<Is<typeof all, []>>();
const rows = batch.mean(-1);
is<Is<typeof rows, [8, 1, 2]>>();
const kept = batch.max([0, -1], true);
is<Is<typeof kept, [1, 1, 2, 1]>>();
const whole = a.sum(undefined, true);
is<Is<typeof whole, [1, 1]>>();
const any = plain.sum(0);
is<Is<typeof any, Any>>();
// @ts-expect-error there is no axis 2
a.sum(2);
// @ts-expect-error there is no axis -3
a.sum(-3);
declare const axis: number;
const unknownAxis = a.sum(axis);
is<Is<typeof unknownAxis, Any>>();

// A size known only at run time.
declare const batchSize: number;
const input = zeros([batchSize, 3] as const);
const hidden = input
  .matmul(b)
  .relu()
  .add(zeros([4] as const));
is<Is<typeof hidden, [number, 4]>>();
// @ts-expect-error the inner sizes differ
input.matmul(zeros([4, 4] as const));

export { matrix, vector };
