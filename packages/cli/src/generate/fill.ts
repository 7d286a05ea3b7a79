/** What is left open in a text, filled in: masks of an encoder, sentinels of an encoder-decoder, blanks of the first GLM. */
import { inferenceMode } from '@infinigrad/autograd';
import { fromData, scope } from '@infinigrad/tensor';
import { fillSpans, generate, type GenerationOptions, type Tokenizer } from '@infinigrad/zoo';
import { CommandError } from '../errors.ts';
import type { LoadedModel } from '../model.ts';
import { blankTokens, maskTokens, spanTokens } from '../objectives/special.ts';
import { blankReader, knownReader } from './readers.ts';

/** What was filled in, in the order of the text. */
export interface Fill {
  /** Its place in the prompt's tokens. */
  readonly at: number;
  readonly tokens: readonly number[];
  /** How likely the model finds it among all tokens, both sides known; of masks alone. */
  readonly probability?: number;
}

export interface Filled {
  /** The prompt, and what was filled in. */
  readonly tokens: readonly number[];
  readonly fills: readonly Fill[];
}

export interface FillOptions {
  readonly loaded: LoadedModel;
  readonly tokenizer: Tokenizer;
  /** Most tokens for each place. */
  readonly maxTokens: number;
  /** How tokens are drawn. @param turn makes the draws of each place others */
  draws(turn: number): GenerationOptions;
}

const placesOf = (ids: readonly number[], token: number): number[] =>
  ids.flatMap((id, at) => (id === token ? [at] : []));

/** The special tokens, which never fill anything. */
const specials = ({ vocabSize, tokenizer }: LoadedModel): number[] =>
  Array.from({ length: vocabSize }, (_, id) => id).filter(
    (id) => id >= tokenizer!.vocabSize || tokenizer!.isSpecial(id),
  );

/** Fills in masks one by one, first where the model is most certain. @throws CommandError for a text without masks */
async function fillMasks(ids: readonly number[], options: FillOptions): Promise<Filled> {
  const { loaded, tokenizer, draws } = options;
  const { mask } = maskTokens(tokenizer);
  const tokens = [...ids];
  const fills: Fill[] = [];
  let open = placesOf(tokens, mask);
  needPlaces(open.length, 'mask', tokenizer);
  const suppressTokens = specials(loaded);
  while (open.length > 0) {
    const rows = inferenceMode(() =>
      scope(() => {
        const all = loaded.model.forward(fromData(Int32Array.from(tokens), [1, tokens.length])).logits;
        return open.map((at) => Float32Array.from(all.narrow(1, at, 1).cast('f32').dataSync()));
      }),
    );
    const likely = rows.map((row) => {
      for (const id of suppressTokens) row[id] = -Infinity;
      const top = row.reduce((a, b) => Math.max(a, b));
      return 1 / row.reduce((sum, x) => sum + Math.exp(x - top), 0);
    });
    const surest = likely.indexOf(Math.max(...likely));
    const row = rows[surest]!;
    const { tokens: drawn } = await generate(knownReader(fromData(row, [1, row.length])), [0], {
      ...draws(fills.length),
      maxNewTokens: 1,
      eosTokenId: null,
    });
    const [token] = drawn[0] as [number];
    const at = open[surest]!;
    const top = row.reduce((a, b) => Math.max(a, b));
    tokens[at] = token;
    fills.push({ at, tokens: [token], probability: likely[surest]! * Math.exp(row[token]! - top) });
    open = open.filter((place) => place !== at);
  }
  return { tokens, fills: fills.sort((a, b) => a.at - b.at) };
}

function needPlaces(count: number, role: 'mask', { special }: Tokenizer): void {
  if (count > 0) return;
  throw new CommandError(
    `the prompt leaves nothing open: write ${special[role]} where something is to be filled in`,
  );
}

/** Fills in blanks from the left, each to its end. @throws CommandError for a text without blanks, or that is too long */
async function fillBlanks(ids: readonly number[], options: FillOptions): Promise<Filled> {
  const { loaded, tokenizer, maxTokens, draws } = options;
  const { mask, start, end } = blankTokens(tokenizer);
  const masks = placesOf(ids, mask);
  needPlaces(masks.length, 'mask', tokenizer);
  const read = [...ids];
  const positions = read.map((_, at) => at);
  const blockPositions = read.map(() => 0);
  const suppressTokens = specials(loaded).filter((id) => id !== end);
  const fills: Fill[] = [];
  for (const [turn, at] of masks.entries()) {
    const reader = blankReader(loaded.model, ids.length, { positions, blockPositions }, at);
    const { tokens: made } = await generate(reader, [...read, start], {
      ...draws(turn),
      maxNewTokens: Math.max(1, Math.min(maxTokens, loaded.most - 1)),
      eosTokenId: end,
      // No blank is empty.
      minNewTokens: 1,
      suppressTokens,
    });
    const tokens = made[0]!.filter((id) => id !== end);
    read.push(start, ...tokens);
    for (let i = 0; i <= tokens.length; i++) {
      positions.push(at);
      blockPositions.push(i + 1);
    }
    fills.push({ at, tokens });
  }
  const tokens = ids.flatMap((id, at) => fills.find((fill) => fill.at === at)?.tokens ?? [id]);
  return { tokens, fills };
}

/** True for a prompt that leaves spans open. */
function hasSentinels(ids: readonly number[], tokenizer: Tokenizer): boolean {
  if (tokenizer.id('<extra_id_0>') === undefined) return false;
  const { sentinel, sentinels } = spanTokens(tokenizer);
  return ids.some((id) => id <= sentinel && id > sentinel - sentinels);
}

/** The decoder tells all spans, and each goes to its sentinel. */
async function fillSentinels(ids: readonly number[], options: FillOptions): Promise<Filled> {
  const { loaded, tokenizer, maxTokens, draws } = options;
  const own = spanTokens(tokenizer);
  const { tokens: made } = await generate(loaded.model as never, ids, {
    ...draws(0),
    maxNewTokens: maxTokens,
  });
  const targets = Int32Array.from(made[0]!);
  const inputs = Int32Array.from(ids);
  const isSentinel = (id: number): boolean => id <= own.sentinel && id > own.sentinel - own.sentinels;
  const fills = ids.flatMap((id, at) =>
    isSentinel(id)
      ? [{ at, tokens: [...fillSpans({ inputs: Int32Array.of(id), targets }, { ...own })] }]
      : [],
  );
  return { tokens: [...fillSpans({ inputs, targets }, own)], fills };
}

export type Filler = (ids: readonly number[], options: FillOptions) => Promise<Filled>;

/** How what is left open in a prompt is filled in; null where the model goes on with it instead. */
export function fillerFor(
  { family, objective, tokenizer }: LoadedModel,
  ids: readonly number[],
): Filler | null {
  if (family.kind === 'encoder') return fillMasks;
  if (family.kind === 'encoderDecoder')
    return tokenizer && hasSentinels(ids, tokenizer) ? fillSentinels : null;
  return family.kind === 'blankFiller' && objective !== 'prefix' ? fillBlanks : null;
}
