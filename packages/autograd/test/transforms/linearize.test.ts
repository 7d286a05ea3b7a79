/** A function made linear pushes forward what jvp pushes, without being called again. */
import { customGradient, grad, hvp, jvp, linearize, vjp, vmap } from '@infinigrad/autograd';
import { GradientError, tensor, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inputs, programs, run } from '../programs.ts';
import { list, runs, spread, t, thrownBy } from '../support.ts';
import { directions, expectSame, scalarOf } from './support.ts';

describe('agrees with jvp', () => {
  it('for programs drawn at random, along several directions', () => {
    fc.assert(
      fc.property(programs, fc.nat(1e6), (program, seed) => {
        const xs = inputs(seed);
        const f = (...ys: Tensor[]): Tensor => run(program, ys);
        const { value, pushforward } = linearize(f, ...xs);
        for (const other of [1, 2]) {
          const along = directions(xs, seed + other);
          const expected = jvp(f, xs, along);
          expectSame(pushforward(...along), expected.tangent);
          expectSame(value, expected.value, 0);
        }
      }),
      { numRuns: runs },
    );
  });
  it('for gradients: products with the Hessian', () => {
    fc.assert(
      fc.property(programs, fc.nat(1e6), (program, seed) => {
        const [xs, f] = [inputs(seed), scalarOf(program, seed)];
        const along = directions(xs, seed + 1);
        const { pushforward } = linearize(grad(f), xs);
        const expected = hvp(f, xs, along);
        pushforward(along).forEach((made, i) => expectSame(made, expected[i]!, 1e-9));
      }),
      { numRuns: runs / 4 },
    );
  });
});

describe('the pushforward', () => {
  const f = (x: Tensor): Tensor => x.square().mul(x);
  it('does not call the function again', () => {
    let calls = 0;
    const { pushforward } = linearize((x: Tensor) => (calls++, f(x)), t([1, 2]));
    expect([list(pushforward(t([1, 0]))), list(pushforward(t([0, 1]))), calls]).toEqual([[3, 0], [0, 12], 1]);
  });
  it('takes trees, and gives trees: of constants and integers zeros', () => {
    const g = ({ x, n }: { x: Tensor; n: Tensor }): Tensor[] => [x.mul(n), x, n, t([5]), x.detach().add(x)];
    const n = tensor([3], { dtype: 'i32' });
    const { value, pushforward } = linearize(g, { x: t([2]), n });
    expect(value.map((y) => list(y))).toEqual([[6], [2], [3], [5], [4]]);
    const made = pushforward({ x: t([10]), n });
    expect(made.map((y) => list(y))).toEqual([[30], [10], [0], [0], [10]]);
    expect(made[2]!.dtype).toBe('i32');
    expect(value[0]!.requiresGrad).toBe(false);
  });
  it('can be differentiated, mapped and nested', () => {
    const x = t([1, 2]);
    const along = (v: Tensor): Tensor => linearize(f, x).pushforward(v);
    expectSame(vmap(along)(t([[1, 0], [0, 1]])), t([[3, 0], [0, 12]])); // prettier-ignore
    const of = (y: Tensor): Tensor =>
      linearize(f, y)
        .pushforward(t([1, 1]))
        .sum();
    expectSame(grad(of)(x), t([6, 12]));
    expectSame(jvp(of, [x], [t([1, 10])]).tangent, t(126));
    const v = t([1, 1]).requireGrad();
    along(v).sum().backward();
    expectSame(v.grad!, t([3, 12]));
    expect(list(vjp(along, t([1, 1])).pullback(t([1, 1]))[0])).toEqual([3, 12]);
  });
  it('uses the gradient of a function that has its own', () => {
    const wrong = customGradient(
      (x: Tensor) => ({ output: x.square() }),
      (g) => g.mul(7),
    );
    expect(list(linearize(wrong, t([1, 2])).pushforward(spread([2]).mul(0).add(1)))).toEqual([7, 7]);
  });
});

describe('errors', () => {
  const { pushforward } = linearize((x: Tensor) => x.square(), t([1, 2]));
  it.each<[string, () => unknown, string]>([
    [
      'a direction of another shape',
      () => pushforward(t([1])),
      'linearize: argument and tangent must have one shape: [2] f64, [1] f64',
    ],
    [
      'a direction of integers',
      () => pushforward(tensor([1, 2], { dtype: 'i32' })),
      'linearize: the tangent must be of floating point',
    ],
    [
      'directions for other arguments',
      () => pushforward(...([t([1, 2]), t([1])] as unknown as [Tensor])),
      'linearize: arguments and tangents must have one structure',
    ],
    [
      'a number returned',
      () => linearize((() => 3) as unknown as () => Tensor, ...([t([1])] as unknown as [])),
      'linearize: the function must return tensors',
    ],
    [
      'no argument of floating point',
      () => linearize((x: Tensor) => x, tensor([1], { dtype: 'i32' })),
      'linearize: no argument is a floating-point tensor',
    ],
  ])('%s', (_, body, says) => {
    const error = thrownBy(body);
    expect(error).toBeInstanceOf(GradientError);
    expect(error.message).toContain(says);
  });
});
