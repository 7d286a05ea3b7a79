/**
 * The passkey task: digits hidden once in a long stream of filler, asked for at the end.
 *
 *   filler … KEY d1 … dK … filler … QRY d1 … dK
 *
 * Differences from the paper's prompt, on purpose: tokens instead of English, and the key block is never cut by a
 * segment boundary.
 */
import { fromData, ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import { draw } from './draw.ts';

export const fillerSymbols = 24;
const keyToken = 10;
const queryToken = 11;
const firstFiller = 12;
/** Digits 0 … 9, KEY, QRY, and the filler symbols. */
export const passkeyVocabSize = firstFiller + fillerSymbols;

/** Where the key may lie: the first tenth of the segments before the query's, the middle one, the last, or anywhere. */
export type KeyPosition = 'start' | 'middle' | 'end' | 'any';

export interface PasskeyLayout {
  readonly segmentLength: number;
  /** Digits of the key, K. */
  readonly digits: number;
  /** `cyclic`: the symbols in order, from a random phase. `random`: each drawn anew. */
  readonly filler: 'cyclic' | 'random';
}

export interface PasskeyBatch {
  /** i32 [batch, segments · segmentLength]. */
  readonly tokens: Tensor;
  /** The same, row-major. */
  readonly data: Int32Array;
  /** The digits hidden in each row, [batch][K]. */
  readonly answers: readonly (readonly number[])[];
}

export interface BatchOptions {
  readonly batch: number;
  readonly segments: number;
  readonly position: KeyPosition;
  /** Probability that the key lies in the query's own segment instead. Default 0. */
  readonly ownSegment?: number;
}

/** Segments (counted from 0) in which a key at this position may lie; the query's own is never among them. */
export function segmentRange(
  position: KeyPosition,
  segments: number,
): readonly [first: number, last: number] {
  const before = segments - 1;
  const tenth = Math.max(1, Math.round(before * 0.1));
  if (position === 'start') return [0, tenth - 1];
  if (position === 'end') return [before - tenth, before - 1];
  if (position === 'any') return [0, before - 1];
  const first = Math.min(before - 1, Math.floor(before * 0.45));
  return [first, Math.max(first, Math.ceil(before * 0.55) - 1)];
}

/** @throws ValueError where the key does not fit twice into a segment, or there is no segment before the query's */
export function checkLayout({ segmentLength, digits }: PasskeyLayout, segments: number): void {
  if (segmentLength < 2 * (digits + 1))
    throw new ValueError(
      'passkey',
      `a segment of ${segmentLength} tokens does not hold a key and a query of ${digits} digits`,
    );
  if (segments < 2) throw new ValueError('passkey', `needs at least 2 segments, got ${segments}`);
}

/** One batch, decided by the key. */
export function passkeyBatch(
  layout: PasskeyLayout,
  { batch, segments, position, ownSegment = 0 }: BatchOptions,
  key: Key,
): PasskeyBatch {
  checkLayout(layout, segments);
  const { segmentLength, digits, filler } = layout;
  const length = segments * segmentLength;
  const [first, last] = segmentRange(position, segments);
  // Uniform numbers in [0, 1): per row 4 and the digits, then one for each token of random filler.
  const [choiceKey, fillerKey] = key.split(2) as [Key, Key];
  const choices = draw(() => choiceKey.uniform([batch, 4 + digits], { dtype: 'f64' }));
  const noise = filler === 'random' ? draw(() => fillerKey.randint(0, fillerSymbols, [batch, length])) : null;
  const data = new Int32Array(batch * length);
  const answers: number[][] = [];
  for (let row = 0; row < batch; row++) {
    const choice = (i: number, count: number): number => Math.floor(choices[row * (4 + digits) + i]! * count);
    const phase = choice(0, fillerSymbols);
    const start = row * length;
    for (let t = 0; t < length; t++)
      data[start + t] = firstFiller + (noise ? noise[start + t]! : (phase + t) % fillerSymbols);
    const own = choices[row * (4 + digits) + 1]! < ownSegment;
    const segment = own ? segments - 1 : first + choice(2, last - first + 1);
    // The whole block lies in one segment; in the query's own it ends before the query.
    const offset = choice(3, segmentLength - digits - (own ? digits + 1 : 0));
    const answer = Array.from({ length: digits }, (_, i) => choice(4 + i, 10));
    data.set([keyToken, ...answer], start + segment * segmentLength + offset);
    data.set([queryToken, ...answer], start + length - digits - 1);
    answers.push(answer);
  }
  return { tokens: fromData(data, [batch, length]), data, answers };
}

/** Next-token targets with weights, for one loss over both parts. */
export interface PasskeyTargets {
  /** i32 [batch, length]: the next token; 0 (with weight 0) at the end. */
  readonly targets: Tensor;
  /** f32 [batch, length]: 1 / answers on the answer digits, `otherWeight` / others elsewhere. */
  readonly weights: Tensor;
}

/** Mean cross-entropy over the answers plus `otherWeight` times the mean over all other tokens, as weights. */
export function passkeyTargets(
  { digits }: PasskeyLayout,
  { tokens, data }: PasskeyBatch,
  otherWeight: number,
): PasskeyTargets {
  const [batch, length] = tokens.shape as [number, number];
  const targets = new Int32Array(data.length);
  const weights = new Float32Array(data.length);
  const others = batch * (length - 1 - digits);
  for (let row = 0; row < batch; row++)
    for (let t = 0; t < length - 1; t++) {
      targets[row * length + t] = data[row * length + t + 1]!;
      const answers = t >= length - digits - 1;
      weights[row * length + t] = answers ? 1 / (batch * digits) : otherWeight / others;
    }
  return { targets: fromData(targets, tokens.shape), weights: fromData(weights, tokens.shape) };
}
