/**
 * JSON from anywhere, read strictly: JSON.parse lets the last of equal keys win without a word, rounds numbers and
 * takes halves of characters, so that two readers could see two files.
 */

/** As in the reference implementation of safetensors. */
const maxDepth = 128;
const whole = /^(?:0|[1-9][0-9]*)$/;
const half = /\p{Surrogate}/u;

export interface StrictJson {
  /** Numbers must be written as integers ≥ 0 without point or exponent. Default true. */
  readonly wholeNumbers?: boolean;
}

export type Fail = (problem: string, hint?: string) => never;

/** @param what the document, for what `fail` is told */
export function parseJson(bytes: Uint8Array, what: string, fail: Fail, options: StrictJson = {}): unknown {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch {
    return fail(`${what} is not JSON`, 'it is damaged or of another format');
  }
  scan(text, what, fail, options.wholeNumbers ?? true);
  return value;
}

/** Looks through text that JSON.parse has taken. */
function scan(text: string, what: string, fail: Fail, wholeNumbers: boolean): void {
  // Keys seen in the objects around, innermost last; null for an array
  const open: (Set<string> | null)[] = [];
  for (let at = 0; at < text.length; at++) {
    const c = text[at]!;
    if (c === '{' || c === '[') {
      if (open.push(c === '{' ? new Set() : null) > maxDepth)
        fail(`${what} is nested deeper than ${maxDepth}`);
    } else if (c === '}' || c === ']') open.pop();
    else if (c === '"') {
      const end = endOfString(text, at);
      const content = textOf(text.slice(at, end + 1));
      if (half.test(content)) fail(`${what} holds half of a surrogate pair`);
      at = end;
      const keys = open.at(-1);
      if (keys && isKey(text, end + 1)) {
        if (keys.has(content)) fail(`${what} has '${shorten(content)}' twice`);
        keys.add(content);
      }
    } else if (c === '-' || (c >= '0' && c <= '9')) {
      let end = at + 1;
      while (end < text.length && /[0-9.eE+-]/.test(text[end]!)) end++;
      const number = text.slice(at, end);
      if (wholeNumbers && !whole.test(number))
        fail(`${what} holds ${shorten(number)}, which is not written as an integer ≥ 0`);
      at = end - 1;
    }
  }
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}

const textOf = (quoted: string): string =>
  quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);

function isKey(text: string, from: number): boolean {
  let at = from;
  while (' \t\n\r'.includes(text[at] ?? 'x')) at++;
  return text[at] === ':';
}

/** Text from a file, for a message. */
export const shorten = (text: string): string => (text.length > 80 ? `${text.slice(0, 80)}…` : text);

/** A value from a file, for a message. */
export function show(value: unknown): string {
  return shorten(typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value)));
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** True for text that is the same once it has been through UTF-8. */
export const isWellFormed = (text: string): boolean => !half.test(text);

/** An object that takes any key as data, `__proto__` too. */
export function record<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  const out: Record<string, T> = {};
  for (const [key, value] of entries)
    Object.defineProperty(out, key, { value, enumerable: true, writable: true, configurable: true });
  return out;
}
