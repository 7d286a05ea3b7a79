/** Processors that look at the distribution alone. */
import { zeros, type Tensor } from '@infinigrad/tensor';
import { checkFraction, checkPositive, checkWhole } from '../checks.ts';
import { beyond, boundOfMass, rowOf } from './nucleus.ts';
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

/**
 * True beyond the first tokens, in ascending order of `keys` [rows, vocabulary], for as long as the probabilities of those before
 * sum to less than `mass`. Sorted by ops where reading would mean waiting.
 * @param ties whether all that equal the last are kept; else the first of them
 */
function afterMass(keys: Tensor, probabilities: Tensor, mass: number, ties: boolean): Tensor {
  if (keys.backend.synchronous) {
    const weights = probabilities.dataSync() as Floats;
    // As sums of the dtype would be compared.
    const round = keys.dtype === 'f64' ? (x: number): number => x : Math.fround;
    const n = keys.shape[1]!;
    return beyond(
      keys.dataSync() as Floats,
      keys,
      (line, row) => boundOfMass(line, rowOf(weights, row, n), round(mass), round),
      ties,
    );
  }
  const order = keys.argSort(-1, false);
  const sorted = probabilities.gather(-1, order);
  const kept = sorted.cumsum(-1).sub(sorted).lt(mass);
  if (!ties) return inPlace(kept, order).logicalNot();
  const last = kept.cast('i32').sum(-1, true).sub(1).maximum(0);
  return keys.gt(keys.gather(-1, order.gather(-1, last)));
}

/**
 * Nucleus sampling (arXiv 1904.09751): keeps the fewest most likely tokens whose probabilities sum to at least p. Of equally
 * likely ones the first.
 * @throws ValueError unless 0 < p ≤ 1
 */
export function topP(p: number): LogitsProcessor {
  checkFraction('topP', p);
  if (p === 1) return (logits) => logits;
  return (logits) => without(logits, afterMass(logits.neg(), logits.softmax(-1), p, false));
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
    return without(logits, afterMass(distance, probabilities, mass, true));
  };
}
