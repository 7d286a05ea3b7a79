/** The passkey task: what a batch must be. */
import fc from 'fast-check';
import { Key } from '@infinigrad/tensor';
import {
  checkLayout,
  fillerSymbols,
  passkeyBatch,
  passkeyTargets,
  passkeyVocabSize,
  segmentRange,
  type KeyPosition,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';

const layouts = fc.record({
  segmentLength: fc.integer({ min: 12, max: 40 }),
  digits: fc.integer({ min: 1, max: 5 }),
  filler: fc.constantFrom('cyclic' as const, 'random' as const),
});
const position = fc.constantFrom<KeyPosition>('start', 'middle', 'end', 'any');

describe('passkeyBatch', () => {
  test('hides the key once, uncut, where it was asked for, and asks at the end', () =>
    fc.assert(
      fc.property(
        layouts,
        fc.integer({ min: 2, max: 9 }),
        position,
        fc.constantFrom(0, 1),
        fc.nat(1000),
        (layout, segments, where, ownSegment, seed) => {
          const { segmentLength: n, digits, filler } = layout;
          const { data, answers } = passkeyBatch(
            layout,
            { batch: 3, segments, position: where, ownSegment },
            new Key(seed),
          );
          const [first, last] = segmentRange(where, segments);
          answers.forEach((answer, row) => {
            const tokens = Array.from(data.subarray(row * segments * n, (row + 1) * segments * n));
            const at = tokens.indexOf(10);
            expect(tokens.filter((t) => t === 10)).toHaveLength(1);
            expect(tokens.slice(at + 1, at + 1 + digits)).toEqual(answer);
            expect(Math.floor(at / n)).toBe(Math.floor((at + digits) / n));
            const segment = Math.floor(at / n);
            if (ownSegment) expect(segment).toBe(segments - 1);
            else {
              expect(segment).toBeGreaterThanOrEqual(first);
              expect(segment).toBeLessThanOrEqual(last);
              expect(segment).toBeLessThan(segments - 1);
            }
            expect(tokens.slice(-digits - 1)).toEqual([11, ...answer]);
            const rest = tokens.filter(
              (_, t) => (t < at || t > at + digits) && t < tokens.length - digits - 1,
            );
            expect(rest.every((t) => t >= 12 && t < passkeyVocabSize)).toBe(true);
            if (filler === 'cyclic') {
              const phases = tokens.flatMap((t, i) =>
                t >= 12 ? [(t - 12 - (i % fillerSymbols) + fillerSymbols) % fillerSymbols] : [],
              );
              expect(new Set(phases).size).toBe(1);
            }
          });
        },
      ),
    ));

  test('is decided by its key', () =>
    fc.assert(
      fc.property(fc.nat(1000), (seed) => {
        const layout = { segmentLength: 32, digits: 3, filler: 'cyclic' } as const;
        const options = { batch: 2, segments: 3, position: 'any' } as const;
        const batch = (k: number): number[] => Array.from(passkeyBatch(layout, options, new Key(k)).data);
        expect(batch(seed)).toEqual(batch(seed));
        expect(batch(seed)).not.toEqual(batch(seed + 1));
      }),
    ));

  test('targets are the next tokens, weighted to two means', () =>
    fc.assert(
      fc.property(layouts, fc.integer({ min: 2, max: 5 }), (layout, segments) => {
        const batch = passkeyBatch(layout, { batch: 2, segments, position: 'any' }, new Key(1));
        const { targets, weights } = passkeyTargets(layout, batch, 0.1);
        const length = segments * layout.segmentLength;
        const next = targets.dataSync();
        for (let t = 0; t < length - 1; t++) expect(next[t]).toBe(batch.data[t + 1]);
        const answerPart = weights
          .narrow(1, length - layout.digits - 1, layout.digits)
          .sum()
          .itemSync();
        expect(answerPart).toBeCloseTo(1, 5);
        expect(weights.sum().itemSync()).toBeCloseTo(1.1, 5);
        expect(weights.select(1, -1).sum().itemSync()).toBe(0);
      }),
    ));

  test('start, middle and end lie in order, before the query', () =>
    fc.assert(
      fc.property(fc.constantFrom(2, 3, 5, 11, 101), (segments) => {
        const ranges = (['start', 'middle', 'end'] as const).map((p) => segmentRange(p, segments));
        for (const [first, last] of ranges) {
          expect(first).toBeLessThanOrEqual(last);
          expect(last).toBeLessThan(segments - 1);
        }
        expect(ranges[0]![0]).toBe(0);
        expect(ranges[2]![1]).toBe(segments - 2);
        expect(ranges[1]![0]).toBeGreaterThanOrEqual(ranges[0]![0]);
        expect(ranges[2]![0]).toBeGreaterThanOrEqual(ranges[1]![0]);
      }),
    ));

  test('refuses what cannot hold a key', () => {
    expect(() => checkLayout({ segmentLength: 7, digits: 3, filler: 'cyclic' }, 4)).toThrow(
      /does not hold a key and a query/,
    );
    expect(() => checkLayout({ segmentLength: 8, digits: 3, filler: 'cyclic' }, 1)).toThrow(
      /at least 2 segments/,
    );
  });
});
