/** Further elementwise functions: logarithms and powers, sums of exponentials, remainders and quotients. */
import { isFloat } from '../dtype.ts';
import * as ir from '../ir.ts';
import type { Tensor } from '../tensor.ts';
import { nonzero, positive, real } from './domains.ts';
import { anyDType, binary, unary } from './families.ts';
import type { Domain, ElementwiseRecord } from './record.ts';

/** x / y stays between 2 and 3, away from the jumps of a whole quotient. */
const quotientOfTwo: readonly [Domain, Domain] = [
  { min: 4.2, max: 4.6 },
  { min: 1.6, max: 1.9 },
];

/** log(x / (1 - x)); near ½, where that is 0, log(1 + (2x - 1)/(1 - x)). */
function logit(x: ir.Expr): ir.Expr {
  const rest = ir.sub(1, x);
  const near = ir.le(ir.abs(ir.sub(x, 0.5)), 0.25);
  return ir.select(near, ir.log1p(ir.div(ir.sub(ir.mul(2, x), 1), rest)), ir.log(ir.div(x, rest)));
}

/** 0 where x is 0, unless y is NaN. */
const zeroFirst = (x: ir.Expr, y: ir.Expr, product: ir.Expr): ir.Expr =>
  ir.select(ir.and(ir.eq(x, 0), ir.eq(y, y)), 0, product);

const logitRecord: ElementwiseRecord<[x: Tensor, eps?: number]> & { readonly shapes: 'same' } = {
  ...unary({ doc: 'log(x / (1 - x)), the inverse of sigmoid.', define: logit, flops: 14 }),
  doc: 'log(x / (1 - x)), the inverse of sigmoid; with `eps`, of x held between eps and 1 - eps.',
  accepts: [anyDType],
  call: (x, eps) => ({ inputs: [eps === undefined ? x : x.clip(eps, 1 - eps)] }),
  sample: (draw) => ({ inputs: [{ shape: draw.shape(), domain: { min: 0.1, max: 0.9 } }] }),
};

export const furtherFunctions = {
  exp2: unary({ doc: 'Power 2ˣ.', define: (x) => ir.pow(2, x), flops: 10 }),
  log10: unary({ doc: 'Logarithm to base 10.', define: ir.log10, domain: positive, flops: 10 }),
  cbrt: unary({ doc: 'Cube root, of negative numbers too.', define: ir.cbrt, domain: nonzero, flops: 10 }),
  logit: logitRecord,
  isInf: unary({
    doc: 'True where x is Infinity or -Infinity.',
    define: (x) => ir.eq(ir.abs(x), Infinity),
    promote: 'float',
    result: 'bool',
  }),
  xlogy: binary({
    doc: 'x · log y; 0 where x is 0, unless y is NaN.',
    define: (x, y) => zeroFirst(x, y, ir.mul(x, ir.log(y))),
    promote: 'float',
    domains: [real, positive],
    flops: 12,
  }),
  xlog1py: binary({
    doc: 'x · log(1 + y); 0 where x is 0, unless y is NaN.',
    define: (x, y) => zeroFirst(x, y, ir.mul(x, ir.log1p(y))),
    promote: 'float',
    domains: [real, { min: -0.7, max: 3 }],
    flops: 12,
  }),
  logAddExp: binary({
    doc: 'log(eˣ + eʸ), without overflow.',
    // Equal infinities have no difference.
    define: (x, y) =>
      ir.select(
        ir.eq(x, y),
        ir.add(x, Math.LN2),
        ir.add(ir.max(x, y), ir.log1p(ir.exp(ir.neg(ir.abs(ir.sub(x, y)))))),
      ),
    promote: 'float',
    flops: 24,
  }),
  hypot: binary({
    doc: 'Length √(x² + y²), without overflow.',
    define: ir.hypot,
    promote: 'float',
    domains: [nonzero, nonzero],
    flops: 4,
  }),
  fmod: binary({
    doc: "Remainder x - y·trunc(x / y), with the dividend's sign. Integer division by zero gives 0.",
    define: ir.fmod,
    domains: quotientOfTwo,
  }),
  truncDivide: binary({
    doc: 'Quotient rounded toward zero, trunc(x / y). Integer division by zero gives 0.',
    define: (x, y, dtype) => {
      // The quotient of two f32 may round up to a whole number; that of f64 does not.
      if (isFloat(dtype))
        return ir.cast(ir.trunc(ir.div(ir.cast(x, dtype, 'f64'), ir.cast(y, dtype, 'f64'))), 'f64', dtype);
      const below = ir.and(ir.ne(ir.rem(x, y), 0), ir.xor(ir.lt(x, 0), ir.lt(y, 0)));
      const quotient = ir.floorDiv(x, y);
      return ir.select(below, ir.add(quotient, 1), quotient);
    },
    domains: quotientOfTwo,
  }),
};
