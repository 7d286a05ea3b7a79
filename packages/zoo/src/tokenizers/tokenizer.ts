/** What every tokenizer can do, whatever it is made of. */
import { fromData, IndexError, ValueError, type Tensor } from '@infinigrad/tensor';

/** What special tokens are for. */
export const roles = ['pad', 'bos', 'eos', 'unk', 'mask', 'sep', 'cls'] as const;
export type Role = (typeof roles)[number];
/** Texts of special tokens by what they are for. */
export type SpecialTokens = { readonly [R in Role]?: string };

export interface TokenizeOptions {
  /** Sets the special tokens around the text that the tokenizer sets around texts. Default true. */
  readonly special?: boolean;
  /**
   * Text that spells a special token becomes that token, as in Hugging Face's libraries. False where the text is a stranger's: it can then
   * not end its own turn. Default true.
   */
  readonly specialInText?: boolean;
}

export interface DetokenizeOptions {
  /** Leaves special tokens out. Default false. */
  readonly skipSpecial?: boolean;
}

export interface Encoding {
  readonly ids: Int32Array;
  /** For each token where it stands in the text, from and to, as JavaScript counts; [n, 2] in a row. Twice 0 for tokens set around. */
  readonly offsets: Int32Array;
}

export interface BatchEncodeOptions extends TokenizeOptions {
  /** Tokens in a row. Default: as many as the longest text has. */
  readonly length?: number;
  /** Cuts the end of longer texts off, but not the special tokens around them. Default false: they are refused. */
  readonly truncate?: boolean;
  /** Where padding goes. Default right; generation wants left. */
  readonly side?: 'left' | 'right';
}

export interface TokenBatch {
  /** i32 [batch, T]. */
  readonly inputIds: Tensor;
  /** bool [batch, T]: false for padding. */
  readonly attentionMask: Tensor;
}

export interface ChatMessage {
  readonly role: string;
  readonly content: unknown;
  readonly [key: string]: unknown;
}

export interface ChatOptions {
  /** Ends with what begins an answer. Default false. */
  readonly addGenerationPrompt?: boolean;
  /** What else the template reads: `tools`, `enable_thinking` … */
  readonly [key: string]: unknown;
}

/** From messages to one text. */
export type ChatTemplate = (messages: readonly ChatMessage[], options: ChatOptions) => string;

export abstract class Tokenizer {
  /** One more than the largest id. */
  abstract readonly vocabSize: number;
  /** The special tokens that have a role. */
  abstract readonly special: SpecialTokens;
  /** For `chat`; null where there is none. */
  chatTemplate: ChatTemplate | null = null;

  /** Ids of a text. */
  abstract encode(text: string, options?: TokenizeOptions): Int32Array;
  /** The text of ids. @throws IndexError for an id that is none */
  abstract decode(ids: ArrayLike<number>, options?: DetokenizeOptions): string;
  /** A token as the vocabulary spells it; undefined where there is none of this id. */
  abstract token(id: number): string | undefined;
  /** The id of a token as the vocabulary spells it; undefined where there is none. */
  abstract id(token: string): number | undefined;
  /** True for special tokens, with a role or without. */
  abstract isSpecial(id: number): boolean;

  /** Ids, and where they stand. @throws ValueError where the tokenizer does not know */
  encodeWithOffsets(_text: string, _options?: TokenizeOptions): Encoding {
    throw new ValueError(`${this.constructor.name}.encodeWithOffsets`, 'has no offsets');
  }

  /** The id of the special token with a role. @throws ValueError where there is none */
  specialId(role: Role): number {
    const text = this.special[role];
    const id = text === undefined ? undefined : this.id(text);
    if (id === undefined) throw new ValueError('Tokenizer.specialId', `there is no ${role} token`);
    return id;
  }

  /** Texts as rows of one length. @throws ValueError where one is too long, or padding is needed and there is no pad token */
  batch(
    texts: readonly string[],
    { length, truncate = false, side = 'right', ...options }: BatchEncodeOptions = {},
  ): TokenBatch {
    const op = 'Tokenizer.batch';
    if (texts.length === 0) throw new ValueError(op, 'needs at least one text');
    if (length !== undefined && !(Number.isInteger(length) && length >= 1))
      throw new ValueError(op, `length must be an integer ≥ 1, got ${length}`);
    if (side !== 'left' && side !== 'right')
      throw new ValueError(op, `side must be left or right, got '${String(side)}'`);
    const rows = texts.map((text) => {
      const row = this.encode(text, options);
      return truncate && length !== undefined && row.length > length
        ? this.#cut(text, row, length, options)
        : row;
    });
    const T = length ?? rows.reduce((most, row) => Math.max(most, row.length), 0);
    const long = rows.find((row) => row.length > T);
    if (long)
      throw new ValueError(op, `a text of ${long.length} tokens does not fit into ${T}`, {
        hint: 'truncate: true cuts it',
      });
    const even = rows.every((row) => row.length === T);
    const ids = new Int32Array(rows.length * T).fill(even ? 0 : this.specialId('pad'));
    const present = new Uint8Array(ids.length);
    rows.forEach((row, i) => {
      const from = i * T + (side === 'left' ? T - row.length : 0);
      ids.set(row, from);
      present.fill(1, from, from + row.length);
    });
    return {
      inputIds: fromData(ids, [rows.length, T]),
      attentionMask: fromData(present, [rows.length, T], { dtype: 'bool' }),
    };
  }

  /** A text cut at its end, with what stands around it. */
  #cut(text: string, whole: Int32Array, length: number, options: TokenizeOptions): Int32Array {
    const bare = this.encode(text, { ...options, special: false });
    const around = whole.length - bare.length;
    if (around > length)
      throw new ValueError('Tokenizer.batch', `${around} special tokens do not fit into ${length}`);
    const fits = (from: number): boolean => bare.every((id, i) => id === whole[from + i]);
    let before = 0;
    while (before < around && !fits(before)) before++;
    const after = whole.subarray(before + bare.length);
    return Int32Array.from([
      ...whole.subarray(0, before),
      ...bare.subarray(0, length - around),
      ...after.subarray(0, length),
    ]);
  }

  /** Messages as one text. @throws ValueError where there is no template */
  chat(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    if (!this.chatTemplate)
      throw new ValueError('Tokenizer.chat', 'there is no chat template', {
        hint: 'set tokenizer.chatTemplate to a function, or to what chatTemplate of @infinigrad/zoo/huggingface makes',
      });
    return this.chatTemplate(messages, options);
  }

  /** Messages as ids: what the template writes, with nothing set around. */
  encodeChat(messages: readonly ChatMessage[], options: ChatOptions = {}): Int32Array {
    return this.encode(this.chat(messages, options), { special: false });
  }
}

/** @throws IndexError for an id that the tokenizer does not have */
export function unknownId(op: string, id: unknown, vocabSize: number): never {
  throw new IndexError(op, `there is no token ${String(id)}: ids go from 0 to ${vocabSize - 1}`);
}

/**
 * Which ids go on with the word before them, for `continues` of masking whole words.
 * @param test of a token as the vocabulary spells it. Default: it begins with ##, as WordPiece has it
 */
export function continuations(
  tokenizer: Tokenizer,
  test: (token: string) => boolean = (token) => token.startsWith('##'),
): (id: number) => boolean {
  const goesOn = Uint8Array.from({ length: tokenizer.vocabSize }, (_, id) => {
    const token = tokenizer.token(id);
    return Number(token !== undefined && !tokenizer.isSpecial(id) && test(token));
  });
  return (id) => goesOn[id] === 1;
}
