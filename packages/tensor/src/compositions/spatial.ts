/** What the functions over spatial axes (the last one, two or three) share: their options, one number for all axes or one for each. */
import { ShapeError, ValueError } from '../errors.ts';
import { checkIntegers } from '../ops/sliding.ts';
import { checkArray } from '../shape.ts';
import type { Tensor } from '../tensor.ts';

/** One number for every spatial axis, or one for each. */
export type PerAxis = number | readonly number[];
/** Elements before and after, along one axis. */
export type Widths = readonly [before: number, after: number];

/** An option as integers ≥ `least`, one for each spatial axis. */
export function perAxis(op: string, name: string, value: PerAxis, axes: number, least: number): number[] {
  if (typeof value !== 'number') checkArray(op, name, value);
  const list = typeof value === 'number' ? new Array<number>(axes).fill(value) : [...value];
  if (list.length !== axes)
    throw new ValueError(op, `${name} needs one entry for each of ${axes} spatial axes, got ${list.length}`);
  checkIntegers(op, name, list, least);
  return list;
}

/** Widths on both sides of each spatial axis: one number for all, one or a pair for each. */
export function bothSides(
  op: string,
  name: string,
  value: number | readonly (number | Widths)[],
  axes: number,
): Widths[] {
  if (typeof value !== 'number') checkArray(op, name, value);
  const list = typeof value === 'number' ? new Array<number>(axes).fill(value) : value;
  if (list.length !== axes)
    throw new ValueError(op, `${name} needs one entry for each of ${axes} spatial axes, got ${list.length}`);
  const pairs = list.map((width): Widths => (typeof width === 'number' ? [width, width] : width));
  checkIntegers(op, name, pairs.flat(), 0);
  return pairs;
}

/** Runs `body` on x with a batch axis, which is taken off the result where x came without one. */
export function batched(op: string, x: Tensor, axes: number, body: (x: Tensor) => Tensor): Tensor {
  checkSpatial(op, x, axes);
  return x.rank === axes + 2 ? body(x) : body(x.unsqueeze(0)).squeeze(0);
}

/** Throws a ShapeError unless x is [channels, ...spatial] or [batch, channels, ...spatial]. */
export function checkSpatial(op: string, x: Tensor, axes: number): void {
  if (x.rank !== axes + 1 && x.rank !== axes + 2)
    throw new ShapeError(
      op,
      `needs ${axes + 1} or ${axes + 2} axes, [batch, channels, ${axes} spatial ones]`,
      {
        operands: [x],
      },
    );
}

/** The spatial axes of x: its last ones. */
export const spatialAxes = (x: Tensor, axes: number): number[] =>
  Array.from({ length: axes }, (_, i) => x.rank - axes + i);

/** Widths for all axes of x, of which the last ones are given. */
export const framing = (x: Tensor, widths: readonly Widths[]): Widths[] => [
  ...Array.from({ length: x.rank - widths.length }, (): Widths => [0, 0]),
  ...widths,
];
