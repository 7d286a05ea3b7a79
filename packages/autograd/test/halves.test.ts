/** Gradients of ops on f16 and bf16: those of f32 on the same values, rounded once, in the dtype of the input. */
import { derivatives, gradcheck, vjp } from '@infinigrad/autograd';
import {
  apply,
  isHalf,
  opNames,
  roundTo,
  tensor,
  withBackend,
  type HalfDType,
  type OpName,
} from '@infinigrad/tensor';
import { expectAllClose, holdsForCalls, inputsOf, widened } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { runs } from './support.ts';

const differentiable = opNames.filter((op) => derivatives[op].kind !== 'none');

function gradientsAgree(op: OpName, dtype: HalfDType): void {
  holdsForCalls(op, { runs: Math.ceil(runs / 4), dtype }, (call) => {
    const inputs = inputsOf(call);
    const f = (...xs: typeof inputs): (typeof inputs)[number] => apply(op, xs, call.attrs);
    const narrow = vjp(f, ...inputs);
    const wide = vjp(f, ...inputs.map(widened));
    // Weights that 16 bits hold: multiples of 1/8.
    const weights = Array.from({ length: narrow.value.size }, (_, i) => ((i * 5) % 17) / 8 - 1);
    const pull = ({ value, pullback }: typeof narrow): typeof inputs =>
      pullback(
        tensor(weights, { dtype: value.dtype, backend: value.backend }).reshape(value.shape),
      ) as typeof inputs;
    const [actual, expected] = [pull(narrow), pull(wide)];
    inputs.forEach((x, i) => {
      expect(actual[i]!.dtype).toBe(x.dtype);
      const values = Array.from(expected[i]!.dataSync(), (v) => (isHalf(x.dtype) ? roundTo(dtype, v) : v));
      expectAllClose(actual[i]!, values);
    });
  });
}

describe.each(['f16', 'bf16'] as const)('%s', (dtype) => {
  it.each(differentiable)('the gradient of %s is that in f32, rounded once', (op) =>
    withBackend('wasm', () => gradientsAgree(op, dtype)),
  );
});

it('16 bits are too coarse for finite differences', () => {
  expect(() => gradcheck((x) => x.square(), [tensor([1], { dtype: 'f16' })])).toThrow(
    'gradcheck: input 0 is f16, too coarse for finite differences',
  );
});

it('gradients add up in the dtype of the leaf, through f32 and back', () => {
  const w = tensor([1, 2, 3], { dtype: 'bf16' }).requireGrad();
  const x = tensor([0.5, 0.25, 4]);
  const loss = w.mul(x).sum().add(w.square().sum().cast('f32'));
  loss.backward();
  expect(loss.dtype).toBe('f32');
  expect(w.grad!.dtype).toBe('bf16');
  expect([...w.grad!.dataSync()]).toEqual([2.5, 4.25, 10]);
});
