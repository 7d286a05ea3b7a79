/** Text as its tokens come. */

/** What stands for bytes that are no character, or not yet one. */
const broken = '\uFFFD';
/** Bytes of a character at most. */
const longest = 4;

/** Writes what is certain: no half characters, and nothing that may be the beginning of what ends the text. */
export class TextStream {
  readonly tokens: number[] = [];
  written = '';
  readonly #decode: (tokens: readonly number[]) => string;
  readonly #stops: readonly string[];
  readonly #write: (piece: string) => void;
  #since = 0;

  constructor(
    decode: (tokens: readonly number[]) => string,
    stops: readonly string[],
    write: (piece: string) => void,
  ) {
    this.#decode = decode;
    this.#stops = stops;
    this.#write = write;
  }

  add(token: number): void {
    this.tokens.push(token);
    const text = this.#decode(this.tokens);
    // A character that is not whole may become so; after some tokens it is none.
    this.#since = text.endsWith(broken) ? this.#since + 1 : 0;
    const whole = this.#since > 0 && this.#since < longest ? text.replace(/\uFFFD+$/, '') : text;
    this.#reach(this.#certain(whole));
  }

  /** Writes the rest, up to a text that ends it. */
  end(): void {
    const text = this.#decode(this.tokens);
    const ends = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    this.#reach(text.slice(0, Math.min(text.length, ...ends)));
  }

  /** Without an end that may be the beginning of a stop. */
  #certain(text: string): string {
    const ends = this.#stops.map((stop) => {
      const at = text.indexOf(stop);
      if (at >= 0) return at;
      for (let size = Math.min(stop.length - 1, text.length); size > 0; size--)
        if (text.endsWith(stop.slice(0, size))) return text.length - size;
      return text.length;
    });
    return text.slice(0, Math.min(text.length, ...ends));
  }

  #reach(text: string): void {
    if (text.length <= this.written.length) return;
    this.#write(text.slice(this.written.length));
    this.written = text;
  }
}
