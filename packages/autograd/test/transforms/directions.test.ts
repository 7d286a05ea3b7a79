/** What is linear in a direction is differentiated along it: ⟨∇ᵤ ⟨F(u), c⟩, v⟩ = ⟨F(v), c⟩, whatever F is made of. */
import {
  checkpoint,
  customGradient,
  grad,
  hessian,
  hvp,
  jacobian,
  jvp,
  linearize,
  vjp,
  vmap,
} from '@infinigrad/autograd';
import { Key, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inputs, programs, run, type Step } from '../programs.ts';
import { runs } from '../support.ts';
import { dot } from './support.ts';

type Of = (x: Tensor) => Tensor;

/** Something linear in u, from a function of a matrix. */
type Way = (f: Of, x: Tensor, u: Tensor, w: Tensor) => Tensor;

const total =
  (f: Of): Of =>
  (x) =>
    f(x).sum();
/** f, as a function with a gradient of its own. */
const own = (f: Of): Of =>
  customGradient(
    (x: Tensor) => ({ output: f(x), saved: x }),
    (g: Tensor, x) => vjp(f, x).pullback(g),
  );

const ways: Readonly<Record<string, Way>> = {
  'a tangent': (f, x, u) => jvp(f, [x], [u]).tangent,
  'a gradient pulled back': (f, x, u) => vjp(f, x).pullback(u)[0],
  'a product with the Hessian': (f, x, u) => hvp(total(f), x, u),
  'a product with the Hessian, linearized': (f, x, u) => linearize(grad(total(f)), x).pushforward(u),
  'a tangent of a pullback, along its cotangent': (f, x, u, w) =>
    jvp((d: Tensor) => vjp(f, x).pullback(d)[0], [w], [u]).tangent,
  'a tangent of a tangent, along its direction': (f, x, u, w) =>
    jvp((d: Tensor) => jvp(f, [x], [d]).tangent, [w], [u]).tangent,
  'a tangent of a tangent, along its point': (f, x, u, w) =>
    jvp((y: Tensor) => jvp(f, [y], [w]).tangent, [x], [u]).tangent,
  'a third tangent, along the direction of the second': (f, x, u, w) =>
    jvp((d: Tensor) => jvp((y: Tensor) => jvp(f, [y], [w]).tangent, [x], [d]).tangent, [w], [u]).tangent,
  'a tangent of a pushforward, along its direction': (f, x, u, w) =>
    jvp((d: Tensor) => linearize(f, x).pushforward(d), [w], [u]).tangent,
  'a tangent of gradients of each row': (f, x, u) =>
    jvp((y: Tensor) => vmap(grad(total((row) => f(row.expand([2, 3])))))(y), [x], [u]).tangent,
  'tangents of the gradient of each row': (f, x, u) =>
    vmap(
      (row: Tensor, d: Tensor) => jvp(grad(total((z: Tensor) => f(z.expand([2, 3])))), [row], [d]).tangent,
    )(x, u),
  'a tangent of a Jacobian by rows': (f, x, u) =>
    jvp((y: Tensor) => jacobian(f, { mode: 'reverse' })(y).sum([0, 1]), [x], [u]).tangent,
  'a tangent of a Jacobian by columns': (f, x, u) =>
    jvp((y: Tensor) => jacobian(f, { mode: 'forward' })(y).sum([0, 1]), [x], [u]).tangent,
  'a tangent of a Hessian': (f, x, u) =>
    jvp((y: Tensor) => hessian(total(f))(y).sum([0, 1]), [x], [u]).tangent,
  'a tangent of the gradient of a checkpoint': (f, x, u) => jvp(grad(total(checkpoint(f))), [x], [u]).tangent,
  'a tangent of the gradient of a function with its own': (f, x, u) =>
    jvp(grad(total(own(f))), [x], [u]).tangent,
};

/** A function of a matrix from a program: its inputs are parts of the matrix. */
const functionOf =
  (program: readonly Step[], seed: number): Of =>
  (x) => {
    const [a, b] = inputs(seed);
    return run(program, [x.mul(a!), b!.add(x.select(0, 0)), x.narrow(1, 0, 1), x.mean()]);
  };

describe.each(Object.entries(ways))('%s', (_, way) => {
  const law = (gradient: (f: Of, u: Tensor) => Tensor) =>
    fc.assert(
      fc.property(programs, fc.nat(1e6), (program, seed) => {
        const f = functionOf(program, seed);
        const drawn = (i: number): Tensor => new Key(seed).foldIn(90 + i).normal([2, 3], { dtype: 'f64' });
        const [x, u, v, w, c] = [0, 1, 2, 3, 4].map(drawn) as [Tensor, Tensor, Tensor, Tensor, Tensor];
        const expected = dot(way(f, x, v, w), c);
        const g = gradient((d) => way(f, x, d, w).mul(c).sum(), u);
        expect(Math.abs(dot(g, v) - expected)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(expected)));
      }),
      { numRuns: Math.ceil(runs / 4) },
    );
  it('inside grad', () => law((f, u) => grad(f)(u)));
  it('with a leaf', () =>
    law((f, u) => {
      const leaf = u.detach().requireGrad();
      f(leaf).backward();
      return leaf.grad!;
    }));
});
