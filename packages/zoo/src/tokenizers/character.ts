/** Characters (code points) as tokens: those of a given text. */
import { ValueError } from '@infinigrad/tensor';
import { PlainTokenizer, type Emit } from './plain.ts';
import { Specials, type SpecialOptions } from './special.ts';

const encoder = new TextEncoder();

export class CharacterTokenizer extends PlainTokenizer {
  /** In the order of their ids. */
  readonly characters: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;
  readonly #bytes: readonly Uint8Array[];
  readonly #unknown: number | null;

  /**
   * Ids: the characters in the order of their code points, then the special tokens.
   * @param characters each one that there is, as often as you like: a text will do. What else comes is `special.unk`, or is refused
   */
  constructor(characters: Iterable<string>, options: SpecialOptions = {}) {
    const op = 'CharacterTokenizer';
    const all = new Set<string>();
    for (const piece of characters) for (const character of piece) all.add(character);
    const list = [...all].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
    if (list.length === 0) throw new ValueError(op, 'needs at least one character');
    const specials = new Specials(op, options, (n) => list.length + n);
    const clash = specials.texts.find((text) => all.has(text));
    if (clash !== undefined) throw new ValueError(op, `'${clash}' is a character and a special token`);
    super(specials);
    this.characters = list;
    this.#ids = new Map(list.map((character, id) => [character, id]));
    this.#bytes = list.map((character) => encoder.encode(character));
    const { unk } = specials.roles;
    this.#unknown = unk === undefined ? null : specials.id(unk)!;
  }

  override get vocabSize(): number {
    return this.characters.length + this.specials.texts.length;
  }

  protected override pieces(text: string, emit: Emit): void {
    let at = 0;
    for (const character of text) {
      const id = this.#ids.get(character) ?? this.#unknown;
      if (id === null)
        throw new ValueError('CharacterTokenizer.encode', `does not know the character '${character}'`, {
          hint: "special: { unk: '?' } names a token for those",
        });
      emit(id, at, at + character.length);
      at += character.length;
    }
  }

  protected override bytes(id: number): Uint8Array | undefined {
    return this.#bytes[id];
  }

  override token(id: number): string | undefined {
    return this.characters[id] ?? this.specials.text(id);
  }

  override id(token: string): number | undefined {
    return this.#ids.get(token) ?? this.specials.id(token);
  }
}
