/** What a step of each objective is: windows of text become a batch, and the model is called on it. */
import { crossEntropy } from '@infinigrad/nn';
import { fromData, InfinigradError, type Key, type Tensor } from '@infinigrad/tensor';
import {
  blankBatch,
  causalBatch,
  encoderDecoderBatch,
  maskedBatch,
  prefixBatch,
  prefixLength,
  spanCorruptionBatch,
  spanCounts,
  spanLengths,
  type BlankBatch,
  type CausalBatch,
  type EncoderDecoderBatch,
  type MaskedBatch,
  type PrefixBatch,
  type Tokenizer,
} from '@infinigrad/zoo';
import { UsageError } from '../errors.ts';
import type { TrainedModel } from '../families.ts';
import { windowRow } from '../train/windows.ts';
import type { Kind, ObjectiveName } from './names.ts';
import { blankTokens, maskTokens, plainTokens, spanTokens } from './special.ts';

/** What counts of a batch. */
export interface Batch {
  /** i32, -100 where nothing is to be told. */
  readonly targets: Tensor;
  /** Targets that count. */
  readonly count: number;
}

export interface Course<B extends Batch = Batch> {
  /** Tokens of text in a row. */
  readonly window: number;
  /** The last token of a row is told alone, and the first of the next read alone: it may be the same. */
  readonly overlaps: boolean;
  /** The tokenizer sets around texts what it sets around them, and an end token after each. */
  readonly marked: boolean;
  /** @param windows as many tokens each as `window` says; fewer at the end of a text @param key decides what is taken out */
  batch(windows: readonly Int32Array[], key: Key): B;
  /** @param key for dropout, in training */
  logits(model: TrainedModel, batch: B, key?: Key): Tensor;
}

/** What the objectives with noise can be told. */
export interface NoiseOptions {
  /** Share of the tokens that are hidden or taken out. */
  readonly noise: number;
  /** Mean length of what is taken out. */
  readonly spanLength: number;
}

export interface CourseOptions extends NoiseOptions {
  readonly kind: Kind;
  /** Tokens that the model reads at once. */
  readonly length: number;
  /** Of the model. */
  readonly vocabSize: number;
}

const keyed = (key: Key | undefined): { readonly key?: Key } => (key ? { key } : {});

function causal({ length }: CourseOptions): Course<CausalBatch> {
  return {
    window: length + 1,
    overlaps: true,
    marked: true,
    batch: (windows) => causalBatch(windows.map((tokens) => windowRow(tokens, 0, tokens.length - 1))),
    logits: (model, { inputIds }, key) => model.forward(inputIds, keyed(key)).logits,
  };
}

/** For batches of the next token that are made otherwise. */
export const nextToken: Course = causal({
  length: 1,
  kind: 'decoder',
  vocabSize: 2,
  noise: 0,
  spanLength: 1,
}) as Course<never> as unknown as Course;

function masked(
  { length, noise: rate, vocabSize }: CourseOptions,
  tokenizer: Tokenizer,
): Course<MaskedBatch> {
  const { mask, pad, before, after } = maskTokens(tokenizer);
  const special = [...before, ...after, pad];
  const window = length - before.length - after.length;
  if (window < 1) throw new UsageError(`--length ${length} has no room beside the tokens around a text`);
  return {
    window,
    overlaps: false,
    marked: false,
    batch(windows, key) {
      const rows = windows.map((tokens) => [...before, ...tokens, ...after]);
      // Of few tokens it may be that none is chosen.
      for (let attempt = 0; ; attempt++) {
        const batch = maskedBatch(rows, { vocabSize, mask, special, pad, rate }, key.foldIn(attempt));
        if (batch.count > 0 || attempt === 1000) return batch;
      }
    },
    logits: (model, { inputIds, attentionMask }, key) =>
      model.forward(inputIds, { attentionMask, ...keyed(key) }).logits,
  };
}

function span(
  { length, noise: density, spanLength: meanLength }: CourseOptions,
  tokenizer: Tokenizer,
): Course<EncoderDecoderBatch> {
  const own = spanTokens(tokenizer);
  if (length < 3) throw new UsageError('--objective span needs --length of at least 3');
  const window = spanLengths(length, { density, meanLength }).raw;
  const { spans } = spanCounts(window, { density, meanLength });
  if (spans > own.sentinels)
    throw new UsageError(
      `--length ${length} has ${spans} spans, and the tokenizer ${own.sentinels} sentinels: take a smaller one, or longer spans`,
    );
  return {
    window,
    overlaps: false,
    marked: false,
    batch: (windows, key) => spanCorruptionBatch(windows, { density, meanLength, ...own }, key),
    logits: encodeAndDecode,
  };
}

const encodeAndDecode: Course<EncoderDecoderBatch>['logits'] = (
  model,
  { inputIds, attentionMask, decoderInputIds },
  key,
) => model.forward(inputIds, { attentionMask, decoderInputIds, ...keyed(key) }).logits;

function blank(
  { length, noise: rate, spanLength: meanLength }: CourseOptions,
  tokenizer: Tokenizer,
): Course<BlankBatch> {
  // A blank and its two ends must find room in the table of positions.
  const options = {
    rate,
    meanLength,
    longest: Math.max(1, Math.min(39, length - 1)),
    ...blankTokens(tokenizer),
  };
  return {
    window: length,
    overlaps: false,
    marked: false,
    batch: (windows, key) => blankBatch(windows, options, key),
    logits: (model, { inputIds, sep, positionIds, attentionMask }, key) =>
      model.forward(inputIds, { sep, positionIds, attentionMask, ...keyed(key) }).logits,
  };
}

function prefix({ kind, length }: CourseOptions): Course<PrefixBatch> {
  return {
    window: length + 1,
    overlaps: true,
    marked: kind !== 'blankFiller',
    batch: (windows, key) => prefixBatch(windows, {}, key),
    logits: (model, { inputIds, prefix: seen, attentionMask }, key) =>
      kind === 'blankFiller'
        ? model.forward(inputIds, { ...wholeText(inputIds, seen), attentionMask, ...keyed(key) }).logits
        : model.forward(inputIds, { prefix: seen, ...keyed(key) }).logits,
  };
}

/** For the first GLM: a text without blanks, the beginning of which is seen by all. */
export function wholeText(
  { shape }: Tensor,
  sep: readonly number[],
): { readonly sep: readonly number[]; readonly positionIds: Tensor } {
  const [batch, length] = shape as readonly [number, number];
  const places = Int32Array.from({ length: batch * 2 * length }, (_, i) =>
    Math.floor(i / length) % 2 === 0 ? i % length : 0,
  );
  return { sep, positionIds: fromData(places, [batch, 2, length]) };
}

/** The encoder reads the beginning, the decoder tells the rest. */
function answer({ length }: CourseOptions, tokenizer: Tokenizer): Course<EncoderDecoderBatch> {
  const { end, pad } = spanTokens(tokenizer);
  return {
    window: length,
    overlaps: false,
    marked: false,
    batch: (windows, key) =>
      encoderDecoderBatch(
        windows.map((tokens, i) => {
          const from = prefixLength(tokens.length, 1, key.foldIn(i));
          return { inputs: [...tokens.subarray(0, from), end], targets: tokens.subarray(from) };
        }),
        { pad },
      ),
    logits: encodeAndDecode,
  };
}

/**
 * How a model of this kind is trained on texts.
 * @throws CommandError where the tokenizer lacks tokens, UsageError for settings of no sense
 */
export function courseOf(name: ObjectiveName, options: CourseOptions, tokenizer: Tokenizer): Course {
  const of = {
    causal,
    masked,
    span,
    blank,
    prefix: options.kind === 'encoderDecoder' ? answer : prefix,
  }[name] as (options: CourseOptions, tokenizer: Tokenizer) => Course<never>;
  try {
    return of(options, tokenizer) as unknown as Course;
  } catch (error) {
    if (error instanceof InfinigradError) throw new UsageError(error.message);
    throw error;
  }
}

/** All tokens of texts, one text after another. */
export function tokensOf(
  texts: readonly string[],
  tokenizer: Tokenizer,
  { marked }: Pick<Course, 'marked'>,
): Int32Array {
  const eos = tokenizer.special.eos === undefined ? [] : [tokenizer.specialId('eos')];
  const parts = texts.flatMap((text) =>
    marked ? [tokenizer.encode(text), Int32Array.from(eos)] : [plainTokens(tokenizer, text)],
  );
  const all = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The mean loss of the targets that count, and the share of them that the model would have guessed. */
export function lossOf(course: Course, model: TrainedModel, batch: Batch, key?: Key) {
  const { targets } = batch;
  const logits = course.logits(model, batch, key);
  const counted = targets.ne(-100).cast('f32');
  const right = logits.argMax(-1).eq(targets).cast('f32').mul(counted).sum().div(counted.sum());
  return { loss: crossEntropy(logits, targets), metrics: { accuracy: right } };
}
