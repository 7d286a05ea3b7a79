/** Processors that look at the distribution alone. */
import { zeros, type Tensor } from '@infinigrad/tensor';
import { checkFraction, checkPositive, checkWhole } from '../checks.ts';
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

/** What is kept, named in an order along the last axis, as a mask over the tokens in their own. */
function inPlace(keptInOrder: Tensor, order: Tensor): Tensor {
  const { shape, backend } = order;
  return zeros(shape, { dtype: 'i32', backend }).scatterSet(-1, order, keptInOrder.cast('i32')).ne(0);
}

/** The sum of all before each element along the last axis. */
const sumBefore = (x: Tensor): Tensor => x.cumsum(-1).sub(x);

/**
 * Nucleus sampling (arXiv 1904.09751): keeps the fewest most likely tokens whose probabilities sum to at least p. Of equally
 * likely ones the first.
 * @throws ValueError unless 0 < p ≤ 1
 */
export function topP(p: number): LogitsProcessor {
  checkFraction('topP', p);
  return (logits) => {
    const order = logits.argSort(-1, true);
    const probabilities = logits.gather(-1, order).softmax(-1);
    return without(logits, inPlace(sumBefore(probabilities).lt(p), order).logicalNot());
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
  return (logits) => {
    const logs = logits.logSoftmax(-1);
    const probabilities = logs.exp();
    // A token that cannot come adds 0 · ∞ = 0 to the entropy.
    const surprise = probabilities.eq(0).where(0, logs.neg());
    const entropy = surprise.mul(probabilities).sum(-1, true);
    const distance = logs.neg().sub(entropy).abs();
    const order = distance.argSort(-1, false);
    const sorted = distance.gather(-1, order);
    const sums = probabilities.gather(-1, order).cumsum(-1);
    const last = sums
      .lt(mass)
      .cast('i32')
      .sum(-1, true)
      .minimum(logits.shape[1]! - 1);
    return without(logits, distance.gt(sorted.gather(-1, last)));
  };
}
