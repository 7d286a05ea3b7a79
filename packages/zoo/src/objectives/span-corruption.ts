/**
 * Span corruption (T5, arXiv 1910.10683, section 3.1.4): runs of tokens are taken out of the text, a sentinel stands where each was,
 * and the target is every sentinel with what it stands for.
 */
import { ValueError, type Key } from '@infinigrad/tensor';
import { checkCount, checkId, checkTokens, roundHalfEven, type Tokens } from './checks.ts';
import { Draws } from './draws.ts';

export interface SpanOptions {
  /** How much of the text is taken out. Default 0.15. */
  readonly density?: number;
  /** Mean length of a run. Default 3. */
  readonly meanLength?: number;
}

/** How many tokens of a text are taken out, in how many runs: decided by its length alone. */
export function spanCounts(
  length: number,
  { density = 0.15, meanLength = 3 }: SpanOptions = {},
): { readonly noise: number; readonly spans: number } {
  const op = 'spanCounts';
  checkCount(op, 'length', length);
  if (!(density > 0 && density < 1)) throw new ValueError(op, `density must lie in (0, 1), got ${density}`);
  if (!(meanLength >= 1)) throw new ValueError(op, `meanLength must be ≥ 1, got ${meanLength}`);
  const whole = Math.max(length, 2);
  const noise = Math.min(Math.max(roundHalfEven(whole * density), 1), whole - 1);
  // As many kept runs as noisy ones, none of them empty.
  const spans = Math.min(Math.max(1, roundHalfEven(noise / meanLength)), noise, whole - noise);
  return { noise, spans };
}

/** Which tokens of a text are taken out: 1 for those. It begins with a kept run and ends with a noisy one. */
export function spanMask(length: number, options: SpanOptions, key: Key): Uint8Array {
  const { noise, spans } = spanCounts(length, options);
  const whole = Math.max(length, 2);
  const draws = new Draws(key);
  const noisy = segmentation(noise, spans, draws);
  const kept = segmentation(whole - noise, spans, draws);
  const mask = new Uint8Array(whole);
  let at = 0;
  for (let i = 0; i < spans; i++) {
    at += kept[i]!;
    mask.fill(1, at, at + noisy[i]!);
    at += noisy[i]!;
  }
  return mask.slice(0, length);
}

/** `items` in so many parts, none of them empty: every way is as likely. */
function segmentation(items: number, parts: number, draws: Draws): number[] {
  const first = draws.shuffle(Array.from({ length: items - 1 }, (_, i) => i < parts - 1));
  const lengths = [1];
  for (const begins of first) {
    if (begins) lengths.push(1);
    else lengths[lengths.length - 1]!++;
  }
  return lengths;
}

/** Tokens of raw text, and of targets, for inputs of at most so many tokens: end of text included, nothing padded. */
export function spanLengths(
  inputs: number,
  options: SpanOptions = {},
): { readonly raw: number; readonly targets: number } {
  checkCount('spanLengths', 'inputs', inputs, 3);
  const of = (raw: number): readonly [inputs: number, targets: number] => {
    const { noise, spans } = spanCounts(raw, options);
    return [raw - noise + spans + 1, noise + spans + 1];
  };
  let raw = 1;
  while (of(raw + 1)[0] <= inputs) raw++;
  const targets = of(raw)[1];
  // The reference's way to even lengths at a half.
  return options.density === 0.5 && targets > inputs
    ? { raw: raw - 1, targets: targets - 1 }
    : { raw, targets };
}

export interface SentinelOptions {
  /** Id of the first sentinel; those after it go down: 32099 for T5 (`<extra_id_0>`). */
  readonly sentinel: number;
  /** How many there are. Default 100. */
  readonly sentinels?: number;
  /** Ends inputs and targets: 1 for T5. Default: none. */
  readonly end?: number;
}

export interface Corrupted {
  readonly inputs: Int32Array;
  readonly targets: Int32Array;
}

/**
 * Each run that the mask marks becomes one sentinel; the targets are the sentinels with their runs. Where the text ends with a kept
 * run, one more sentinel closes the targets, as in T5's examples; masks of `spanMask` end with a noisy one.
 * @throws ValueError where there are more runs than sentinels, or the text holds sentinels
 */
export function corruptSpans(tokens: Tokens, mask: ArrayLike<number>, options: SentinelOptions): Corrupted {
  const op = 'corruptSpans';
  const { sentinel, sentinels, last } = checkedSentinels(op, options);
  checkTokens(op, tokens, 0);
  if (mask.length !== tokens.length)
    throw new ValueError(op, `the mask is for ${mask.length} tokens, not ${tokens.length}`);
  const inputs: number[] = [];
  const targets: number[] = [];
  let runs = 0;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (token <= sentinel && token >= last)
      throw new ValueError(op, `the text holds token ${token}, which is a sentinel`);
    if (!mask[i]) {
      inputs.push(token);
      continue;
    }
    if (i === 0 || !mask[i - 1]) {
      inputs.push(sentinel - runs);
      targets.push(sentinel - runs);
      runs++;
    }
    targets.push(token);
  }
  if (tokens.length > 0 && !mask[tokens.length - 1]) targets.push(sentinel - runs++);
  if (runs > sentinels)
    throw new ValueError(op, `the text needs ${runs} sentinels, there are ${sentinels}`, {
      hint: 'take shorter texts, or longer spans',
    });
  if (options.end !== undefined) for (const row of [inputs, targets]) row.push(options.end);
  return { inputs: Int32Array.from(inputs), targets: Int32Array.from(targets) };
}

/**
 * The text again: inputs with each sentinel replaced by its run of the targets. What `corruptSpans` made comes back; of what a model
 * wrote, sentinels that it left out stand for nothing.
 */
export function fillSpans({ inputs, targets }: Corrupted, options: SentinelOptions): Int32Array {
  const { sentinel, last } = checkedSentinels('fillSpans', options);
  const isSentinel = (token: number): boolean => token <= sentinel && token >= last;
  const runs = new Map<number, number[]>();
  let run: number[] = [];
  for (const token of untilEnd(targets, options.end))
    if (isSentinel(token)) {
      run = [];
      if (!runs.has(token)) runs.set(token, run);
    } else run.push(token);
  const text: number[] = [];
  for (const token of untilEnd(inputs, options.end))
    if (isSentinel(token)) text.push(...(runs.get(token) ?? []));
    else text.push(token);
  return Int32Array.from(text);
}

function untilEnd(tokens: Int32Array, end: number | undefined): Int32Array {
  const at = end === undefined ? -1 : tokens.lastIndexOf(end);
  return at < 0 ? tokens : tokens.subarray(0, at);
}

function checkedSentinels(
  op: string,
  { sentinel, sentinels = 100, end }: SentinelOptions,
): { readonly sentinel: number; readonly sentinels: number; readonly last: number } {
  checkId(op, 'sentinel', sentinel);
  checkCount(op, 'sentinels', sentinels);
  const last = sentinel - sentinels + 1;
  if (last < 0) throw new ValueError(op, `${sentinels} sentinels do not fit below ${sentinel}`);
  if (end !== undefined) {
    checkId(op, 'end', end);
    if (end <= sentinel && end >= last) throw new ValueError(op, `end ${end} is a sentinel`);
  }
  return { sentinel, sentinels, last };
}
