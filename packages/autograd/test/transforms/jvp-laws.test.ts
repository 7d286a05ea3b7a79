/** The pushforward of every op is the transpose of its pullback. */
import { derivatives, jvp, vjp } from '@infinigrad/autograd';
import { apply, isFloat, Key, opNames, zerosLike, type OpName, type Tensor } from '@infinigrad/tensor';
import { callsOf, holdsForCalls, inputsOf } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { list, runs } from '../support.ts';

const inner = (x: Tensor, y: Tensor): number => {
  const [a, b] = [list(x), list(y)];
  return a.reduce((total, v, i) => total + v * b[i]!, 0);
};

function transposes(op: OpName): void {
  const law = fc.property(callsOf(op, { dtype: 'f64' }), fc.nat(), fc.nat(), (call, seed, which) => {
    const inputs = inputsOf(call);
    const floats = inputs.flatMap((x, i) => (isFloat(x.dtype) ? [i] : []));
    // Some inputs stand still.
    const moves = (i: number): boolean =>
      isFloat(inputs[i]!.dtype) && (floats.length < 2 || ((which >> i) & 1) === 1);
    const key = new Key(seed);
    const tangents = inputs.map((x, i) =>
      moves(i) ? key.foldIn(i).normal(x.shape, { dtype: 'f64' }) : zerosLike(x),
    );
    const f = (...xs: Tensor[]): Tensor => apply(op, xs, call.attrs);
    const { value, tangent } = jvp(f, inputs, tangents);
    expect([tangent.shape, tangent.dtype]).toEqual([value.shape, value.dtype]);
    const u = key.foldIn(100).normal(value.shape, { dtype: 'f64' });
    const back = vjp(f, ...inputs).pullback(u);
    const forward = inner(u, tangent);
    const backward = floats.reduce((total, i) => total + inner(back[i]!, tangents[i]!), 0);
    const size = Math.sqrt(inner(u, u) * inner(tangent, tangent));
    expect(Math.abs(forward - backward)).toBeLessThanOrEqual(1e-10 * Math.max(1, size));
  });
  fc.assert(law, { numRuns: runs });
}

describe.each(opNames)('%s', (op) => {
  const rule = derivatives[op];
  if (rule.kind === 'none')
    it('has no tangent where it has no gradient: it refuses, or the result is no float', () =>
      holdsForCalls(op, { dtype: 'f64', runs }, (call) => {
        const inputs = inputsOf(call);
        if (inputs.every((x) => !isFloat(x.dtype))) return;
        let output: Tensor;
        try {
          output = jvp((...xs: Tensor[]) => apply(op, xs, call.attrs), inputs, inputs.map(zerosLike)).tangent;
        } catch (error) {
          expect((error as Error).name).toBe('GradientError');
          expect((error as Error).message).toContain(`${op}: has no derivative (${rule.reason})`);
          return;
        }
        expect(isFloat(output.dtype)).toBe(false);
      }));
  else it('pushes forward what the transpose pulls back', () => transposes(op));
});
