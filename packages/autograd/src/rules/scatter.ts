/** Derivatives: ops that write elements at indexed places, and searches in sorted rows. */
import { arange, fullLike, scalar, sizeOf, type Tensor } from '@infinigrad/tensor';
import {
  linear,
  linearGiven,
  notDifferentiable,
  ofInputs,
  zerosOf,
  type DifferentiableRule,
  type InputRule,
  type RuleContext,
} from './rule.ts';

const axisOf = (call: RuleContext): number => call.attrs['axis'] as number;

/** Where a scatter writes last: the elements of its source that stay. */
function stays(call: RuleContext): Tensor {
  const [axis, index] = [axisOf(call), call.input(1)];
  const { backend } = index;
  const numbers = arange(sizeOf(index.shape), undefined, 1, { backend }).reshape(index.shape);
  const last = scalar(-1, 'i32', backend).expand(call.shape).scatterSet(axis, index, numbers);
  return last.gather(axis, index).eq(numbers);
}

/** The value `distance` before each along an axis where its key is the same, else 1. */
function earlier(key: Tensor, x: Tensor, axis: number, distance: number): Tensor {
  const rest = key.shape[axis]! - distance;
  const same = key.narrow(axis, 0, rest).eq(key.narrow(axis, distance, rest));
  const frame = x.shape.map((_, i): [number, number] => [i === axis ? distance : 0, 0]);
  return same.where(x.narrow(axis, 0, rest), 1).pad(frame, 1);
}

/** Of each element along an axis the product of those before it with the same key; equal keys lie side by side. */
function productBefore(key: Tensor, x: Tensor, axis: number): Tensor {
  let product = x;
  for (let distance = 1; distance < key.shape[axis]!; distance *= 2)
    product = product.mul(earlier(key, product, axis, distance));
  return earlier(key, product, axis, 1);
}

/**
 * For each element the product of all others along an axis that have the same key, by running products over the keys in
 * order: no division, so exact where elements are zero, and differentiable any number of times.
 */
function productOfOthers(key: Tensor, x: Tensor, axis: number): Tensor {
  if (key.shape[axis]! <= 1) return fullLike(x, 1);
  const order = key.argSort(axis);
  const [keys, values] = [key.gather(axis, order), x.gather(axis, order)];
  const before = productBefore(keys, values, axis);
  const after = productBefore(keys.flip(axis), values.flip(axis), axis).flip(axis);
  return before.mul(after).gather(axis, order.argSort(axis));
}

/** All that equal the extreme of their place share its gradient equally, what was there before included. */
function extreme(): DifferentiableRule {
  const shared = (g: Tensor, call: RuleContext): Tensor =>
    call.once(g, () => {
      const [x, index, source] = [call.input(0), call.input(1), call.input(2)];
      const y = call.output();
      const own = x.eq(y).cast(g.dtype);
      const given = source.eq(y.gather(axisOf(call), index)).cast(g.dtype);
      return g.div(own.scatterAdd(axisOf(call), index, given));
    });
  const dx: InputRule = (g, call) => call.input(0).eq(call.output()).where(shared(g, call), 0);
  const dSource: InputRule = (g, call) => {
    const at = (y: Tensor): Tensor => y.gather(axisOf(call), call.input(1));
    return call
      .input(2)
      .eq(at(call.output()))
      .where(at(shared(g, call)), 0);
  };
  return { kind: 'differentiable', saves: { inputs: [0, 1, 2], output: true }, inputs: [dx, null, dSource] };
}

export const scatters = {
  scatterAdd: linearGiven([1], [(g) => g, null, (g, call) => g.gather(axisOf(call), call.input(1))]),
  scatterSet: ofInputs(
    [
      (g, call) => g.scatterSet(axisOf(call), call.input(1), zerosOf(call.shapes[2]!, g)),
      null,
      (g, call) => stays(call).where(g.gather(axisOf(call), call.input(1)), 0),
    ],
    [1],
  ),
  // y = x Πᵢ sᵢ at each place: dx = g Πᵢ sᵢ, dsᵢ = g x Πⱼ≠ᵢ sⱼ
  scatterMul: ofInputs([
    (g, call) => g.mul(fullLike(g, 1).scatterMul(axisOf(call), call.input(1), call.input(2))),
    null,
    (g, call) => {
      const [axis, index] = [axisOf(call), call.input(1)];
      const others = productOfOthers(index, call.input(2), axis);
      return g.mul(call.input(0)).gather(axis, index).mul(others);
    },
  ]),
  scatterMax: extreme(),
  scatterMin: extreme(),
  sliceScatter: linear(
    (g, call) => g.sliceScatter(zerosOf(call.shapes[1]!, g), rangesOf(call)),
    (g, call) => g.slice(rangesOf(call)),
  ),
  searchSorted: notDifferentiable('the result is a position'),
};

function rangesOf(call: RuleContext): Parameters<Tensor['slice']>[0] {
  return call.attrs['ranges'] as unknown as Parameters<Tensor['slice']>[0];
}
