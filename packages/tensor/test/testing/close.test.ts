/** Closeness in relative, absolute and ulp form, and the matcher. */
import { tensor } from '@infinigrad/tensor';
import { allClose, matchers, ulpDistance, ulpDistance64 } from '@infinigrad/tensor/testing';
import '@infinigrad/tensor/testing/vitest';
import { describe, expect, it } from 'vitest';

const f64 = (values: number[]) => tensor(values, { dtype: 'f64' });

describe('ulp distances', () => {
  it('count the numbers between, across zero too', () => {
    expect(ulpDistance(1, 1 + 2 ** -23)).toBe(1);
    expect(ulpDistance64(1, 1 + 2 ** -52)).toBe(1);
    expect(ulpDistance64(1, 1 - 2 ** -53)).toBe(1);
    expect(ulpDistance64(-5e-324, 5e-324)).toBe(2);
    expect(ulpDistance64(-0, 0)).toBe(0);
    expect(ulpDistance64(NaN, NaN)).toBe(0);
    expect(ulpDistance64(NaN, 1)).toBe(Infinity);
    expect(ulpDistance64(Number.MAX_VALUE, Infinity)).toBe(1);
  });
});

describe('allClose', () => {
  const x = tensor([1, 1 + 3 * 2 ** -23]);
  it('in ulp of the dtype', () => {
    expect(allClose(x, [1, 1], { ulp: 3 })).toBeNull();
    expect(allClose(x, [1, 1], { ulp: 2 })).toBe(
      '1 of 2 elements differ (ulp 2); the worst at [1]: 1.0000003576278687 instead of 1',
    );
    expect(allClose(f64([1 + 2 ** -52]), [1], { ulp: 1 })).toBeNull();
    expect(allClose(f64([1 + 2 ** -51]), [1], { ulp: 1 })).toContain('differ');
  });
  it('relative to the expected value', () => {
    expect(allClose(f64([101]), [100], { rtol: 0.011 })).toBeNull();
    expect(allClose(f64([101]), [100], { rtol: 0.009 })).toContain('(rtol 0.009)');
  });
  it('with no tolerance: equal', () => {
    expect(allClose(x, x)).toBeNull();
    expect(allClose(f64([1 + 2 ** -52]), [1])).toContain('1 of 1 elements differ;');
  });
});

describe('toBeAllClose', () => {
  it('passes and fails as allClose does', () => {
    expect(tensor([1, 2])).toBeAllClose([1, 2]);
    expect(tensor([1, 2])).toBeAllClose(tensor([1, 2.001]), { rtol: 1e-3 });
    expect(tensor([1, 2])).not.toBeAllClose([1, 3]);
    expect(() => expect(tensor([1, 2])).toBeAllClose([1, 3])).toThrow(
      '1 of 2 elements differ; the worst at [1]: 2 instead of 3',
    );
    expect(() => expect(tensor([1])).not.toBeAllClose([1])).toThrow('expected the tensors to differ');
    expect(() => expect(tensor([1])).toBeAllClose(tensor([[1]]))).toThrow('the shape is [1], not [1, 1]');
  });
  it('refuses what is no tensor', () => {
    expect(matchers.toBeAllClose([1], [1]).pass).toBe(false);
    expect(() => expect([1]).toBeAllClose([1])).toThrow('expected a tensor');
  });
});
