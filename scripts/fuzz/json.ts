/** A naive, strict parser of JSON (RFC 8259), for the validators: character by character, no JSON.parse. */
export class Wrong extends Error {}

export function wrong(why: string): never {
  throw new Wrong(why);
}

/** A number as it is written. */
export interface Token {
  readonly number: string;
}
export type Json = string | boolean | null | Token | Json[] | Map<string, Json>;

/** Text of bytes that are UTF-8, else wrong. */
export function utf8(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8');
  if (Buffer.compare(Buffer.from(text, 'utf8'), Buffer.from(bytes)) !== 0) wrong('not UTF-8');
  return text;
}

export function parse(text: string): Json {
  let at = 0;
  const space = (): void => {
    while (at < text.length && ' \t\n\r'.includes(text[at]!)) at++;
  };
  const word = (expected: string): void => {
    if (text.slice(at, at + expected.length) !== expected) wrong(`no ${expected} at ${at}`);
    at += expected.length;
  };
  const string = (): string => {
    word('"');
    let out = '';
    for (;;) {
      const c = text[at++];
      if (c === undefined) wrong('an open string');
      if (c === '"') break;
      if (c.charCodeAt(0) < 0x20) wrong('a control character in a string');
      if (c !== '\\') {
        out += c;
        continue;
      }
      const escape = text[at++] ?? '';
      const plain: Record<string, string> = {
        '"': '"',
        '\\': '\\',
        '/': '/',
        b: '\b',
        f: '\f',
        n: '\n',
        r: '\r',
        t: '\t',
      };
      if (escape === 'u') {
        const hex = text.slice(at, at + 4);
        if (!/^[0-9a-fA-F]{4}$/.test(hex)) wrong('a bad escape');
        out += String.fromCharCode(parseInt(hex, 16));
        at += 4;
      } else out += plain[escape] ?? wrong('a bad escape');
    }
    for (let i = 0; i < out.length; i++) {
      const code = out.charCodeAt(i);
      if (code >= 0xd800 && code < 0xdc00) {
        const next = out.charCodeAt(++i);
        if (!(next >= 0xdc00 && next < 0xe000)) wrong('half a surrogate pair');
      } else if (code >= 0xdc00 && code < 0xe000) wrong('half a surrogate pair');
    }
    return out;
  };
  const value = (depth: number): Json => {
    space();
    const c = text[at];
    if ((c === '{' || c === '[') && depth === 128) wrong('nested too deep');
    if (c === '"') return string();
    if (c === '{') {
      const out = new Map<string, Json>();
      at++;
      space();
      if (text[at] === '}') {
        at++;
        return out;
      }
      for (;;) {
        space();
        const key = string();
        if (out.has(key)) wrong(`${key} twice`);
        space();
        word(':');
        out.set(key, value(depth + 1));
        space();
        if (text[at] === '}') break;
        word(',');
      }
      at++;
      return out;
    }
    if (c === '[') {
      const out: Json[] = [];
      at++;
      space();
      if (text[at] === ']') {
        at++;
        return out;
      }
      for (;;) {
        out.push(value(depth + 1));
        space();
        if (text[at] === ']') break;
        word(',');
      }
      at++;
      return out;
    }
    for (const [name, meaning] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const)
      if (text.startsWith(name, at)) {
        at += name.length;
        return meaning;
      }
    const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
    number.lastIndex = at;
    const found = number.exec(text);
    if (!found) return wrong(`nothing known at ${at}`);
    at += found[0].length;
    return { number: found[0] };
  };
  const out = value(0);
  space();
  if (at !== text.length) wrong('something after the end');
  return out;
}

/** Every number in a document. */
export function* numbersIn(json: Json): Generator<string> {
  if (Array.isArray(json)) for (const item of json) yield* numbersIn(item);
  else if (json instanceof Map) for (const item of json.values()) yield* numbersIn(item);
  else if (typeof json === 'object' && json !== null) yield json.number;
}
