/** Clipping where the norm comes later gives what clipping at once gives. */
import { clipGradNorm, clipGradNormAsync, gradNorm, gradNormAsync, Parameter } from '@infinigrad/nn';
import { tensor, ValueError, type DType } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectNumbers, numbers } from '../support.ts';

const withGradient = (gradient: number[] | null, dtype: DType = 'f64'): Parameter => {
  const p = new Parameter(tensor(gradient?.map(() => 0) ?? [0], { dtype }));
  if (gradient) p.grad = tensor(gradient, { dtype });
  return p;
};
const lists = fc.array(
  fc.option(fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 1, maxLength: 5 })),
  { minLength: 0, maxLength: 4 },
);

describe('clipGradNormAsync', () => {
  test('scales at once, and gives the norm before', async () => {
    const maxima = fc.double({ min: 0.01, max: 20, noNaN: true });
    const law = fc.asyncProperty(lists, maxima, async (gradients, maxNorm) => {
      const [now, later] = [gradients, gradients].map((list) => list.map((g) => withGradient(g)));
      const norm = clipGradNorm(now!, maxNorm);
      const coming = clipGradNormAsync(later!, maxNorm);
      now!.forEach(({ grad }, i) => {
        const other = later![i]!.grad;
        if (!grad) expect(other).toBeNull();
        else expectNumbers(numbers(other!), numbers(grad));
      });
      expectNumbers([await coming], [norm]);
      expect(await gradNormAsync(later!)).toBeCloseTo(gradNorm(later!), 12);
    });
    await fc.assert(law);
  });

  test.each(['f32', 'f16', 'bf16', 'f64'] as const)('leaves gradients in %s', async (dtype) => {
    const params = [withGradient([3, 0], dtype), withGradient([0, 4], 'f32')];
    expect(await clipGradNormAsync(params, 0.5)).toBe(5);
    expect(params.map((p) => p.grad!.dtype)).toEqual([dtype, 'f32']);
    expect(gradNorm(params)).toBeCloseTo(0.5, 2);
  });

  test.each([NaN, Infinity])('leaves gradients that hold %s as they are', async (value) => {
    const params = [withGradient([value, 3])];
    expect(await clipGradNormAsync(params, 0.5)).toBe(value);
    expect(numbers(params[0]!.grad!)).toEqual([value, 3]);
  });

  test('counts a parameter once', async () => {
    const p = withGradient([3, 4]);
    expect(await clipGradNormAsync([p, p], 1)).toBe(5);
    expectNumbers(
      numbers(p.grad!),
      [0.6, 0.8].map((x) => x / (1 + 2e-7)),
    );
  });

  test('refuses a norm that is not above 0', () => {
    expect(() => clipGradNormAsync([withGradient([1])], 0)).toThrow(ValueError);
  });
});
