/** What the ops that write elements at indexed places mean, and searches in sorted rows. */
import type { Attrs } from '@infinigrad/tensor';
import { flat, indices, line, naive, positive, put, range, type Naive } from '../naive.ts';

type Reference = (inputs: readonly Naive[], attrs: Attrs) => Naive;

/** Every place of x, with the values of the source that are for it, in row-major order. */
const collected =
  (fold: (own: number, given: readonly number[]) => number): Reference =>
  ([x, index, source], attrs) => {
    const axis = positive(attrs['axis'] as number, x!.shape.length);
    const aims = indices(source!.shape).map((at) => ({
      place: put(at, axis, index!.at(at)).join(),
      value: source!.at(at),
    }));
    return naive(x!.shape, (at) =>
      fold(
        x!.at(at),
        aims.filter(({ place }) => place === at.join()).map(({ value }) => value),
      ),
    );
  };

const sliceScatter: Reference = ([x, source], attrs) => {
  const ranges = attrs['ranges'] as readonly (readonly (number | null)[] | null)[];
  // What Array.prototype.slice and toReversed make of the places along each axis.
  const places = x!.shape.map((size, axis) => {
    const [from = null, to = null, by = null] = ranges[axis] ?? [];
    const step = by ?? 1;
    const all = range(size);
    if (step > 0) return all.slice(from ?? 0, to ?? size).filter((_, i) => i % step === 0);
    const backwards = all.slice(to === null ? 0 : to + 1, from === null ? size : from + 1).toReversed();
    return backwards.filter((_, i) => i % -step === 0);
  });
  const written = new Map<string, number>(
    indices(source!.shape).map((at) => [at.map((i, axis) => places[axis]![i]!).join(), source!.at(at)]),
  );
  return naive(x!.shape, (at) => written.get(at.join()) ?? x!.at(at));
};

const searchSorted: Reference = ([x, values], { side }) =>
  naive(values!.shape, (at) => {
    const value = values!.at(at);
    const row = x!.shape.length === 1 ? flat(x!) : line(x!, x!.shape.length - 1, put(at, at.length - 1, 0));
    return row.filter((element) => (side === 'right' ? element <= value : element < value)).length;
  });

export const scattersReferences = {
  scatterSet: collected((own, given) => given.at(-1) ?? own),
  scatterMul: collected((own, given) => given.reduce((a, b) => a * b, own)),
  scatterMax: collected((own, given) => [own, ...given].toSorted((a, b) => b - a)[0]!),
  scatterMin: collected((own, given) => [own, ...given].toSorted((a, b) => a - b)[0]!),
  sliceScatter,
  searchSorted,
} satisfies Record<string, Reference>;
