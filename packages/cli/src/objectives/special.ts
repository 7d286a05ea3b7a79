/** The special tokens that an objective needs: made with a tokenizer of ours, and found in any. */
import { InfinigradError } from '@infinigrad/tensor';
import type { SpecialTokens, Tokenizer } from '@infinigrad/zoo';
import { CommandError } from '../errors.ts';
import type { ObjectiveName } from './names.ts';

/** Special tokens of a tokenizer that is made here. */
export interface OwnSpecials {
  readonly special: SpecialTokens;
  readonly added?: readonly string[];
}

/** T5's number. */
const sentinels = 100;
const sentinel = (n: number): string => `<extra_id_${n}>`;
/** GLM's: begins a blank, and ends one. */
const [startOfBlank, endOfBlank] = ['<|startofpiece|>', '<|endofpiece|>'];

/** What `bytes` and `bpe:SIZE` get. The first sentinel has the largest id, as T5 has it. */
export const ownSpecials: Readonly<Record<ObjectiveName, OwnSpecials>> = {
  causal: { special: {} },
  prefix: { special: {} },
  masked: { special: { pad: '[PAD]', mask: '[MASK]' } },
  span: {
    special: { pad: '<pad>', eos: '</s>' },
    added: Array.from({ length: sentinels }, (_, n) => sentinel(sentinels - 1 - n)),
  },
  blank: { special: { pad: '[PAD]', mask: '[MASK]' }, added: [startOfBlank, endOfBlank] },
};

/** @throws CommandError that says which objective lacks it */
function needed(id: number | undefined, what: string, objective: ObjectiveName): number {
  if (id !== undefined) return id;
  throw new CommandError(
    `--objective ${objective} needs a tokenizer with ${what}: bytes and bpe:SIZE are made with it`,
  );
}

const roleId = (tokenizer: Tokenizer, role: keyof SpecialTokens): number | undefined =>
  tokenizer.special[role] === undefined ? undefined : tokenizer.specialId(role);

/** What pads rows: any token will do where there is none, since nobody sees it. */
const padOf = (tokenizer: Tokenizer): number => roleId(tokenizer, 'pad') ?? 0;

export interface MaskTokens {
  readonly mask: number;
  readonly pad: number;
  /** Stand around a text, where the tokenizer has them. */
  readonly before: readonly number[];
  readonly after: readonly number[];
}

export function maskTokens(tokenizer: Tokenizer): MaskTokens {
  const around = (role: 'cls' | 'sep'): number[] => {
    const id = roleId(tokenizer, role);
    return id === undefined ? [] : [id];
  };
  return {
    mask: needed(roleId(tokenizer, 'mask'), 'a mask token', 'masked'),
    pad: padOf(tokenizer),
    before: around('cls'),
    after: around('sep'),
  };
}

export interface SpanTokens {
  /** The first sentinel; those after it go down. */
  readonly sentinel: number;
  readonly sentinels: number;
  readonly end: number;
  readonly pad: number;
}

export function spanTokens(tokenizer: Tokenizer): SpanTokens {
  const first = needed(tokenizer.id(sentinel(0)), `sentinels (${sentinel(0)} …)`, 'span');
  let count = 1;
  while (tokenizer.id(sentinel(count)) === first - count) count++;
  return {
    sentinel: first,
    sentinels: count,
    end: needed(roleId(tokenizer, 'eos'), 'an end token', 'span'),
    pad: padOf(tokenizer),
  };
}

export interface BlankTokens {
  readonly mask: number;
  readonly start: number;
  readonly end: number;
  readonly pad: number;
}

export function blankTokens(tokenizer: Tokenizer): BlankTokens {
  return {
    mask: needed(roleId(tokenizer, 'mask'), 'a mask token', 'blank'),
    start: needed(tokenizer.id(startOfBlank), startOfBlank, 'blank'),
    end: needed(tokenizer.id(endOfBlank), endOfBlank, 'blank'),
    pad: padOf(tokenizer),
  };
}

/** A text as it stands: nothing set around it, and what spells a special token is text, where the tokenizer can be told so. */
export function plainTokens(tokenizer: Tokenizer, text: string): Int32Array {
  try {
    return tokenizer.encode(text, { special: false, specialInText: false });
  } catch (error) {
    if (!(error instanceof InfinigradError)) throw error;
    return tokenizer.encode(text, { special: false });
  }
}
