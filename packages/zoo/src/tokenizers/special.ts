/** Special tokens of the tokenizers that are our own: they are cut out of the text first. */
import { describeValue, ValueError } from '@infinigrad/tensor';
import { roles, type SpecialTokens } from './tokenizer.ts';

export interface SpecialOptions {
  /** Special tokens by what they are for. Default: none. */
  readonly special?: SpecialTokens;
  /** Further ones without a role. Default: none. */
  readonly added?: readonly string[];
  /** Special tokens that are set before each text, and after it. Default: none. */
  readonly before?: readonly string[];
  readonly after?: readonly string[];
}

/** A part of a text: a special token, or text between from and to. */
export interface Part {
  readonly id: number | null;
  readonly from: number;
  readonly to: number;
}

export class Specials {
  readonly roles: SpecialTokens;
  /** Texts in the order of their ids. */
  readonly texts: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;
  readonly #byId: ReadonlyMap<number, string>;
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly #pattern: RegExp | null;

  /** @param idOf the id of a special token: the n-th of them, counted from 0 */
  constructor(op: string, options: SpecialOptions, idOf: (n: number, text: string) => number) {
    const { special = {}, added = [], before = [], after = [] } = options;
    for (const role of Object.keys(special))
      if (!(roles as readonly string[]).includes(role))
        throw new ValueError(op, `there is no role '${role}'`, { hint: `roles are ${roles.join(', ')}` });
    const texts = [...new Set([...roles.flatMap((role) => special[role] ?? []), ...added])];
    for (const text of texts)
      if (typeof text !== 'string' || text === '')
        throw new ValueError(
          op,
          `a special token must be a text that is not empty, got ${describeValue(text)}`,
        );
    this.#ids = new Map(texts.map((text, n) => [text, idOf(n, text)]));
    this.#byId = new Map(texts.map((text) => [this.#ids.get(text)!, text]));
    for (const text of [...before, ...after])
      if (!this.#ids.has(text)) throw new ValueError(op, `'${text}' is no special token`);
    this.roles = { ...special };
    this.texts = texts;
    this.before = before;
    this.after = after;
    // The longest one first, where several begin at one place.
    const escaped = texts
      .toSorted((a, b) => b.length - a.length)
      .map((text) => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`));
    this.#pattern = escaped.length > 0 ? new RegExp(escaped.join('|'), 'gu') : null;
  }

  id(text: string): number | undefined {
    return this.#ids.get(text);
  }

  text(id: number): string | undefined {
    return this.#byId.get(id);
  }

  /** A text with its special tokens cut out. */
  *split(text: string): Generator<Part, void, undefined> {
    let from = 0;
    if (this.#pattern)
      for (const match of text.matchAll(this.#pattern)) {
        if (match.index > from) yield { id: null, from, to: match.index };
        from = match.index + match[0].length;
        yield { id: this.#ids.get(match[0])!, from: match.index, to: from };
      }
    if (from < text.length) yield { id: null, from, to: text.length };
  }
}
