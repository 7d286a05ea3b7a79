/** Names of parameters here, and their keys in Hugging Face's files. */
import { ValueError } from '@infinigrad/tensor';

/**
 * A line of a key map. In patterns `{i}` is any one part of a name and `{rest*}` any number of them; `to` uses what `from` has found.
 * Names that no line fits keep their parts, in snake case: `layers.0.mlp.gateProj.weight` is `layers.0.mlp.gate_proj.weight`.
 */
export interface KeyRule {
  /** Our names; several for a tensor of the file that holds all of them, one after the other along their first axes. */
  readonly from: string | readonly string[];
  readonly to: string;
  /** Matrices lie in the file the other way round (GPT-2's [in, out]). After joining. Default false. */
  readonly transpose?: boolean;
}

/** A tensor of the file, and what it is made of. */
export interface StateEntry {
  readonly key: string;
  /** Our names, in order. */
  readonly names: readonly string[];
  readonly transpose: boolean;
}

interface Pattern {
  readonly expression: RegExp;
  /** What the groups of the expression are called. */
  readonly parts: readonly string[];
}

const slot = /\{(\w+)(\*?)\}/g;

function patternOf(from: string): Pattern {
  const parts: string[] = [];
  let source = '';
  let at = 0;
  for (const { 0: whole, 1: name, 2: many, index } of from.matchAll(slot)) {
    source += escaped(from.slice(at, index)) + (many ? '(.*)' : '([^.]+)');
    parts.push(name!);
    at = index + whole.length;
  }
  return { expression: new RegExp(`^${source}${escaped(from.slice(at))}$`), parts };
}

const escaped = (literal: string): string => literal.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

const snake = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/**
 * Which tensors of a file the parameters of these names make up, in the order of the names.
 * @throws ValueError where a line's several names are not all there, and where two tensors have one key
 */
export function stateEntries(names: readonly string[], rules: readonly KeyRule[]): StateEntry[] {
  const lines = rules.map((rule) => ({
    rule,
    patterns: (typeof rule.from === 'string' ? [rule.from] : rule.from).map(patternOf),
  }));
  const made = new Map<string, { names: (string | undefined)[]; transpose: boolean }>();
  for (const name of names) {
    const { key, place, count, transpose } = placeOf(name, lines);
    const entry = made.get(key) ?? { names: new Array<string | undefined>(count).fill(undefined), transpose };
    if (entry.names[place] !== undefined || entry.names.length !== count)
      throw new ValueError(
        'keyMap',
        `${entry.names[place] ?? entry.names.join(', ')} and ${name} both are ${key}`,
      );
    entry.names[place] = name;
    made.set(key, entry);
  }
  return [...made].map(([key, entry]) => {
    if (entry.names.includes(undefined))
      throw new ValueError('keyMap', `of ${key} there is ${entry.names.filter(Boolean).join(', ')} alone`);
    return { key, names: entry.names as string[], transpose: entry.transpose };
  });
}

function placeOf(
  name: string,
  lines: readonly { rule: KeyRule; patterns: readonly Pattern[] }[],
): { key: string; place: number; count: number; transpose: boolean } {
  for (const { rule, patterns } of lines)
    for (const [place, { expression, parts }] of patterns.entries()) {
      const found = expression.exec(name);
      if (!found) continue;
      const key = rule.to.replace(slot, (_, part: string) => found[1 + parts.indexOf(part)] ?? `{${part}}`);
      return { key, place, count: patterns.length, transpose: rule.transpose ?? false };
    }
  return { key: name.split('.').map(snake).join('.'), place: 0, count: 1, transpose: false };
}
