/** The shape of the micro-kernel: a tile of C held in registers. */
import { f32x4, f64x2, v128, type I32, type V128 } from '../assembler/index.ts';

/**
 * Sixteen registers hold rows × vectors sums, the vectors of B, one of A and (without fused multiply-add) one product:
 * 4 × 2 sums, or 6 × 2 fused, fit.
 */
export interface TileShape {
  readonly dtype: 'f32' | 'f64';
  readonly fused: boolean;
  readonly rows: number;
  /** Columns in elements: two vectors. */
  readonly columns: number;
  readonly bytes: number;
  /** c + a·b. */
  readonly accumulate: (c: V128, a: V128, b: V128) => V128;
  readonly splat: (address: I32, offset: number) => V128;
}

export function tileShape(dtype: 'f32' | 'f64', fused: boolean): TileShape {
  const ops = dtype === 'f32' ? f32x4 : f64x2;
  return {
    dtype,
    fused,
    rows: fused ? 6 : 4,
    columns: dtype === 'f32' ? 8 : 4,
    bytes: dtype === 'f32' ? 4 : 8,
    accumulate: (c, a, b) => (fused ? ops.relaxedMadd(a, b, c) : ops.add(c, ops.mul(a, b))),
    splat: dtype === 'f32' ? v128.load32Splat : v128.load64Splat,
  };
}

/** Elements of the inner axis that one pass goes over; rows of A and columns of B that are packed at a time. */
export const blocking = { inner: 256, rows: 120, columns: 512 } as const;
