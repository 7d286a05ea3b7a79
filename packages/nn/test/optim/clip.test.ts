/** The common norm of gradients, and clipping by it. */
import { clipGradNorm, gradNorm, Parameter } from '@infinigrad/nn';
import { tensor, ValueError } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dot, expectNumbers, numbers } from '../support.ts';

const dtype = 'f64' as const;
const withGradient = (gradient: number[] | null): Parameter => {
  const p = new Parameter(tensor(gradient?.map(() => 0) ?? [0], { dtype }));
  if (gradient) p.grad = tensor(gradient, { dtype });
  return p;
};
const lists = fc.array(
  fc.option(fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 1, maxLength: 5 })),
  { minLength: 1, maxLength: 4 },
);
const flat = (gradients: readonly (number[] | null)[]): number[] => gradients.flatMap((g) => g ?? []);

describe('gradNorm', () => {
  test('is the 2-norm of all gradients as one vector; without one counts as zero', () => {
    const law = fc.property(lists, (gradients) => {
      const all = flat(gradients);
      expectNumbers([gradNorm(gradients.map(withGradient))], [Math.sqrt(dot(all, all))]);
    });
    fc.assert(law);
  });
  test('counts a parameter once, and takes any iterable', () => {
    const p = withGradient([3, 4]);
    expect([gradNorm([p, p]), gradNorm(new Set([p])), gradNorm([]), gradNorm([withGradient(null)])]).toEqual([
      5, 5, 0, 0,
    ]);
    const one = function* (): Generator<Parameter> {
      yield p;
    };
    expect(gradNorm(one())).toBe(5);
  });
  test('of f32 and f64 together', () => {
    const single = new Parameter(tensor([0]));
    single.grad = tensor([3]);
    expect(gradNorm([single, withGradient([4])])).toBe(5);
  });
});

describe('clipGradNorm', () => {
  test('scales all gradients by maxNorm / (norm + 1e-6) where the norm is above, and gives the norm before', () => {
    const law = fc.property(lists, fc.double({ min: 0.01, max: 20, noNaN: true }), (gradients, maxNorm) => {
      const params = gradients.map(withGradient);
      const all = flat(gradients);
      const norm = Math.sqrt(dot(all, all));
      expectNumbers([clipGradNorm(params, maxNorm)], [norm]);
      const factor = Math.min(1, maxNorm / (norm + 1e-6));
      params.forEach((p, i) => {
        const g = gradients[i];
        if (!g) expect(p.grad).toBeNull();
        else
          expectNumbers(
            numbers(p.grad!),
            g.map((v) => v * factor),
          );
      });
      expect(gradNorm(params)).toBeLessThanOrEqual(maxNorm * (1 + 1e-12));
    });
    fc.assert(law);
  });
  test('leaves gradients below as they are', () => {
    const p = withGradient([0.3, 0.4]);
    const before = p.grad;
    expectNumbers([clipGradNorm([p], 1)], [0.5]);
    expect(p.grad).toBe(before);
  });
  test('scales a parameter that is named twice once', () => {
    const p = withGradient([3, 4]);
    expect(clipGradNorm([p, p], 1)).toBe(5);
    expectNumbers([gradNorm([p])], [1], 1e-6);
  });
  test.each([NaN, Infinity])('leaves gradients alone where the norm is %d, and says so', (value) => {
    const [p, q] = [withGradient([value, 1]), withGradient([2])];
    expect(clipGradNorm([p, q], 0.5)).toBe(value);
    expect([numbers(p.grad!), numbers(q.grad!)]).toEqual([[value, 1], [2]]);
  });
  test('gives constants, also where gradients are differentiable', () => {
    const p = withGradient(null);
    p.square().mul(5).add(p.mul(3)).sum().backward(undefined, { createGraph: true });
    expect(p.grad!.requiresGrad).toBe(true);
    clipGradNorm([p], 1);
    expect(p.grad!.requiresGrad).toBe(false);
  });
  test.each([0, -1, NaN])('maxNorm %d is refused', (maxNorm) => {
    expect(() => clipGradNorm([], maxNorm)).toThrow(ValueError);
    expect(() => clipGradNorm([], maxNorm)).toThrow(`clipGradNorm: maxNorm must be > 0, got ${maxNorm}`);
  });
});
