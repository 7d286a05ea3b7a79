/** Periodic text: "abcabc…" from any place. Who has read a period knows all the rest, so that corrupted spans can be told without fail. */
import { ValueError, type Key } from '@infinigrad/tensor';
import { checkCount } from './checks.ts';
import { Draws } from './draws.ts';

export interface PeriodicOptions {
  /** Symbols: ids first … first + symbols - 1. A period of p is made of the first p of them. */
  readonly symbols: number;
  /** Periods that are drawn from. Default: only `symbols`. */
  readonly periods?: readonly number[];
  /** Id of the first symbol. Default 0. */
  readonly first?: number;
}

const settle = (op: string, length: number, { symbols, periods = [symbols], first = 0 }: PeriodicOptions) => {
  checkCount(op, 'length', length);
  checkCount(op, 'symbols', symbols);
  checkCount(op, 'first', first, 0);
  if (periods.length === 0) throw new ValueError(op, 'needs at least one period');
  for (const period of periods)
    if (!Number.isInteger(period) || period < 1 || period > symbols)
      throw new ValueError(op, `a period must be an integer from 1 to ${symbols}, got ${period}`);
  const text = (period: number, offset: number): Int32Array => {
    const row = new Int32Array(length);
    for (let t = 0; t < length; t++) row[t] = first + ((offset + t) % period);
    return row;
  };
  return { periods, text };
};

/** A text of so many tokens with a period and an offset drawn by the key. */
export function periodicText(length: number, options: PeriodicOptions, key: Key): Int32Array {
  const { periods, text } = settle('periodicText', length, options);
  const draws = new Draws(key);
  const period = periods[draws.below(periods.length)]!;
  return text(period, draws.below(period));
}

/**
 * The floor of a causal language model over such texts, in nats for each token but the first, which is given: what is told of offset and
 * period, and nothing once they are known. All texts are counted out.
 */
export function periodicFloor(length: number, options: PeriodicOptions): number {
  const op = 'periodicFloor';
  const { periods, text } = settle(op, length, options);
  checkCount(op, 'length', length, 2);
  const wholes = new Map<string, number>();
  const firsts = new Map<number, number>();
  for (const period of periods)
    for (let offset = 0; offset < period; offset++) {
      const row = text(period, offset);
      const p = 1 / (periods.length * period);
      wholes.set(row.join(), (wholes.get(row.join()) ?? 0) + p);
      firsts.set(row[0]!, (firsts.get(row[0]!) ?? 0) + p);
    }
  const entropy = (law: Iterable<number>): number => {
    let sum = 0;
    for (const p of law) sum -= p * Math.log(p);
    return sum;
  };
  // Chain rule: H(all) - H(first).
  return (entropy(wholes.values()) - entropy(firsts.values())) / (length - 1);
}
