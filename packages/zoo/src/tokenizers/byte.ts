/** Bytes as tokens: 0 … 255 in UTF-8, then the special ones. Nothing is unknown to it, and nothing has to be learnt. */
import { PlainTokenizer, type Emit } from './plain.ts';
import { Specials, type SpecialOptions } from './special.ts';

const encoder = new TextEncoder();

export class ByteTokenizer extends PlainTokenizer {
  override readonly vocabSize: number;

  /** @throws ValueError for special tokens that are none */
  constructor(options: SpecialOptions = {}) {
    const specials = new Specials('ByteTokenizer', options, (n) => 256 + n);
    super(specials);
    this.vocabSize = 256 + specials.texts.length;
  }

  protected override pieces(text: string, emit: Emit): void {
    let at = 0;
    for (const character of text) {
      for (const byte of encoder.encode(character)) emit(byte, at, at + character.length);
      at += character.length;
    }
  }

  protected override bytes(id: number): Uint8Array | undefined {
    return Number.isInteger(id) && id >= 0 && id < 256 ? Uint8Array.of(id) : undefined;
  }

  /** Bytes that are ASCII as their character, others as <0xE4>. */
  override token(id: number): string | undefined {
    if (!this.bytes(id)) return this.specials.text(id);
    return id < 128 ? String.fromCodePoint(id) : `<0x${id.toString(16).toUpperCase()}>`;
  }

  override id(token: string): number | undefined {
    const special = this.specials.id(token);
    if (special !== undefined) return special;
    const code = /^<0x([89A-F][0-9A-F])>$/.exec(token)?.[1];
    if (code) return Number.parseInt(code, 16);
    return token.length === 1 && token.charCodeAt(0) < 128 ? token.charCodeAt(0) : undefined;
  }
}
