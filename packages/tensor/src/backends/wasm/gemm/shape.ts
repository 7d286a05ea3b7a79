/** The shape of the micro-kernel: a tile of C held in registers. */
import { f32x4, f64x2, v128, type I32, type V128 } from '../assembler/index.ts';

export type Float = 'f32' | 'f64';

/**
 * One way to write the micro-kernel. Sixteen registers hold rows × 2 sums, two vectors of B, one of A and (without fused
 * multiply-add) one product: 5 × 2 sums, or 6 × 2 fused, fit; thirty-two hold more. Which is
 * fastest is the engine's affair; the sums are the same, each being taken in the order of the inner axis.
 */
export interface Variant {
  /** Rows of a tile of C. */
  readonly rows: number;
  /** Elements of the inner axis between two turns of the loop. */
  readonly unroll: number;
  /** Branches that are never taken, between rows: see tile.ts. */
  readonly breaks: boolean;
}

/** The first one is taken until they have been timed. */
export const variants: Readonly<Record<'fused' | 'plain', readonly Variant[]>> = {
  fused: [
    { rows: 6, unroll: 2, breaks: true },
    { rows: 6, unroll: 4, breaks: false },
    { rows: 4, unroll: 2, breaks: false },
    { rows: 8, unroll: 2, breaks: false },
  ],
  plain: [
    { rows: 5, unroll: 8, breaks: true },
    { rows: 5, unroll: 4, breaks: false },
    { rows: 4, unroll: 8, breaks: true },
    { rows: 4, unroll: 4, breaks: false },
    { rows: 8, unroll: 2, breaks: false },
  ],
};

export interface TileShape extends Variant {
  readonly dtype: Float;
  readonly fused: boolean;
  /** Bytes of an element. */
  readonly bytes: number;
  /** Elements of a vector. */
  readonly lanes: number;
  /** Columns of a tile of C: two vectors. */
  readonly columns: number;
  /** c + a·b. */
  readonly accumulate: (c: V128, a: V128, b: V128) => V128;
  readonly add: (a: V128, b: V128) => V128;
  readonly splat: (address: I32, offset?: number) => V128;
}

export function tileShape(dtype: Float, fused: boolean, variant: Variant): TileShape {
  const ops = dtype === 'f32' ? f32x4 : f64x2;
  const lanes = dtype === 'f32' ? 4 : 2;
  return {
    ...variant,
    dtype,
    fused,
    lanes,
    bytes: 16 / lanes,
    columns: 2 * lanes,
    accumulate: (c, a, b) => (fused ? ops.relaxedMadd(a, b, c) : ops.add(c, ops.mul(a, b))),
    add: ops.add,
    splat: dtype === 'f32' ? v128.load32Splat : v128.load64Splat,
  };
}

export const keyOf = ({ dtype, fused, rows, unroll, breaks }: TileShape): string =>
  `${dtype}${fused ? ' fused' : ''} ${rows} ${unroll}${breaks ? ' breaks' : ''}`;

/** Elements of the inner axis and columns of B that one pass goes over; rows of A that stay in the caches meanwhile. */
export const blocking = { inner: 256, columns: 512, rows: 120 } as const;
