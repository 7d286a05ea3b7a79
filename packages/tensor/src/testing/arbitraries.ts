/** fast-check arbitraries for what tensor functions take: shapes, layouts, dtypes, axes, index sets, tensors. */
import fc from 'fast-check';
import { dtypes, type DType } from '../dtype.ts';
import { real } from '../ops/domains.ts';
import type { Domain, Draw } from '../ops/record.ts';
import type { Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { fillSample, inputsOf, type DrawnInput } from './calls.ts';
import { drawFrom } from './draw.ts';
import { drawLayout, type LayoutKind, type LayoutPlan } from './layouts.ts';

/** Named domains: real numbers of a few units, away from zero, positive, within (-1, 1), … */
export * as domains from '../ops/domains.ts';

type ShapeOptions = NonNullable<Parameters<Draw['shape']>[0]>;

/** A shape of small sizes: rank 0 … 3, sizes 1 … 4 unless told. */
export const shapes = (options: ShapeOptions = {}): fc.Arbitrary<number[]> =>
  fc.gen().map((g) => drawFrom(g).shape(options));

/** So many shapes that broadcast together. */
export const broadcastableShapes = (count = 2): fc.Arbitrary<number[][]> =>
  fc.gen().map((g) => drawFrom(g).broadcastable(count));

/** A dtype, of these. */
export const dtypesIn = (list: readonly DType[] = dtypes): fc.Arbitrary<DType> => fc.constantFrom(...list);

/** A layout of a shape. */
export const layoutsOf = (shape: Shape, kind: LayoutKind = 'any'): fc.Arbitrary<LayoutPlan> =>
  fc.gen().map((g) => drawLayout(g, shape, { kind }));

/** An axis of a tensor of this rank (≥ 1), from either end. */
export const axesOf = (rank: number): fc.Arbitrary<number> => fc.integer({ min: -rank, max: rank - 1 });

/** Different axes of a tensor of this rank, in any order and counted from either end. */
export const axisSetsOf = (rank: number): fc.Arbitrary<number[]> =>
  fc
    .tuple(
      fc.shuffledSubarray(Array.from({ length: rank }, (_, i) => i)),
      fc.array(fc.boolean(), { minLength: rank, maxLength: rank }),
    )
    .map(([axes, fromEnd]) => axes.map((axis) => (fromEnd[axis] ? axis - rank : axis)));

/** Positions below `size`, repeated or not. */
export const indexSets = (
  size: number,
  {
    minLength = 0,
    maxLength = 8,
    unique = false,
  }: { minLength?: number; maxLength?: number; unique?: boolean } = {},
): fc.Arbitrary<number[]> =>
  unique
    ? fc.uniqueArray(fc.nat({ max: size - 1 }), { minLength, maxLength: Math.min(maxLength, size) })
    : fc.array(fc.nat({ max: size - 1 }), { minLength, maxLength });

export interface TensorsOptions {
  /** A shape, or an arbitrary of shapes. Default: any small one. */
  readonly shape?: Shape | fc.Arbitrary<Shape>;
  /** Default f32. */
  readonly dtype?: DType;
  /** Default: real numbers of a few units. */
  readonly domain?: Domain;
  /** Default any. */
  readonly layouts?: LayoutKind;
}

/** A tensor as plain data, which prints and shrinks; `tensorFrom` makes it. */
export function tensors({
  shape = shapes(),
  dtype = 'f32',
  domain = real,
  layouts = 'any',
}: TensorsOptions = {}): fc.Arbitrary<DrawnInput> {
  const drawn = Array.isArray(shape) ? fc.constant(shape as Shape) : (shape as fc.Arbitrary<Shape>);
  return fc
    .tuple(drawn, fc.gen())
    .map(
      ([own, g]) =>
        fillSample(g, 'tensors', { inputs: [{ shape: own, domain }] }, { dtype, layouts }).inputs[0]!,
    );
}

/** The tensor that an arbitrary has drawn. */
export function tensorFrom(drawn: DrawnInput): Tensor {
  return inputsOf({ op: 'tensors', inputs: [drawn], attrs: {} })[0]!;
}
