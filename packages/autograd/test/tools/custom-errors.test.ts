/** What functions with gradients of their own refuse, under their names. */
import {
  backward,
  customGradient,
  gradcheck,
  noGrad,
  stopGradient,
  type GradientTree,
} from '@infinigrad/autograd';
import { GradientError, tensor, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { giveValue, leaf, list, t, thrownBy } from '../support.ts';

/** x², from what was given. */
const square = customGradient(
  (x: Tensor) => ({ output: x.square(), saved: { x } }),
  (g: Tensor, { x }) => g.mul(x).mul(2),
  { name: 'mySquare' },
);
/** A function that says three times what is so, to be told from the ops'. */
const tripled = customGradient(
  (x: Tensor) => ({ output: x.exp().log() }),
  (g: Tensor) => g.mul(3),
);

describe('refuses, under the name of the function,', () => {
  const x = (): Tensor => leaf([1, 2]);
  const give = (gradients: unknown): Error =>
    thrownBy(() =>
      backward(
        customGradient(
          (a: Tensor, b: { w: Tensor; n: number }, c: number, i: Tensor) => ({
            output: a.mul(b.w).mul(c).mul(i),
          }),
          () => gradients as GradientTree,
          { name: 'mine' },
        )(x(), { w: leaf([3, 4]), n: 2 }, 5, tensor([1, 1], { dtype: 'i32' })),
        t([1, 1]),
      ),
    );
  const one = t([1, 1]);
  const rows: [string, unknown, string][] = [
    [
      'another shape',
      [t([1]), null, null, null],
      'argument 0 and the gradient that backward gave for it differ in shape or dtype: [2] f64, [1] f64',
    ],
    [
      'another dtype',
      [tensor([1, 1]), null, null, null],
      'argument 0 and the gradient that backward gave for it differ in shape or dtype: [2] f64, [2] f32',
    ],
    [
      'another shape inside a tree',
      [one, { w: t([[1, 1]]) }, null, null],
      'argument 1.w and the gradient that backward gave for it differ in shape or dtype: [2] f64, [1, 2] f64',
    ],
    ['too few', [one], 'backward gave 1 gradients for 4 arguments'],
    ['too many', [one, null, null, null, null], 'backward gave 5 gradients for 4 arguments'],
    ['no gradients', undefined, 'backward gave undefined'],
    ['a promise', Promise.resolve(one), 'backward gave a promise'],
    ['a number', [3, null, null, null], 'backward gave 3 for argument 0, which is a tensor'],
    [
      'a tensor for a tree',
      [one, one, null, null],
      'backward gave a tensor for argument 1, which is an object',
    ],
    [
      'a stray key',
      [one, { v: one }, null, null],
      "backward gave a gradient for 'v', which argument 1 does not have",
    ],
    [
      'a gradient for a number',
      [one, null, one, null],
      'backward gave a gradient for argument 2, which holds no tensor',
    ],
    [
      'a gradient for integers',
      [one, null, null, one],
      'backward gave a gradient for argument 3, which can have none: [2] i32, [2] f64',
    ],
  ];
  it.each(rows)('%s as the gradient', (_, gradients, message) => {
    const error = give(gradients);
    expect(error).toBeInstanceOf(GradientError);
    expect(error.message).toMatch(/^mine: /);
    expect(error.message).toContain(message);
  });
  const forward = (f: () => unknown): Error =>
    thrownBy(() => customGradient(f as () => { output: Tensor }, () => null, { name: 'mine' })());
  it.each<[string, () => unknown, string]>([
    ['nothing', () => undefined, 'got undefined'],
    ['a tensor alone', () => t([1]), 'got a tensor'],
    ['numbers', () => ({ output: 3 }), 'got an object'],
    ['an empty list', () => ({ output: [] }), 'got an object'],
    ['a promise', () => Promise.resolve({ output: t([1]) }), 'got a promise'],
  ])('a forward that returns %s', (_, f, message) => {
    const error = forward(f);
    expect(error).toBeInstanceOf(GradientError);
    expect(error.message).toContain(
      'mine: forward must return { output, saved } with tensors as the output, ',
    );
    expect(error.message).toContain(message);
  });
  it('a tensor that needs a gradient and is no argument', () => {
    const w = x();
    const using = (f: (y: Tensor) => { output: Tensor; saved?: Tensor }): (() => Tensor) => {
      const own = customGradient(f, (g: Tensor) => g, { name: 'mine' });
      return () => own(x());
    };
    expect(thrownBy(using((y) => ({ output: y.mul(w) }))).message).toBe(
      'mul: input 1 needs a gradient, but is no argument of the customGradient function that it is used in: [2] f64, [2] f64. Hint: pass it as an argument, stopGradient() it, or use noGrad',
    );
    const returned =
      'mine: forward returns or saves a tensor that needs a gradient and is no argument: [2] f64';
    expect(thrownBy(using(() => ({ output: w }))).message).toContain(returned);
    expect(thrownBy(using((y) => ({ output: y, saved: w }))).message).toContain(returned);
    // Said to be meant, and where no gradient can go:
    expect(list(using((y) => ({ output: y.mul(stopGradient(w)) }))())).toEqual([1, 4]);
    expect(list(using((y) => ({ output: noGrad(() => y.mul(w)) }))())).toEqual([1, 4]);
    expect(list(using((y) => ({ output: w.gt(1).where(y, 0) }))())).toEqual([0, 2]);
  });
  it('what was saved and has a new value since', () => {
    const [w, y] = [leaf([3, 4]), x()];
    const z = square(w).mul(y);
    giveValue(w, t([5, 6]));
    expect(thrownBy(() => backward(z, one)).message).toContain(
      'mySquare: what it has saved was given a new value after the forward pass: [2] f64',
    );
  });
  it('a second pass', () => {
    const y = square(x()).sum();
    y.backward();
    expect(thrownBy(() => y.backward()).message).toContain(
      'mySquare: the graph behind this tensor has been released',
    );
  });
  it('a forward that saves otherwise when it is called again', () => {
    let calls = 0;
    const fickle = customGradient(
      (y: Tensor) => ({ output: y.exp(), saved: Array.from({ length: ++calls }, () => y.exp()) }),
      (g: Tensor, [e]) => g.mul(e!),
      { name: 'fickle' },
    );
    const error = thrownBy(() => fickle(x()).sum().backward(undefined, { createGraph: true }));
    expect(error.message).toContain('fickle: forward has saved 1 tensors, and 2 when called again');
  });
  it('a wrong backward, by gradcheck', () => {
    expect(() => gradcheck(tripled, [t([0.5])])).toThrow(
      'gradcheck: order 1, input 0, element [0]: analytic ',
    );
  });
});
