/** What the tests of functions over spatial axes share. */
import { fromData, InfinigradError, sizeOf, type Shape, type Tensor } from '@infinigrad/tensor';
import { drawLayout, expectAllClose, realise } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { expect } from 'vitest';
import { flat, fromTensor, indices, type Naive } from '../naive.ts';
import { runs } from '../support.ts';

export interface Choices {
  /** An integer between two, both included. */
  readonly int: (min: number, max: number) => number;
  /** One for each axis. */
  readonly per: (axes: number, min: number, max: number) => number[];
  readonly bool: () => boolean;
  /** Numbers that differ from each other, in any layout. */
  readonly draw: (shape: Shape) => Tensor;
}

/** Tries a law on many choices. */
export function holds(check: (choices: Choices) => void, numRuns = runs): void {
  const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
  const law = fc.property(fc.gen(), (g) => {
    const int = (min: number, max: number): number => g(between, min, max);
    let drawn = 0;
    check({
      int,
      per: (axes, min, max) => Array.from({ length: axes }, () => int(min, max)),
      bool: () => int(0, 1) === 1,
      draw: (shape) => {
        const seed = 7.1 * drawn++;
        const values = indices(shape).map((_, i) => Math.sin(1 + 2.3 * i + seed));
        return realise(values, shape, 'f64', drawLayout(g, shape, { repeats: false }));
      },
    });
  });
  fc.assert(law, { numRuns });
}

export function expectSame(actual: Tensor, expected: Naive, tolerance = 1e-12): void {
  expect(actual.shape).toEqual(expected.shape);
  expectAllClose(actual, flat(expected), { rtol: tolerance, atol: tolerance });
}

export const zeroes = (n: number): number[] => new Array<number>(n).fill(0);
export const counted = (shape: Shape): Tensor =>
  fromData(
    Float64Array.from({ length: sizeOf(shape) }, (_, i) => i),
    shape,
  );
export const valuesOf = (x: Tensor): number[] => flat(fromTensor(x));

/** A call that must be refused: the method, the call, the class of the error, and words of its message. */
export type ErrorRow = readonly [
  name: string,
  body: () => unknown,
  kind: new (...args: never[]) => InfinigradError,
  says: string,
];

export function expectRefused([, body, kind, says]: ErrorRow): void {
  expect(body).toThrow(kind);
  expect(body).toThrow(says);
}

/** The methods that no row is about. */
export const untried = (methods: object, rows: readonly ErrorRow[]): string[] => {
  const tried = new Set(rows.map(([name]) => name));
  return Object.keys(methods).filter((name) => !tried.has(name));
};
