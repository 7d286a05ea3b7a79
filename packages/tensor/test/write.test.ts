/** Writing into the buffer of a tensor: the places that are meant and no others, on every backend that can. */
import {
  dtypes,
  ShapeError,
  DTypeError,
  BackendError,
  ValueError,
  DisposedError,
  Key,
  scope,
  withBackend,
  writeInPlace,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from './support.ts';

const fresh = (shape: number[], seed: number): Tensor => new Key(seed).normal(shape).mul(50);

describe.each(['js', 'wasm'])('on %s', (backend) => {
  it('changes the places of the target, and no others', () =>
    withBackend(backend, () =>
      fc.assert(
        fc.property(
          fc.record({
            shape: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 4 }),
            seed: fc.nat(),
            dtype: fc.constantFrom(...dtypes),
            turned: fc.boolean(),
            from: fc.boolean(),
          }),
          ({ shape, seed, dtype, turned, from }) => {
            // A window of a larger buffer, and a source with axes in another order or of one element.
            const whole = fresh(
              shape.map((n) => n + 2),
              seed,
            )
              .cast(dtype)
              .clone();
            const window = shape.reduce((x, n, axis) => x.narrow(axis, 1, n), whole);
            const order = shape.map((_, axis) => shape.length - 1 - axis);
            const target = turned ? window.permute(order) : window;
            const source = from
              ? fresh([...target.shape].reverse(), seed + 1)
                  .cast(dtype)
                  .permute(order)
              : zeros(target.shape, { dtype });
            const before = Array.from(whole.dataSync());
            const written = whole.clone();
            const inWindow = Array.from(
              shape
                .reduce(
                  (x, n, axis) => x.pad(shape.map((_, i) => (i === axis ? [1, 1] : [0, 0]))),
                  zeros(shape).add(1),
                )
                .dataSync(),
            );
            expect(writeInPlace(target, source)).toBe(true);
            expect(Array.from(target.dataSync())).toEqual(Array.from(source.dataSync()));
            Array.from(whole.dataSync()).forEach(
              (value, i) => inWindow[i] === 0 && expect(value).toBe(before[i]),
            );
            // Copies that were made before stay what they were.
            expect(Array.from(written.dataSync())).toEqual(before);
          },
        ),
        { numRuns: runs },
      ),
    ));

  it('finds a buffer that was moved out of the heap', () =>
    withBackend(backend, () => {
      const [target, source] = [fresh([4, 4], 1).clone(), fresh([2, 4], 2).clone()];
      const many = Array.from({ length: 10 }, () => zeros([2 ** 22]).clone());
      expect(many.length).toBe(10);
      expect(writeInPlace(target.narrow(0, 1, 2), source)).toBe(true);
      expect(Array.from(target.narrow(0, 1, 2).dataSync())).toEqual(Array.from(source.dataSync()));
    }));
});

it('writes nothing where there is nothing', () => {
  const nothing = zeros([2, 0]);
  expect(writeInPlace(nothing, nothing)).toBe(true);
});

describe('errors', () => {
  const x = fresh([2, 3], 1).clone();
  const rows: [string, () => unknown, new (...args: never[]) => Error, string][] = [
    [
      'another shape',
      () => writeInPlace(x, fresh([3, 2], 2)),
      ShapeError,
      'writeInPlace: target and source must have one shape: [2, 3] f32, [3, 2] f32',
    ],
    ['another dtype', () => writeInPlace(x, fresh([2, 3], 2).cast('f64')), DTypeError, 'must have one dtype'],
    [
      'another backend',
      () =>
        writeInPlace(
          x,
          withBackend('js', () => fresh([2, 3], 2)),
        ),
      BackendError,
      'different backends',
    ],
    ['itself', () => writeInPlace(x, x), ValueError, 'share a buffer'],
    [
      'places that coincide',
      () => writeInPlace(fresh([1, 3], 3).expand([2, 3]), x),
      ValueError,
      'elements of the target share a place',
    ],
    [
      'what was given back',
      () => {
        let gone: Tensor | undefined;
        scope(() => void (gone = fresh([2, 3], 4)));
        writeInPlace(x, gone!);
      },
      DisposedError,
      'scope has ended',
    ],
  ];
  it.each(rows)('%s', (_, body, kind, says) => {
    const before = Array.from(x.dataSync());
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
    expect(Array.from(x.dataSync())).toEqual(before);
  });
});
