/** Values on the command line: what they must be, told where they are not. */
import { InvalidArgumentError } from 'commander';

type Parser<T> = (text: string) => T;

/** An integer from min to max. */
export function integer(min: number, max = 2 ** 31 - 1): Parser<number> {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(
        `Give an integer from ${min.toLocaleString('en')} to ${max.toLocaleString('en')}.`,
      );
    return value;
  };
}

/** A number from min to max; without `including`, min itself is not one. */
export function number(min: number, max = Infinity, including = true): Parser<number> {
  return (text) => {
    const value = Number(text);
    if (
      text.trim() === '' ||
      !(including ? value >= min : value > min) ||
      !(value <= max && value < Infinity)
    )
      throw new InvalidArgumentError(
        `Give a number ${including ? 'from' : 'above'} ${min}${max === Infinity ? '' : ` to ${max}`}.`,
      );
    return value;
  };
}

/** A file or folder: `--out --json` is one forgotten, not one called --json. */
export const path: Parser<string> = (text) => {
  if (text.trim() === '' || text.startsWith('-')) throw new InvalidArgumentError('Give a path.');
  return text;
};

/** A size such as 500000, 200kB, 2GB or 1.5GiB, in bytes. */
export const byteSize: Parser<number> = (text) => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|KiB|MiB|GiB)?$/.exec(text) ?? [];
  const bytes = Number(amount) * (units[unit ?? 'B'] ?? NaN);
  if (!(bytes >= 1)) throw new InvalidArgumentError('Give a size such as 200kB, 500MB or 2GB.');
  return Math.floor(bytes);
};

const units: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** Integers with commas between them. */
export function integers(min: number): Parser<number[]> {
  const one = integer(min);
  return (text) => text.split(',').map((part) => one(part.trim()));
}

/** For options that may come several times. */
export const repeated = (text: string, before: readonly string[] = []): string[] => [...before, text];

/** `name=value`, several of them: values are JSON where they can be read so, and texts else. */
export const assignments = (
  text: string,
  before: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> => {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Give name=value.');
  return { ...before, [text.slice(0, at)]: valueOf(text.slice(at + 1)) };
};

export function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
