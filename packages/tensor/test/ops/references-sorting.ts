/** References: orders of elements along an axis, running extremes, products and log-sums, and diagonals. */
import type { Attrs } from '@infinigrad/tensor';
import { line, naive, positive, range, type Naive } from '../naive.ts';

type Reference = (inputs: readonly Naive[], attrs: Attrs) => Naive;

const axisOf = (attrs: Attrs, x: Naive): number => positive(attrs['axis'] as number, x.shape.length);

/** Each line mapped by what it holds, to one of any length. */
const ofLines =
  (f: (values: readonly number[], attrs: Attrs) => readonly number[], length?: string): Reference =>
  ([x], attrs) => {
    const axis = axisOf(attrs, x!);
    const count = length === undefined ? x!.shape[axis]! : (attrs[length] as number);
    return naive(x!.shape.with(axis, count), (index) => f(line(x!, axis, index), attrs)[index[axis]!]!);
  };

/** Places by the number of elements that come before each: smaller ones, and equal ones further to the left. */
function ranked(values: readonly number[], descending: boolean): number[] {
  const before = (a: number, b: number): boolean => (descending ? a > b : a < b);
  const rankOf = (i: number): number =>
    values.filter((v, j) => before(v, values[i]!) || (v === values[i] && j < i)).length;
  const ranks = values.map((_, i) => rankOf(i));
  return ranks.map((_, rank) => ranks.indexOf(rank));
}

export const sortingReferences = {
  argSort: ofLines((values, { descending }) => ranked(values, descending === true)),
  argTopK: ofLines((values, { k, largest, sorted }) => {
    const best = ranked(values, largest === true).slice(0, k as number);
    return sorted === true ? best : range(values.length).filter((i) => best.includes(i));
  }, 'k'),
  argCumMax: ofLines((values) =>
    values.map((_, i) => values.lastIndexOf(Math.max(...values.slice(0, i + 1)), i)),
  ),
  argCumMin: ofLines((values) =>
    values.map((_, i) => values.lastIndexOf(Math.min(...values.slice(0, i + 1)), i)),
  ),
  cumprod: ofLines((values) => values.map((_, i) => values.slice(0, i + 1).reduce((a, b) => a * b, 1))),
  logCumSumExp: ofLines((values) =>
    values.map((_, i) => Math.log(values.slice(0, i + 1).reduce((a, b) => a + Math.exp(b), 0))),
  ),
  diagonal: ([x], { offset, axes }) => {
    const rank = x!.shape.length;
    const [a, b] = (axes as readonly number[]).map((axis) => positive(axis, rank)) as [number, number];
    // The pairs (i, j) with j - i = offset, in order.
    const pairs = range(x!.shape[a]!).flatMap((i) =>
      range(x!.shape[b]!).flatMap((j) => (j - i === offset ? [{ i, j }] : [])),
    );
    const rest = range(rank).filter((axis) => axis !== a && axis !== b);
    return naive([...rest.map((axis) => x!.shape[axis]!), pairs.length], (index) => {
      const { i, j } = pairs[index.at(-1)!]!;
      return x!.at(range(rank).map((axis) => (axis === a ? i : axis === b ? j : index[rest.indexOf(axis)]!)));
    });
  },
} satisfies Record<string, Reference>;
