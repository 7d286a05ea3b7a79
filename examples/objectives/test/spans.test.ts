import { corruptSpans, periodicText, spanCounts, spanMask } from '@infinigrad/zoo';
import { Key } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { countedOn, spanFloor, spansOf } from '../spans.ts';

const noise = { sentinel: 13, sentinels: 4, end: 1 };

describe('spanFloor', () => {
  it('is 0 where every span can be told, as in the experiment', () => {
    const { floor, targets } = spanFloor(32);
    expect(floor).toBeCloseTo(0, 12);
    const { noise: taken, spans } = spanCounts(32);
    expect(targets).toBe(taken + spans + 1);
  });

  it('is above 0 where a period may be hidden', () => {
    expect(spanFloor(3).floor).toBeGreaterThan(0.05);
    expect(spanFloor(40).floor).toBeGreaterThan(0.001);
  });
});

describe('spans', () => {
  it('are read up to the end token', () => {
    expect([...spansOf([13, 4, 5, 12, 6, 1, 12, 7])]).toEqual([
      [13, [4, 5]],
      [12, [6]],
    ]);
  });

  it('are counted on from the token before', () => {
    const tokens = periodicText(32, { symbols: 8, periods: [5], first: 2 }, new Key(2));
    const pair = corruptSpans(tokens, spanMask(32, {}, new Key(3)), noise);
    const right = spansOf(pair.targets);
    const counted = countedOn(pair, right);
    expect([...counted.keys()]).toEqual([...right.keys()]);
    for (const [sentinel, span] of right) {
      const wraps = span.some((token, i) => token !== counted.get(sentinel)![i]);
      expect(wraps).toBe(span.includes(2) && counted.get(sentinel)![span.indexOf(2)] === 7);
    }
  });
});
