/** Checks of single values of a configuration. Each gives what a value should have been, or null where it is that. */
export interface Check {
  (value: unknown): string | null;
  /** For numbers that may have a fraction: others write 1.0 where they mean one of these, and take no 1. */
  readonly real?: boolean;
}

/** Most layers that a configuration may ask for: one from anywhere may claim any number. */
export const mostLayers = 10_000;

/** An integer from min (default 1) to max. */
export function integer(min = 1, max = Number.MAX_SAFE_INTEGER): Check {
  const range = max === Number.MAX_SAFE_INTEGER ? `an integer ≥ ${min}` : `an integer from ${min} to ${max}`;
  return (value) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max ? null : range;
}

/** A number of layers. */
export const layerCount: Check = integer(1, mostLayers);

/** A finite number in [min, max]. */
export function number(min = -Infinity, max = Infinity): Check {
  const range =
    min === -Infinity && max === Infinity
      ? 'a finite number'
      : max === Infinity
        ? `a number ≥ ${min}`
        : `a number from ${min} to ${max}`;
  const check = (value: unknown): string | null =>
    Number.isFinite(value) && (value as number) >= min && (value as number) <= max ? null : range;
  return Object.assign(check, { real: true });
}

/** A finite number > 0. */
export const positive: Check = Object.assign(
  (value: unknown): string | null =>
    Number.isFinite(value) && (value as number) > 0 ? null : 'a number > 0',
  { real: true },
);

export const flag: Check = (value) => (typeof value === 'boolean' ? null : 'true or false');

export const text: Check = (value) => (typeof value === 'string' ? null : 'a text');

export function oneOf(...choices: readonly (string | number | null)[]): Check {
  const known: readonly unknown[] = choices;
  return (value) => (known.includes(value) ? null : `one of ${choices.map(String).join(', ')}`);
}

export function nullable(check: Check): Check {
  return (value) => {
    const wanted = value === null ? null : check(value);
    return wanted && `null or ${wanted}`;
  };
}

export function listOf(check: Check): Check {
  return (value) => {
    if (!Array.isArray(value)) return 'a list';
    const wanted = (value as readonly unknown[]).map(check).find((problem) => problem !== null);
    return wanted ? `a list, each ${wanted}` : null;
  };
}

/** The id of a token, several of them, or null. */
export const tokenIds: Check = (value) => {
  const wanted = 'null, an integer or a list of integers';
  if (value === null || Number.isInteger(value)) return null;
  return Array.isArray(value) && value.every(Number.isInteger) ? null : wanted;
};
