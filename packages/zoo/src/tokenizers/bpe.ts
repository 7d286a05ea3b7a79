/** Byte-level BPE, as GPT-2 has it: any text can be encoded, and comes back byte for byte. Trained by `trainBpe`, or read from tokenizer.json. */
import { ValueError } from '@infinigrad/tensor';
import { mergeAll, pairBase, type Merge } from './bpe-merge.ts';
import { byteCharacters, spelt, speltBytes, words } from './byte-level.ts';
import { PlainTokenizer, type Emit } from './plain.ts';
import { Specials, type SpecialOptions } from './special.ts';

const encoder = new TextEncoder();
/** Words whose tokens are kept. */
const mostKept = 50_000;
const longestKept = 64;

export interface BpeVocabulary extends SpecialOptions {
  /** Ids of tokens, spelt with GPT-2's characters for bytes; special tokens too. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Pairs of tokens, in the order in which they are merged. */
  readonly merges: readonly (readonly [first: string, second: string])[];
}

export class BpeTokenizer extends PlainTokenizer {
  override readonly vocabSize: number;
  readonly vocab: ReadonlyMap<string, number>;
  readonly merges: BpeVocabulary['merges'];
  readonly #tokens: readonly string[];
  readonly #bytes: (Uint8Array | undefined)[];
  readonly #byteIds: Int32Array;
  readonly #merges: ReadonlyMap<number, Merge>;
  readonly #kept = new Map<string, Int32Array>();

  /** @throws ValueError where a byte has no token, or a merge has parts or a result that is no token */
  constructor({ vocab, merges, ...options }: BpeVocabulary) {
    const op = 'BpeTokenizer';
    const tokens: string[] = [];
    for (const [token, id] of vocab) {
      if (!Number.isInteger(id) || id < 0 || id >= pairBase)
        throw new ValueError(op, `the id of '${token}' must be an integer from 0 to 2^24 - 1, got ${id}`);
      if (tokens[id] !== undefined)
        throw new ValueError(op, `'${tokens[id]}' and '${token}' have the same id ${id}`);
      tokens[id] = token;
    }
    const idOf = (token: string, what: string): number => {
      const id = vocab.get(token);
      if (id === undefined) throw new ValueError(op, `${what} '${token}' is not in the vocabulary`);
      return id;
    };
    const specials = new Specials(op, options, (_, text) => idOf(text, 'the special token'));
    super(specials);
    this.vocab = vocab;
    this.merges = merges;
    this.vocabSize = tokens.length;
    this.#tokens = tokens;
    this.#byteIds = Int32Array.from(byteCharacters, (character, byte) =>
      idOf(character, `the character of byte ${byte},`),
    );
    this.#bytes = Array.from(tokens, (token) =>
      token === undefined || specials.id(token) !== undefined ? undefined : (speltBytes(token) ?? undefined),
    );
    const numbered = new Map<number, Merge>();
    merges.forEach(([first, second], rank) => {
      const pair = idOf(first, 'the merged token') * pairBase + idOf(second, 'the merged token');
      // Of a pair that is there twice the first counts.
      if (numbered.has(pair)) return;
      const id = idOf(first + second, 'what is merged,');
      if (!this.#bytes[id]) throw new ValueError(op, `what is merged, '${first + second}', is no bytes`);
      numbered.set(pair, { rank, id });
    });
    this.#merges = numbered;
  }

  protected override pieces(text: string, emit: Emit): void {
    for (const match of words(text)) {
      const [word] = match;
      const tokens = this.#tokensOf(word);
      // A character may have bytes in several tokens: it is in the offsets of each.
      const ascii = word.length === this.#length(tokens);
      const places = ascii ? null : placesOf(word);
      let byte = 0;
      for (const id of tokens) {
        const from = byte;
        byte += this.#bytes[id]!.length;
        if (places) emit(id, match.index + places[2 * from]!, match.index + places[2 * byte - 1]!);
        else emit(id, match.index + from, match.index + byte);
      }
    }
  }

  #length(tokens: Int32Array): number {
    let length = 0;
    for (const id of tokens) length += this.#bytes[id]!.length;
    return length;
  }

  #tokensOf(word: string): Int32Array {
    const kept = this.#kept.get(word);
    if (kept) return kept;
    const bytes = encoder.encode(word);
    const tokens = mergeAll(
      Int32Array.from(bytes, (byte) => this.#byteIds[byte]!),
      this.#merges,
    );
    if (word.length <= longestKept) {
      if (this.#kept.size >= mostKept) this.#kept.clear();
      this.#kept.set(word, tokens);
    }
    return tokens;
  }

  protected override bytes(id: number): Uint8Array | undefined {
    return this.#bytes[id];
  }

  override token(id: number): string | undefined {
    return this.#tokens[id];
  }

  override id(token: string): number | undefined {
    return this.vocab.get(token);
  }

  /** A text as the vocabulary spells it, without merges. */
  static spell(text: string): string {
    return spelt(encoder.encode(text));
  }
}

/** For each byte of a word the character that it is of, from and to. */
function placesOf(word: string): Int32Array {
  const places: number[] = [];
  let at = 0;
  for (const character of word) {
    for (let i = encoder.encode(character).length; i > 0; i--) places.push(at, at + character.length);
    at += character.length;
  }
  return Int32Array.from(places);
}
