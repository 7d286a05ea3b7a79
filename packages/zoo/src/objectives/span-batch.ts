/** Batches of span corruption for models that encode and decode. */
import type { Key, Tensor } from '@infinigrad/tensor';
import { checkId, checkTokens, ignored, type Tokens } from './checks.ts';
import { counted, paddedRows, presence, rowLength } from './rows.ts';
import { corruptSpans, spanMask, type SentinelOptions, type SpanOptions } from './span-corruption.ts';

export interface EncoderDecoderBatch {
  /** i32 [batch, T]. */
  readonly inputIds: Tensor;
  /** bool [batch, T]: false for padding. */
  readonly attentionMask: Tensor;
  /** i32 [batch, U]: the targets one place later, after `start`. */
  readonly decoderInputIds: Tensor;
  /** i32 [batch, U]: -100 for padding. */
  readonly targets: Tensor;
  /** Targets that count. */
  readonly count: number;
}

export interface EncoderDecoderOptions {
  /** Default 0. */
  readonly pad?: number;
  /** What the decoder begins with. Default: `pad`, as T5 has it. */
  readonly start?: number;
  /** Tokens of inputs. Default: as many as the longest has. */
  readonly length?: number;
  /** Tokens of targets. Default: as many as the longest has. */
  readonly targetLength?: number;
}

/** Pairs of inputs and targets, padded on the right, with what the decoder reads. */
export function encoderDecoderBatch(
  pairs: readonly { readonly inputs: Tokens; readonly targets: Tokens }[],
  { pad = 0, start = pad, length, targetLength }: EncoderDecoderOptions = {},
): EncoderDecoderBatch {
  const op = 'encoderDecoderBatch';
  checkId(op, 'pad', pad);
  checkId(op, 'start', start);
  for (const { inputs, targets } of pairs) {
    checkTokens(op, inputs);
    checkTokens(op, targets);
  }
  const inputs = pairs.map((pair) => pair.inputs);
  const targets = pairs.map((pair) => pair.targets);
  const T = rowLength(op, inputs, length);
  const U = rowLength(op, targets, targetLength);
  const read = targets.map((row) => [start, ...Array.from(row).slice(0, -1)]);
  return {
    inputIds: paddedRows(inputs, T, pad),
    attentionMask: presence(inputs, T),
    decoderInputIds: paddedRows(read, U, pad),
    targets: paddedRows(targets, U, ignored),
    count: counted(targets),
  };
}

/** Texts, each corrupted by a key of its own. @throws ValueError for settings or tokens out of range */
export function spanCorruptionBatch(
  texts: readonly Tokens[],
  options: SpanOptions & SentinelOptions & EncoderDecoderOptions,
  key: Key,
): EncoderDecoderBatch {
  const op = 'spanCorruptionBatch';
  const pairs = texts.map((text, i) => {
    checkTokens(op, text, 2);
    return corruptSpans(text, spanMask(text.length, options, key.foldIn(i)), options);
  });
  return encoderDecoderBatch(pairs, options);
}
