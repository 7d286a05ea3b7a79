/** What the tests of objectives share. */
import { Key, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { expect } from 'vitest';

const wanted = Number(process.env['INFINIGRAD_RUNS'] ?? 100);
/** Generated cases for each law; INFINIGRAD_RUNS raises it. */
export const runs = Math.max(100, Number.isFinite(wanted) ? wanted : 100);

export const seeds = fc.nat({ max: 2 ** 31 - 1 }).map((seed) => new Key(seed));

/** Texts of ids from `first` on. */
export const texts = (least: number, most: number, ids = 50, first = 10): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: first, max: first + ids - 1 }), { minLength: least, maxLength: most });

/** Within three standard deviations of what so many throws of a coin give. */
export function expectRate(count: number, of: number, rate: number): void {
  const sigma = Math.sqrt(of * rate * (1 - rate));
  expect(Math.abs(count - of * rate), `${count} of ${of}, expected ${of * rate} ± ${sigma}`).toBeLessThan(
    3 * sigma,
  );
}

/** Rows of a tensor of two axes. */
export function rowsOf(x: Tensor): number[][] {
  const [rows, length] = x.shape as [number, number];
  const data = Array.from(x.dataSync());
  return Array.from({ length: rows }, (_, i) => data.slice(i * length, (i + 1) * length));
}
