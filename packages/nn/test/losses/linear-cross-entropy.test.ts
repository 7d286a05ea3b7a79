/** linearCrossEntropy is crossEntropy of the product, whatever the chunks, and holds no logits whole. */
import { grad, jvp, noGrad, vmap } from '@infinigrad/autograd';
import * as nn from '@infinigrad/nn';
import { intercept, Key, memoryStats, scope, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectNumbers, numbers } from '../support.ts';
import { integers, normal, reductions } from './support.ts';

describe('linearCrossEntropy', () => {
  test('is crossEntropy of the product, for every size of chunk and reduction', () =>
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.nat(),
          rows: fc.integer({ min: 0, max: 6 }),
          chunkSize: fc.integer({ min: 1, max: 7 }),
          labelSmoothing: fc.constantFrom(0, 0.2),
          zLoss: fc.constantFrom(0, 0.1),
          reduction: fc.constantFrom(...reductions),
        }),
        ({ seed, rows, chunkSize, ...options }) => {
          const t = new Key(seed).randint(0, 5, [rows, 1]);
          const ignored = new Key(seed).foldIn(1).bernoulli(0.3, [rows, 1]).where(-100, t).cast('i32');
          const given = [normal(seed, [rows, 1, 3]), normal(seed + 1, [5, 3]), normal(seed + 2, [5])];
          const both = [true, false].map((chunked) => {
            const [h, w, b] = given.map((x) => x.detach().requireGrad()) as [Tensor, Tensor, Tensor];
            const y = chunked
              ? nn.linearCrossEntropy(h, w, ignored, { ...options, bias: b, chunkSize })
              : nn.crossEntropy(h.matmul(w.transpose()).add(b), ignored, options);
            y.mul(normal(7, y.shape)).sum().backward();
            expect(y.shape).toEqual(options.reduction === 'none' ? [rows, 1] : []);
            return [y.reshape([-1]), h.grad!, w.grad!, b.grad!].map(numbers);
          });
          both[0]!.forEach((part, i) => expectNumbers(part, both[1]![i]!));
        },
      ),
      { numRuns: 60 },
    ));
  describe('is crossEntropy of the product', () => {
    const [h, w] = [normal(1, [5, 3]), normal(2, [4, 3])];
    const t = integers([0, -100, 3, 1, 1]);
    const chunked = (x: Tensor, y: Tensor): Tensor => nn.linearCrossEntropy(x, y, t, { chunkSize: 2 });
    const plain = (x: Tensor, y: Tensor): Tensor => nn.crossEntropy(x.matmul(y.transpose()), t);
    test('where one of the inputs needs no gradient', () => {
      for (const frozen of [0, 1]) {
        const gradientOf = (loss: typeof chunked): number[] => {
          const inputs = [h, w].map((x, i) => (i === frozen ? x : x.detach().requireGrad())) as [
            Tensor,
            Tensor,
          ];
          loss(...inputs).backward();
          return numbers(inputs[1 - frozen]!.grad!);
        };
        expectNumbers(gradientOf(chunked), gradientOf(plain));
      }
    });
    test('where nothing is recorded', () => {
      const [x, y] = [h.detach().requireGrad(), w.detach().requireGrad()];
      const loss = noGrad(() => chunked(x, y));
      expect(loss.requiresGrad).toBe(false);
      expectNumbers([loss.itemSync()], [plain(h, w).itemSync()]);
    });
    test('along a direction, and for every example of a batch', () => {
      const [dh, dw] = [normal(5, [5, 3]), normal(6, [4, 3])];
      const along = (f: typeof chunked): number[] => numbers(jvp(f, [h, w], [dh, dw]).tangent as Tensor);
      expectNumbers(along(chunked), along(plain));
      const batch = normal(7, [3, 5, 3]);
      const each = (f: typeof chunked): number[] =>
        numbers(
          vmap(
            grad((x: Tensor, y: Tensor) => f(x, y)),
            { inAxes: [0, null] },
          )(batch, w) as Tensor,
        );
      expectNumbers(each(chunked), each(plain));
    });
    test('twice through one graph', () => {
      const x = h.detach().requireGrad();
      const loss = chunked(x, w).mul(3);
      loss.backward(undefined, { retainGraph: true });
      const once = numbers(x.grad!);
      loss.backward();
      expectNumbers(
        numbers(x.grad!),
        once.map((g) => 2 * g),
      );
    });
  });
  test('never holds the logits whole', () => {
    const [rows, classes, d, chunkSize] = [256, 2000, 8, 16];
    const [h, w] = [
      new Key(0).normal([rows, d]).requireGrad(),
      new Key(1).normal([classes, d]).requireGrad(),
    ];
    const t = new Key(2).randint(0, classes, [rows]);
    const whole = rows * classes * 4;
    const peakOf = (loss: () => Tensor): number => {
      const before = memoryStats().bytes;
      let peak = 0;
      const stop = intercept((call, next) => {
        const y = next(call);
        peak = Math.max(peak, memoryStats().bytes - before);
        return y;
      });
      scope(() => loss().backward(undefined, { consume: true }));
      stop();
      [h.grad, w.grad] = [null, null];
      return peak;
    };
    const chunked = peakOf(() => nn.linearCrossEntropy(h, w, t, { chunkSize }));
    expect(chunked).toBeLessThan(whole / 2);
    expect(peakOf(() => nn.crossEntropy(h.matmul(w.transpose()), t))).toBeGreaterThan(whole);
  });
});
