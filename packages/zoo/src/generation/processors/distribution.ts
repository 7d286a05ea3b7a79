/** Processors that look at the distribution alone. */
import { zeros, type Tensor } from '@infinigrad/tensor';
import { checkFraction, checkPositive, checkWhole } from '../checks.ts';
import { boundOfMass, rowOf, upTo } from './nucleus.ts';
import { without, type LogitsProcessor } from './processor.ts';

/** Logits divided by a temperature: below 1 sharper, above 1 flatter. @throws ValueError unless temperature > 0 */
export function temperature(value: number): LogitsProcessor {
  checkPositive('temperature', value);
  return (logits) => logits.div(value);
}

/** Keeps the k most likely tokens, and those as likely as the last of them. @throws ValueError unless k is an integer ≥ 1 */
export function topK(k: number): LogitsProcessor {
  checkWhole('topK', k, 1);
  return (logits) => {
    const kept = Math.min(k, logits.shape[1]!);
    const { values } = logits.topK(kept, -1);
    return without(logits, logits.lt(values.narrow(1, kept - 1, 1)));
  };
}

/** Halves have become f32 before. */
type Floats = Float32Array | Float64Array;

/** What is kept, named in an order along the last axis, as a mask over the tokens in their own. */
function inPlace(keptInOrder: Tensor, order: Tensor): Tensor {
  const { shape, backend } = order;
  return zeros(shape, { dtype: 'i32', backend }).scatterSet(-1, order, keptInOrder.cast('i32')).ne(0);
}

/** As sums of a dtype would be compared. */
const rounding = ({ dtype }: Tensor): ((sum: number) => number) =>
  dtype === 'f64' ? (sum) => sum : Math.fround;

/**
 * Nucleus sampling (arXiv 1904.09751): keeps the fewest most likely tokens whose probabilities sum to at least p. Of equally
 * likely ones the first.
 * @throws ValueError unless 0 < p ≤ 1
 */
export function topP(p: number): LogitsProcessor {
  checkFraction('topP', p);
  if (p === 1) return (logits) => logits;
  return (logits) => {
    const probabilities = logits.softmax(-1);
    if (!logits.backend.synchronous) {
      // Reading would mean waiting: sorted by ops.
      const order = logits.argSort(-1, true);
      const sorted = probabilities.gather(-1, order);
      return without(logits, inPlace(sorted.cumsum(-1).sub(sorted).lt(p), order).logicalNot());
    }
    const [values, weights] = [logits, probabilities].map((x) => x.dataSync() as Floats) as [Floats, Floats];
    const keys = values.slice();
    for (let i = 0; i < keys.length; i++) keys[i] = -keys[i]!;
    const n = logits.shape[1]!;
    const round = rounding(logits);
    // All that are less likely than this together are less likely than what is left out, sums of f32 considered.
    const least = (1 - p - 1e-5) / n;
    return upTo(
      logits,
      values,
      keys,
      (line, row) => boundOfMass(line, rowOf(weights, row, n), round(p), round, least),
      false,
    );
  };
}

/** Keeps tokens at least p times as likely as the most likely one (arXiv 2407.01082). @throws ValueError unless 0 < p ≤ 1 */
export function minP(p: number): LogitsProcessor {
  checkFraction('minP', p);
  return (logits) => {
    const probabilities = logits.softmax(-1);
    return without(logits, probabilities.lt(probabilities.max(-1, true).mul(p)));
  };
}

/**
 * Locally typical sampling (arXiv 2202.00666): keeps the tokens whose surprise is nearest to the entropy, until their
 * probabilities sum to at least `mass`, and those as near as the last of them.
 * @throws ValueError unless 0 < mass ≤ 1
 */
export function typicalP(mass: number): LogitsProcessor {
  checkFraction('typicalP', mass);
  if (mass === 1) return (logits) => logits;
  return (logits) => {
    const logs = logits.logSoftmax(-1);
    const probabilities = logs.exp();
    // A token that cannot come adds 0 · ∞ = 0 to the entropy.
    const surprise = probabilities.eq(0).where(0, logs.neg());
    const entropy = surprise.mul(probabilities).sum(-1, true);
    const distance = logs.neg().sub(entropy).abs();
    if (!logits.backend.synchronous) {
      const order = distance.argSort(-1, false);
      const sorted = probabilities.gather(-1, order);
      const kept = sorted.cumsum(-1).sub(sorted).lt(mass);
      const last = kept.cast('i32').sum(-1, true).sub(1).maximum(0);
      return without(logits, distance.gt(distance.gather(-1, order.gather(-1, last))));
    }
    const weights = probabilities.dataSync() as Floats;
    const n = logits.shape[1]!;
    const round = rounding(logits);
    return upTo(
      logits,
      logits.dataSync() as Floats,
      distance.dataSync() as Floats,
      (line, row) => boundOfMass(line, rowOf(weights, row, n), round(mass), round),
      true,
    );
  };
}
