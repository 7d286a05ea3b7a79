/** Gradients of programs drawn at random. */
import { backward, gradcheck, noGrad, vjp } from '@infinigrad/autograd';
import { Key } from '@infinigrad/tensor';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { inputs, programs, run, shape } from './programs.ts';
import { expectClose, gradientOf, list, runs, spread } from './support.ts';

it('a program keeps its gradients to finite differences, to second order', () => {
  const law = fc.property(programs, fc.nat(), (program, seed) =>
    gradcheck((...xs) => run(program, xs), inputs(seed), { order: 2, mode: 'direction', key: new Key(seed) }),
  );
  fc.assert(law, { numRuns: runs });
});

it('both doors lead to the same gradients', () => {
  const law = fc.property(programs, fc.nat(), (program, seed) => {
    const weights = spread(shape, seed);
    const leaves = inputs(seed).map((x) => x.requireGrad());
    const y = run(program, leaves);
    backward(y, weights);
    const constants = inputs(seed);
    const { value, pullback } = vjp((...xs) => run(program, xs), ...constants);
    expect(list(value)).toEqual(list(y));
    pullback(weights).forEach((g, i) => {
      const x = leaves[i]!;
      expect([g.shape, g.dtype, g.requiresGrad]).toEqual([x.shape, x.dtype, false]);
      // A leaf that nothing depends on has no gradient behind one door, and zeros behind the other.
      expectClose(list(g), x.grad ? gradientOf(x) : new Array<number>(x.size).fill(0), 1e-14);
    });
  });
  fc.assert(law, { numRuns: runs });
});

it('the gradient is linear in the weights of the output, and does not depend on recording', () => {
  const law = fc.property(programs, fc.nat(), (program, seed) => {
    const { value, pullback } = vjp((...xs) => run(program, xs), ...inputs(seed));
    const [u, v] = [spread(shape, 1), spread(shape, 2)];
    const [gu, gv, both] = [u, v, u.mul(2).sub(v)].map((w) => pullback(w));
    both!.forEach((g, i) => {
      const expected = list(gu![i]!).map((a, k) => 2 * a - list(gv![i]!)[k]!);
      expectClose(list(g), expected, 1e-12);
    });
    expect(list(noGrad(() => run(program, inputs(seed))))).toEqual(list(value));
  });
  fc.assert(law, { numRuns: runs });
});
