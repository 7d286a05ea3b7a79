/** The choices behind an op record's sample, made by fast-check so that failures shrink. */
import fc from 'fast-check';
import type { Draw } from '../ops/record.ts';

/** What `fc.gen()` hands out. */
export type Generator = fc.GeneratorValue;

/** Shapes of the samples hold at most so many elements (so that `distinct` values find room between -3 and 3). */
const maxElements = 32;

/**
 * For each two numbers one function without arguments that gives one arbitrary: fast-check looks arbitraries up by function
 * and arguments, which takes longer than to draw from one.
 */
export function arbitrariesOf<T>(
  make: (a: number, b: number) => fc.Arbitrary<T>,
): (a: number, b?: number) => () => fc.Arbitrary<T> {
  const known = new Map<number, Map<number, () => fc.Arbitrary<T>>>();
  return (a, b = 0) => {
    let row = known.get(a);
    if (!row) known.set(a, (row = new Map()));
    let give = row.get(b);
    if (!give) {
      const arbitrary = make(a, b);
      row.set(b, (give = () => arbitrary));
    }
    return give;
  };
}

const integerBetween = arbitrariesOf((min, max) => fc.integer({ min, max }));
const eitherWay = fc.boolean();
export const flag = (): fc.Arbitrary<boolean> => eitherWay;

/** A `Draw` over a fast-check generator. */
export function drawFrom(g: Generator): Draw {
  const int = (min: number, max: number): number => g(integerBetween(min, max));
  const bool = (): boolean => g(flag);
  const shape: Draw['shape'] = ({
    minRank = 0,
    maxRank = Math.max(3, minRank),
    minSize = 1,
    maxSize = 4,
  } = {}) => {
    const rank = int(minRank, maxRank);
    let room = maxElements;
    return Array.from({ length: rank }, () => {
      const size = int(minSize, Math.max(minSize, Math.min(maxSize, room)));
      room = Math.floor(room / Math.max(1, size));
      return size;
    });
  };
  return {
    int,
    bool,
    pick: (items) => items[int(0, items.length - 1)]!,
    shape,
    broadcastable: (count) => {
      const whole = shape();
      return Array.from({ length: count }, () =>
        whole.slice(bool() ? int(0, whole.length) : 0).map((size) => (int(0, 3) === 3 ? 1 : size)),
      );
    },
  };
}
