/** Bitwise ops on integers. */
import type { DType } from '../dtype.ts';
import type { Expr } from '../ir.ts';
import * as ir from '../ir.ts';
import type { Tensor } from '../tensor.ts';
import { binary, refused, unary } from './families.ts';
import type { Domain, ElementwiseRecord, Operand } from './record.ts';

const bits: readonly DType[] = ['i32', 'u8', 'bool'];
const integers: readonly DType[] = ['i32', 'u8'];
const whole: Domain = { min: -200, max: 200, integer: true };
const counts: Domain = { min: -2, max: 34, integer: true };

interface BitwiseOptions {
  readonly doc: string;
  readonly define: (x: Expr, y: Expr) => Expr;
  readonly accepts: readonly DType[];
  readonly second?: Domain;
  /** In what dtypes the laws try it; in all that it accepts unless told. */
  readonly sampled?: readonly DType[];
}

function bitwiseOf({
  doc,
  define,
  accepts,
  second = whole,
  sampled = accepts,
}: BitwiseOptions): ElementwiseRecord<[x: Operand, other: Operand]> & { readonly shapes: 'broadcast' } {
  return {
    ...binary({ doc, define, promote: 'common', accepts }),
    sample: (draw) => {
      const [a, b] = draw.broadcastable(2);
      const dtype = draw.pick(sampled);
      return {
        inputs: [
          { shape: a!, dtype, domain: whole },
          { shape: b!, dtype, domain: second },
        ],
      };
    },
    errors: [
      {
        inputs: [
          { shape: [2, 3], dtype: 'i32' },
          { shape: [4], dtype: 'i32' },
        ],
        error: 'ShapeError',
        says: 'do not broadcast',
      },
      ...refused(accepts, (dtype) => [
        { shape: [2], dtype },
        { shape: [2], dtype: 'i32' },
      ]),
    ],
  };
}

const bitwiseNot: ElementwiseRecord<[x: Tensor]> & { readonly shapes: 'same' } = {
  ...unary({
    doc: 'Every bit turned: -x - 1 of i32, 255 - x of u8, not x of bool.',
    define: (x, dtype) => (dtype === 'bool' ? ir.eq(x, 0) : ir.bitXor(x, -1)),
    promote: 'none',
    accepts: bits,
  }),
  sample: (draw) => ({ inputs: [{ shape: draw.shape(), dtype: 'i32', domain: whole }] }),
};

export const bitwise = {
  bitwiseAnd: bitwiseOf({
    doc: 'Bits set in both x and y; of bool, true where both are.',
    define: ir.bitAnd,
    accepts: bits,
  }),
  bitwiseOr: bitwiseOf({
    doc: 'Bits set in x, in y or in both; of bool, true where either is.',
    define: ir.bitOr,
    accepts: bits,
  }),
  bitwiseXor: bitwiseOf({
    doc: 'Bits set in just one of x and y; of bool, true where they differ.',
    define: ir.bitXor,
    accepts: bits,
  }),
  bitwiseNot,
  leftShift: bitwiseOf({
    doc: 'x · 2ʸ, less the bits that leave at the top; 0 where y is negative or exceeds the width.',
    define: ir.shiftLeft,
    accepts: integers,
    // Of u8 the bits that leave are others.
    sampled: ['i32'],
    second: counts,
  }),
  rightShift: bitwiseOf({
    doc: '⌊x / 2ʸ⌋, filled up with the sign; where y is negative or exceeds the width, with nothing else.',
    define: ir.shiftRight,
    accepts: integers,
    second: counts,
  }),
};
