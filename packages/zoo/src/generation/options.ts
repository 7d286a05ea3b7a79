/** What generation can be asked for, with the defaults. */
import { ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import { checkTokens, checkWhole } from './checks.ts';
import type { CacheKind, TokenDefaults } from './model.ts';
import { minP, temperature, topK, topP, typicalP } from './processors/distribution.ts';
import { minNewTokens, noRepeatNgrams, repetitionPenalty, suppressTokens } from './processors/history.ts';
import { chain, type LogitsProcessor } from './processors/processor.ts';

export interface GenerationOptions {
  /** Default 20. */
  readonly maxNewTokens?: number | undefined;
  /** No end token comes before so many tokens. Default 0. */
  readonly minNewTokens?: number | undefined;

  /** Draws tokens by their probabilities; the same key, the same draws, on every backend. Default: the most likely token (greedy). */
  readonly key?: Key | undefined;
  /** With a key: logits are divided by it. Default 1. */
  readonly temperature?: number | undefined;
  /** With a key: draw among the k most likely tokens. With `penaltyAlpha`: weigh so many. Default: all. */
  readonly topK?: number | undefined;
  /** With a key: draw among the fewest most likely tokens whose probabilities sum to p. Default 1: all. */
  readonly topP?: number | undefined;
  /** With a key: draw among tokens at least p times as likely as the most likely. Default: all. */
  readonly minP?: number | undefined;
  /** With a key: draw among the most typical tokens whose probabilities sum to this. Default 1: all. */
  readonly typicalP?: number | undefined;

  /** Above 1 tokens that were there are less likely to come again. Default 1. */
  readonly repetitionPenalty?: number | undefined;
  /** No sequence of so many tokens comes twice. Default: any may. */
  readonly noRepeatNgramSize?: number | undefined;
  /** Tokens that never come. Default none. */
  readonly suppressTokens?: readonly number[] | undefined;
  /** Further processors: after those for repetition and length, before those that go with a key. Default none. */
  readonly processors?: readonly LogitsProcessor[] | undefined;

  /** A row ends with one of these. null: with none. Default: the model configuration's. */
  readonly eosTokenId?: number | readonly number[] | null | undefined;
  /** Further tokens that a row ends with; `minNewTokens` does not hold them back. Default none. */
  readonly stopTokenIds?: readonly number[] | undefined;
  /** A row ends when one of these is in the text of what has been generated, also across tokens. Needs `decode`. Default none. */
  readonly stopStrings?: readonly string[] | undefined;
  /** The text of tokens. With it the result has `texts`. */
  readonly decode?: ((tokens: readonly number[]) => string) | undefined;
  /** What ended rows read while others go on; and in a tensor of prompts, what is padding, unless `attentionMask` tells. Default: the configuration's, or 0. */
  readonly padTokenId?: number | null | undefined;
  /** What an encoder-decoder model's answer begins with. Default: the configuration's. */
  readonly decoderStartTokenId?: number | undefined;
  /** bool or numbers [batch, T] beside a tensor of prompts: false or 0 for padding (on the left, but for an encoder). */
  readonly attentionMask?: Tensor | readonly (readonly (number | boolean)[])[] | undefined;

  /** Above 1: beam search, which keeps so many continuations. Default 1. */
  readonly numBeams?: number | undefined;
  /** With beams: scores are divided by length ** penalty. Above 0 longer ones win. Default 1. */
  readonly lengthPenalty?: number | undefined;
  /** With beams: stop when there are `numBeams` ended ones (true), when those that go on look no better (false), or cannot get better ('never'). Default false. */
  readonly earlyStopping?: boolean | 'never' | undefined;
  /** Rows of the result for each prompt: draws with a key, or the best beams. Default 1. */
  readonly numReturnSequences?: number | undefined;
  /** Contrastive search (arXiv 2202.06417) with `topK` candidates: the weight of being unlike what was there. Default 0: none. */
  readonly penaltyAlpha?: number | undefined;

  /** How the model remembers: see `CacheKind`. Default 'growing'. */
  readonly cache?: CacheKind | undefined;
  /** Keep the processed logits [rows, vocabulary] of each step, as tensors. Not with beams. Default false. */
  readonly outputScores?: boolean | undefined;
  /** Tell the log-probability of each token, after processing. Not with beams. Default false. */
  readonly outputLogProbs?: boolean | undefined;
  /** Ends generation with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Options with everything looked up and checked. */
export interface Settings {
  readonly maxNewTokens: number;
  readonly key: Key | null;
  readonly endTokens: ReadonlySet<number>;
  /** End tokens that count for the width of a beam search. */
  readonly eosCount: number;
  readonly padToken: number;
  /** null where nothing says what is padding. */
  readonly givenPadToken: number | null;
  readonly startToken: number | null;
  readonly stopStrings: readonly string[];
  readonly decode: ((tokens: readonly number[]) => string) | null;
  readonly processor: LogitsProcessor;
  readonly numBeams: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | 'never';
  readonly numReturnSequences: number;
  readonly penaltyAlpha: number;
  readonly candidates: number;
  readonly cache: CacheKind;
  readonly outputScores: boolean;
  readonly outputLogProbs: boolean;
  readonly signal: AbortSignal | null;
}

function fail(problem: string, hint?: string): never {
  throw new ValueError('generate', problem, hint === undefined ? {} : { hint });
}

const drawing = ['temperature', 'topK', 'topP', 'minP', 'typicalP'] as const;

/** In Hugging Face's order. */
function processorOf(options: GenerationOptions, eos: readonly number[]): LogitsProcessor {
  const { repetitionPenalty: penalty = 1, noRepeatNgramSize, minNewTokens: least = 0, key } = options;
  const all: LogitsProcessor[] = [];
  if (penalty !== 1) all.push(repetitionPenalty(penalty));
  if (noRepeatNgramSize !== undefined) all.push(noRepeatNgrams(noRepeatNgramSize));
  const held = minNewTokens(least, eos);
  if (least > 0 && eos.length > 0) all.push(held);
  if (options.suppressTokens?.length) all.push(suppressTokens(options.suppressTokens));
  all.push(...(options.processors ?? []));
  if (key) {
    if (options.temperature !== undefined) all.push(temperature(options.temperature));
    if (options.topK !== undefined) all.push(topK(options.topK));
    if (options.topP !== undefined) all.push(topP(options.topP));
    if (options.minP !== undefined) all.push(minP(options.minP));
    if (options.typicalP !== undefined) all.push(typicalP(options.typicalP));
  }
  return chain(all);
}

function checkTogether(options: GenerationOptions): void {
  const { key, numBeams = 1, penaltyAlpha = 0, numReturnSequences = 1, topK: k } = options;
  if (!key)
    for (const name of drawing)
      if (options[name] !== undefined && !(name === 'topK' && penaltyAlpha > 0))
        fail(`${name} tells how tokens are drawn, which needs a key`, 'key: new Key(seed)');
  if (numBeams > 1 && (key || penaltyAlpha > 0))
    fail('beam search draws nothing and is not contrastive', 'leave out key and penaltyAlpha, or numBeams');
  if (penaltyAlpha > 0 && (key || !(k !== undefined && k > 1)))
    fail('contrastive search needs topK > 1, and no key');
  if (numReturnSequences > 1 && !key && numReturnSequences > numBeams)
    fail(`${numReturnSequences} sequences for each prompt need a key, or as many beams`);
  if (numBeams > 1 && (options.outputScores || options.outputLogProbs))
    fail('beam search tells sequenceScores alone', 'leave out outputScores and outputLogProbs');
  if (options.stopStrings?.length && !options.decode) fail('stopStrings needs decode');
  if (options.stopStrings?.includes('')) fail('stopStrings holds an empty string');
}

/** @throws ValueError for options that make no sense, alone or together */
export function settingsOf(options: GenerationOptions, defaults: TokenDefaults): Settings {
  const {
    maxNewTokens = 20,
    numBeams = 1,
    numReturnSequences = 1,
    penaltyAlpha = 0,
    cache = 'growing',
  } = options;
  const { lengthPenalty = 1, earlyStopping = false, stopTokenIds = [] } = options;
  checkWhole('maxNewTokens', maxNewTokens, 1);
  checkWhole('numBeams', numBeams, 1);
  checkWhole('numReturnSequences', numReturnSequences, 1);
  if (!(penaltyAlpha >= 0 && penaltyAlpha <= 1)) fail(`penaltyAlpha must lie in [0, 1], got ${penaltyAlpha}`);
  if (!Number.isFinite(lengthPenalty)) fail(`lengthPenalty must be finite, got ${lengthPenalty}`);
  if (![true, false, 'never'].includes(earlyStopping))
    fail(`earlyStopping must be true, false or 'never', got ${String(earlyStopping)}`);
  if (!['growing', 'fixed', 'none'].includes(cache))
    fail(`cache must be 'growing', 'fixed' or 'none', got '${String(cache)}'`);
  const { eosTokenId = defaults.eosTokenId } = options;
  const eos = [eosTokenId ?? []].flat();
  checkTokens('eosTokenId', eos);
  checkTokens('stopTokenIds', stopTokenIds);
  const { padTokenId = defaults.padTokenId } = options;
  const givenPadToken = [padTokenId ?? []].flat()[0] ?? null;
  const startToken = options.decoderStartTokenId ?? defaults.decoderStartTokenId ?? null;
  checkTokens('padTokenId', givenPadToken === null ? [] : [givenPadToken]);
  checkTokens('decoderStartTokenId', startToken === null ? [] : [startToken]);
  checkTogether(options);
  const endTokens = new Set([...eos, ...stopTokenIds]);
  return {
    maxNewTokens,
    key: options.key ?? null,
    endTokens,
    eosCount: endTokens.size,
    padToken: givenPadToken ?? 0,
    givenPadToken,
    startToken,
    stopStrings: options.stopStrings ?? [],
    decode: options.decode ?? null,
    processor: processorOf(options, eos),
    numBeams,
    lengthPenalty,
    earlyStopping,
    numReturnSequences,
    penaltyAlpha,
    candidates: options.topK ?? 1,
    cache,
    outputScores: options.outputScores ?? false,
    outputLogProbs: options.outputLogProbs ?? false,
    signal: options.signal ?? null,
  };
}
