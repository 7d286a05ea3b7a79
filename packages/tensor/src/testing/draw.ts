/** The choices behind an op record's sample, made by fast-check so that failures shrink. */
import fc from 'fast-check';
import type { Draw } from '../ops/record.ts';

/** What `fc.gen()` hands out. */
export type Generator = fc.GeneratorValue;

/** Shapes of the samples hold at most so many elements (so that `distinct` values find room between -3 and 3). */
const maxElements = 32;

// Arbitraries are named functions of plain values: fast-check tells them apart by function and arguments.
const integerBetween = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });

/** A `Draw` over a fast-check generator. */
export function drawFrom(g: Generator): Draw {
  const int = (min: number, max: number): number => g(integerBetween, min, max);
  const bool = (): boolean => g(fc.boolean);
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
