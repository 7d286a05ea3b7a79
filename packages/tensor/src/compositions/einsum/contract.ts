/** One contraction of einsum: two tensors with letters on their axes become one, by a matrix product wherever letters go away. */
import { isFloat } from '../../dtype.ts';
import { reshapeLayout, sameShape, sizeOf, type Shape } from '../../shape.ts';
import type { Tensor } from '../../tensor.ts';

/** A tensor with a letter for every axis; no letter twice, no axis of size 1. */
export interface Lettered {
  readonly x: Tensor;
  readonly letters: readonly string[];
}

const sizesAt = ({ x, letters }: Lettered, which: readonly string[]): number[] =>
  which.map((letter) => x.shape[letters.indexOf(letter)]!);

export const arrange = ({ x, letters }: Lettered, order: readonly string[]): Tensor =>
  order.every((letter, i) => letter === letters[i])
    ? x
    : x.permute(order.map((letter) => letters.indexOf(letter)));

const shaped = (x: Tensor, shape: Shape): Tensor => (sameShape(x.shape, shape) ? x : x.reshape(shape));

/** Axes in the order of `order`, with size 1 where x has none. */
function spread(term: Lettered, order: readonly string[]): Tensor {
  const own = order.filter((letter) => term.letters.includes(letter));
  return shaped(
    arrange(term, own),
    order.map((letter) => (own.includes(letter) ? sizesAt(term, [letter])[0]! : 1)),
  );
}

/** Letters as their axes lie in memory, the widest strides first: so that neighbours can be read as one axis. */
function inMemory({ x, letters }: Lettered, which: readonly string[]): string[] {
  const strideOf = (letter: string): number => Math.abs(x.layout.strides[letters.indexOf(letter)]!);
  return which.toSorted((a, b) => strideOf(b) - strideOf(a));
}

/** Elements that must be copied to read some axes as one: none where strides allow it. */
function copied(term: Lettered, which: readonly string[]): number {
  const { layout } = arrange(term, [...which, ...term.letters.filter((letter) => !which.includes(letter))]);
  const { strides, shape, offset } = layout;
  const part = {
    shape: shape.slice(0, which.length),
    strides: strides.slice(0, which.length),
    offset,
  };
  return reshapeLayout(part, [sizeOf(part.shape)]) ? 0 : term.x.size;
}

/** The order of the letters that go away, in which fewer elements of either need be copied. */
function orderOfSummed(a: Lettered, b: Lettered, summed: readonly string[]): readonly string[] {
  if (summed.length < 2) return summed;
  const orders = [inMemory(a, summed), inMemory(b, summed)] as const;
  const [first, second] = orders.map((order) => copied(a, order) + copied(b, order)) as [number, number];
  return first <= second ? orders[0] : orders[1];
}

/** [batch, own, summed] × [batch, summed, own], each of the three groups one axis but for the first. */
function matrixProduct(
  a: Lettered,
  b: Lettered,
  summed: readonly string[],
  batch: readonly string[],
): Lettered {
  const own = (term: Lettered): string[] =>
    inMemory(
      term,
      term.letters.filter((letter) => !summed.includes(letter) && !batch.includes(letter)),
    );
  const [rows, columns] = [own(a), own(b)];
  const between = orderOfSummed(a, b, summed);
  const lead = sizesAt(a, batch);
  const size = (term: Lettered, which: readonly string[]): number => sizeOf(sizesAt(term, which));
  const left = shaped(arrange(a, [...batch, ...rows, ...between]), [
    ...lead,
    size(a, rows),
    size(a, between),
  ]);
  const right = shaped(arrange(b, [...batch, ...between, ...columns]), [
    ...lead,
    size(b, between),
    size(b, columns),
  ]);
  return {
    x: shaped(left.matmul(right), [...lead, ...sizesAt(a, rows), ...sizesAt(b, columns)]),
    letters: [...batch, ...rows, ...columns],
  };
}

/**
 * Contracts two terms to the letters of `output`, in any order; `order` is the one that would be welcome. Sums run
 * inside a matrix product; integers, of which there is none, are multiplied out and summed.
 */
export function contract(
  a: Lettered,
  b: Lettered,
  output: readonly string[],
  order: readonly string[],
): Lettered {
  const place = (letter: string): number => order.indexOf(letter);
  const ordered = (letters: readonly string[]): string[] => letters.toSorted((p, q) => place(p) - place(q));
  const all = [...new Set([...a.letters, ...b.letters])];
  const summed = all.filter((letter) => !output.includes(letter));
  if (summed.length === 0) {
    const letters = ordered(all);
    return { x: spread(a, letters).mul(spread(b, letters)), letters };
  }
  if (!isFloat(a.x.dtype)) {
    const letters = [...ordered(output), ...summed];
    const product = spread(a, letters).mul(spread(b, letters));
    return { x: product.sum(summed.map((letter) => letters.indexOf(letter))), letters: ordered(output) };
  }
  const batch = ordered(output.filter((letter) => a.letters.includes(letter) && b.letters.includes(letter)));
  // The operand whose own letters come last in the result gives the columns.
  const last = (term: Lettered): number =>
    Math.max(
      -1,
      ...output.filter((letter) => term.letters.includes(letter) && !batch.includes(letter)).map(place),
    );
  return last(a) > last(b) && last(b) >= 0
    ? matrixProduct(b, a, summed, batch)
    : matrixProduct(a, b, summed, batch);
}
