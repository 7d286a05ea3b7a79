/** What our own tokenizers share: special tokens, the way back from bytes, and offsets. */
import { ValueError } from '@infinigrad/tensor';
import type { Specials } from './special.ts';
import {
  Tokenizer,
  unknownId,
  type DetokenizeOptions,
  type TokenizeOptions,
  type Encoding,
} from './tokenizer.ts';

/** Takes a token, and from where to where it stands in the text. */
export type Emit = (id: number, from: number, to: number) => void;

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export abstract class PlainTokenizer extends Tokenizer {
  protected readonly specials: Specials;

  constructor(specials: Specials) {
    super();
    this.specials = specials;
  }

  override get special(): Specials['roles'] {
    return this.specials.roles;
  }

  /** All special tokens, and which of them are set before texts and after. */
  get specialTokens(): {
    readonly texts: readonly string[];
    readonly before: readonly string[];
    readonly after: readonly string[];
  } {
    return this.specials;
  }

  /** Tokens of a text without special ones; places count from its beginning. */
  protected abstract pieces(text: string, emit: Emit): void;
  /** The bytes of a token that is not special; undefined where there is none. */
  protected abstract bytes(id: number): Uint8Array | undefined;

  override isSpecial(id: number): boolean {
    return this.specials.text(id) !== undefined;
  }

  #each(
    op: string,
    text: string,
    { special = true, specialInText = true }: TokenizeOptions,
    emit: Emit,
  ): void {
    if (typeof text !== 'string') throw new ValueError(op, `needs a text, got ${typeof text}`);
    const set = (tokens: readonly string[]): void => {
      if (special) for (const token of tokens) emit(this.specials.id(token)!, 0, 0);
    };
    set(this.specials.before);
    if (specialInText)
      for (const { id, from, to } of this.specials.split(text))
        if (id !== null) emit(id, from, to);
        else this.pieces(text.slice(from, to), (token, a, b) => emit(token, from + a, from + b));
    else this.pieces(text, emit);
    set(this.specials.after);
  }

  override encode(text: string, options: TokenizeOptions = {}): Int32Array {
    const ids: number[] = [];
    this.#each(`${this.constructor.name}.encode`, text, options, (id) => ids.push(id));
    return Int32Array.from(ids);
  }

  override encodeWithOffsets(text: string, options: TokenizeOptions = {}): Encoding {
    const ids: number[] = [];
    const offsets: number[] = [];
    this.#each(`${this.constructor.name}.encodeWithOffsets`, text, options, (id, from, to) => {
      ids.push(id);
      offsets.push(from, to);
    });
    return { ids: Int32Array.from(ids), offsets: Int32Array.from(offsets) };
  }

  /** Bytes that are no UTF-8 become U+FFFD. */
  override decode(ids: ArrayLike<number>, { skipSpecial = false }: DetokenizeOptions = {}): string {
    let text = '';
    let run: number[] = [];
    const flush = (): void => {
      if (run.length > 0) text += decoder.decode(Uint8Array.from(run));
      run = [];
    };
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      const special = this.specials.text(id);
      if (special !== undefined) {
        if (skipSpecial) continue;
        flush();
        text += special;
        continue;
      }
      const bytes = this.bytes(id) ?? unknownId(`${this.constructor.name}.decode`, id, this.vocabSize);
      for (const byte of bytes) run.push(byte);
    }
    flush();
    return text;
  }
}
