/** Names picked by patterns. */
import { ValueError } from '@infinigrad/tensor';

/**
 * Which names are meant: a name, or that of a module, which stands for all below it, with `*` for any part between two dots
 * (`'layers.*.attention'`); a regular expression; a function; or several of these.
 */
export type NamePattern = string | RegExp | ((name: string) => boolean) | readonly NamePattern[];

/** Whether a name is meant. @param below whether the name of a module stands for what is below it */
export function matches(pattern: NamePattern, name: string, below: boolean): boolean {
  if (typeof pattern === 'function') return pattern(name);
  // Unlike test(), search() does not go on from where a global expression stopped.
  if (pattern instanceof RegExp) return name.search(pattern) >= 0;
  if (typeof pattern !== 'string') return pattern.some((one) => matches(one, name, below));
  const [wanted, parts] = [pattern.split('.'), name.split('.')];
  if (below ? parts.length < wanted.length : parts.length !== wanted.length) return false;
  return wanted.every((part, i) => part === '*' || part === parts[i]);
}

/** The names that are meant. @throws ValueError for a pattern, or one of several, that fits none */
export function pick(
  op: string,
  what: string,
  names: readonly string[],
  pattern: NamePattern,
  below: boolean,
): string[] {
  const patterns = Array.isArray(pattern) ? (pattern as readonly NamePattern[]) : [pattern as NamePattern];
  for (const one of patterns)
    if (!names.some((name) => matches(one, name, below)))
      throw new ValueError(op, `no ${what} fits ${describe(one)}`, {
        hint:
          names.length > 0
            ? `there is ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`
            : 'there is none',
      });
  return names.filter((name) => matches(patterns, name, below));
}

function describe(pattern: NamePattern): string {
  if (typeof pattern === 'string') return `'${pattern}'`;
  return pattern instanceof RegExp ? String(pattern) : 'the pattern';
}
