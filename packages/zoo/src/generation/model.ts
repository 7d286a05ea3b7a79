/** What generation needs of a model: the zoo's models have it, and so may others. */
import type { Tensor } from '@infinigrad/tensor';

/** What a model remembers of the tokens that it has read. */
export interface GenerativeCache {
  /** Row i of the batch becomes what row `rows[i]` was. */
  reorder(rows: readonly number[]): void;
  /** Forgets everything and gives the memory back. */
  reset(): void;
}

export interface GenerativeCacheOptions {
  readonly batch: number;
  /** Room for so many tokens and no more. Default: it grows. */
  readonly maxLength?: number;
  /** Padding tokens that each row begins with. */
  readonly leftPadding?: readonly number[];
}

/** Tokens that generation may look up in a model's configuration. */
export interface TokenDefaults {
  readonly eosTokenId?: number | readonly number[] | null | undefined;
  readonly padTokenId?: number | readonly number[] | null | undefined;
  readonly decoderStartTokenId?: number | null | undefined;
}

export interface GenerativeOutput {
  /** [batch, T or lastLogits, vocabulary]. */
  readonly logits: Tensor;
  /** [batch, T, width] of every layer; contrastive search needs the last. */
  readonly hiddenStates?: readonly Tensor[] | null | undefined;
  /** The same of an encoder-decoder model. */
  readonly decoderHiddenStates?: readonly Tensor[] | null | undefined;
}

interface Call {
  /** bool [batch, T], false for padding. With a cache it is the cache that knows the padding. */
  readonly attentionMask?: Tensor | undefined;
  readonly lastLogits?: number | undefined;
  readonly outputHiddenStates?: boolean | undefined;
}

/** A decoder: logits for the token after each. */
export interface CausalModel {
  readonly config?: object;
  forward(
    inputIds: Tensor,
    options: Call & { readonly positionIds?: Tensor | undefined; readonly cache?: never },
  ): GenerativeOutput;
  newCache?(options: GenerativeCacheOptions): GenerativeCache;
}

/** An encoder, and a decoder that reads what it has made. */
export interface EncoderDecoderModel {
  readonly config?: object;
  /** A tensor, or tensors in arrays and plain objects, whose first axis is the batch. */
  encode(inputIds: Tensor, options: { readonly attentionMask?: Tensor | undefined }): object;
  forward(
    inputIds: Tensor,
    options: Call & {
      readonly decoderInputIds: Tensor;
      readonly encoderOutput: never;
      readonly cache?: never;
    },
  ): GenerativeOutput;
  newCache?(options: GenerativeCacheOptions): GenerativeCache;
}

/** What a reader makes of the tokens that it has just read. */
export interface Reading {
  /** [rows, vocabulary], for the token after the last. */
  readonly logits: Tensor;
  /** [rows, T, width] of the last layer, where it was asked for. */
  readonly hidden?: Tensor | undefined;
}

/** One course of reading: whatever it remembers (keys and values, a recurrent state, the tokens themselves) lies behind it. */
export interface Reader {
  /** Reads further tokens, i32 [rows, T]. */
  read(tokens: Tensor, options?: { readonly hidden?: boolean }): Reading;
  /** Row i becomes what row `rows[i]` was; there may be more or fewer rows than before. */
  reorder(rows: readonly number[]): void;
  /** Gives the memory back. */
  release(): void;
}

/** How a reader remembers: in room that grows, in room taken at once, or not at all (everything is read anew for each token). */
export type CacheKind = 'growing' | 'fixed' | 'none';

export interface ReaderOptions {
  readonly batch: number;
  /** Padding tokens that each row begins with; null where none does. */
  readonly leftPadding: readonly number[] | null;
  /** Tokens that will be read at most. */
  readonly maxLength: number;
  readonly cache: CacheKind;
}

/** A model that brings a reader of its own: recurrent ones, and those with another call. */
export interface ReadableModel {
  readonly config?: object;
  /** @throws ValueError for what it cannot read */
  reader(options: ReaderOptions): Reader;
}

export type GenerativeModel = CausalModel | EncoderDecoderModel | ReadableModel;

export const bringsReader = (model: GenerativeModel): model is ReadableModel => 'reader' in model;

export const hasEncoder = (model: GenerativeModel): model is EncoderDecoderModel => 'encode' in model;

/** The tokens that a model's configuration names. */
export function tokenDefaults({ config = {} }: GenerativeModel): TokenDefaults {
  return config;
}
