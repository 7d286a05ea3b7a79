/** TensorBoard's events as bytes: scalars, histograms, texts (tensorflow/core/util/event.proto and framework/summary.proto). */
import { double, float, integer, joined, message, packedDoubles, string, type Field } from './protobuf.ts';
import { framed } from './records.ts';

/** Seconds since 1970. */
type WallTime = number;

/** A record of an event file: Event { wall_time = 1, step = 2, … }. */
const event = (time: WallTime, step: number, ...what: readonly Field[]): Uint8Array =>
  framed(joined([double(1, time), ...(step === 0 ? [] : [integer(2, step)]), ...what]));

/** What an event file begins with: Event.file_version = 3. */
export const versionEvent = (time: WallTime): Uint8Array => event(time, 0, string(3, 'brain.Event:2'));

/** A run goes on from a step: readers drop what came at it or after (Event.session_log = 7, SessionLog.START = 1). */
export const restartEvent = (time: WallTime, step: number): Uint8Array =>
  event(time, step, message(7, integer(1, 1)));

/** Event.summary = 5, with a Summary.Value { tag = 1, … } for each. */
const summary = (time: WallTime, step: number, values: readonly (readonly Field[])[]): Uint8Array =>
  event(time, step, message(5, ...values.map((fields) => message(1, ...fields))));

/** simple_value = 2. */
export const scalarEvent = (
  time: WallTime,
  step: number,
  values: Readonly<Record<string, number>>,
): Uint8Array =>
  summary(
    time,
    step,
    Object.entries(values).map(([name, value]) => [string(1, name), float(2, value)]),
  );

/** A text, as the text plug-in wants it: metadata = 9 { plugin_data = 1 { plugin_name = 1 } }, tensor = 8 { dtype = 1, string_val = 8 }. */
export const textEvent = (time: WallTime, step: number, name: string, content: string): Uint8Array =>
  summary(time, step, [
    [
      string(1, name),
      message(8, integer(1, 7), message(2), string(8, content)),
      message(9, message(1, string(1, 'text'))),
    ],
  ]);

/** What a histogram tells of numbers. */
export interface Buckets {
  readonly min: number;
  readonly max: number;
  readonly num: number;
  readonly sum: number;
  readonly sumSquares: number;
  /** Right edges, ascending. */
  readonly limits: readonly number[];
  readonly counts: readonly number[];
}

/** Counts in buckets of one width from the least to the greatest; what is not finite is left out. */
export function bucketsOf(values: ArrayLike<number>, count = 30): Buckets {
  let [min, max, num, sum, sumSquares] = [Infinity, -Infinity, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const v = values[i]!;
    if (!Number.isFinite(v)) continue;
    min = Math.min(min, v);
    max = Math.max(max, v);
    sum += v;
    sumSquares += v * v;
    num++;
  }
  if (num === 0) return { min: 0, max: 0, num, sum, sumSquares, limits: [0], counts: [0] };
  const used = max > min ? count : 1;
  const width = (max - min) / used;
  const counts = new Array<number>(used).fill(0);
  for (let i = 0; i < values.length; i++) {
    const v = values[i]!;
    if (Number.isFinite(v)) counts[used === 1 ? 0 : Math.min(used - 1, Math.floor((v - min) / width))]!++;
  }
  const limits = counts.map((_, i) => (i === used - 1 ? max : min + width * (i + 1)));
  return { min, max, num, sum, sumSquares, limits, counts };
}

/** histo = 5, of { min, max, num, sum, sum_squares, bucket_limit, bucket } = 1 … 7. */
export function histogramEvent(
  time: WallTime,
  step: number,
  name: string,
  values: ArrayLike<number>,
): Uint8Array {
  const { min, max, num, sum, sumSquares, limits, counts } = bucketsOf(values);
  const numbers = [min, max, num, sum, sumSquares].map((value, i) => double(i + 1, value));
  return summary(time, step, [
    [string(1, name), message(5, ...numbers, packedDoubles(6, limits), packedDoubles(7, counts))],
  ]);
}
