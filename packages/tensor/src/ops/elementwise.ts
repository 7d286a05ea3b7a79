/** Elementwise ops: arithmetic, functions of one number, relations, logic, choice. */
import { isDType, type DType } from '../dtype.ts';
import { describeValue, DTypeError, ValueError } from '../errors.ts';
import * as ir from '../ir.ts';
import { broadcastShapes, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { aboveOne, betweenSteps, distinct, nonzero, positive, real, truth, unit } from './domains.ts';
import { anyDType, binary, numeric, refused, unary } from './families.ts';
import type { Domain, ElementwiseRecord, Operand } from './record.ts';

const sigmoid = (x: ir.Term): ir.Expr => ir.div(1, ir.add(1, ir.exp(ir.neg(x))));
const isTrue = (x: ir.Term): ir.Expr => ir.ne(x, 0);
const twoRootTwoOverPi = 2 * Math.sqrt(2 / Math.PI);

/** x / y stays between 2 and 3, away from the jumps of ⌊x / y⌋. */
const quotientOfTwo: readonly [Domain, Domain] = [
  { min: 4.2, max: 4.6 },
  { min: 1.6, max: 1.9 },
];

export const arithmetic = {
  add: binary({ doc: 'Sum x + y.', define: ir.add }),
  sub: binary({ doc: 'Difference x - y.', define: ir.sub }),
  mul: binary({ doc: 'Product x · y.', define: ir.mul }),
  div: binary({
    doc: 'Quotient x / y; integers divide in f32.',
    define: ir.div,
    promote: 'float',
    domains: [real, nonzero],
  }),
  pow: binary({ doc: 'Power x^y.', define: ir.pow, domains: [positive, real], flops: 10 }),
  maximum: binary({
    doc: 'The larger of x and y; NaN where either is.',
    define: ir.max,
    domains: [distinct, distinct],
  }),
  minimum: binary({
    doc: 'The smaller of x and y; NaN where either is.',
    define: ir.min,
    domains: [distinct, distinct],
  }),
  floorDivide: binary({
    doc: 'Quotient rounded down, ⌊x / y⌋. Integer division by zero gives 0.',
    define: ir.floorDiv,
    domains: quotientOfTwo,
  }),
  remainder: binary({
    doc: "Remainder x - y·⌊x / y⌋, with the divisor's sign. Integer division by zero gives 0.",
    define: ir.rem,
    domains: quotientOfTwo,
  }),
  siluMul: binary({
    doc: 'x · sigmoid(x) · y: the gated unit of SwiGLU (arXiv 2002.05202, eq. 5, before the last product).',
    define: (x, y) => ir.mul(ir.mul(x, sigmoid(x)), y),
    promote: 'float',
    flops: 14,
  }),
  atan2: binary({
    doc: 'Angle of the point (y, x) = (self, other), in radians.',
    define: ir.atan2,
    promote: 'float',
    domains: [nonzero, nonzero],
    flops: 10,
  }),
};

export const functions = {
  neg: unary({ doc: 'Negation -x.', define: ir.neg, promote: 'none', accepts: numeric }),
  abs: unary({
    doc: 'Absolute value |x|.',
    define: ir.abs,
    promote: 'none',
    accepts: numeric,
    domain: nonzero,
  }),
  sign: unary({
    doc: 'Sign of x: -1, 0 or 1; NaN stays NaN.',
    define: ir.sign,
    promote: 'none',
    accepts: numeric,
    domain: nonzero,
  }),
  square: unary({ doc: 'Square x².', define: (x) => ir.mul(x, x), promote: 'none', accepts: numeric }),
  sqrt: unary({ doc: 'Square root √x.', define: ir.sqrt, domain: positive }),
  rsqrt: unary({
    doc: 'Reciprocal square root 1/√x.',
    define: (x) => ir.div(1, ir.sqrt(x)),
    domain: positive,
    flops: 2,
  }),
  reciprocal: unary({ doc: 'Reciprocal 1/x.', define: (x) => ir.div(1, x), domain: nonzero }),
  exp: unary({ doc: 'Exponential eˣ.', define: ir.exp, flops: 10 }),
  expm1: unary({ doc: 'eˣ - 1, accurate near 0.', define: ir.expm1, flops: 10 }),
  log: unary({ doc: 'Natural logarithm.', define: ir.log, domain: positive, flops: 10 }),
  log2: unary({ doc: 'Logarithm to base 2.', define: ir.log2, domain: positive, flops: 10 }),
  log1p: unary({
    doc: 'log(1 + x), accurate near 0.',
    define: ir.log1p,
    domain: { min: -0.7, max: 3 },
    flops: 10,
  }),
  sin: unary({ doc: 'Sine; x in radians.', define: ir.sin, flops: 10 }),
  cos: unary({ doc: 'Cosine; x in radians.', define: ir.cos, flops: 10 }),
  tan: unary({ doc: 'Tangent; x in radians.', define: ir.tan, domain: unit, flops: 10 }),
  asin: unary({ doc: 'Arc sine, in radians.', define: ir.asin, domain: unit, flops: 10 }),
  acos: unary({ doc: 'Arc cosine, in radians.', define: ir.acos, domain: unit, flops: 10 }),
  atan: unary({ doc: 'Arc tangent, in radians.', define: ir.atan, flops: 10 }),
  sinh: unary({ doc: 'Hyperbolic sine.', define: ir.sinh, flops: 10 }),
  cosh: unary({ doc: 'Hyperbolic cosine.', define: ir.cosh, flops: 10 }),
  tanh: unary({ doc: 'Hyperbolic tangent.', define: ir.tanh, flops: 10 }),
  asinh: unary({ doc: 'Inverse hyperbolic sine.', define: ir.asinh, flops: 10 }),
  acosh: unary({ doc: 'Inverse hyperbolic cosine.', define: ir.acosh, domain: aboveOne, flops: 10 }),
  atanh: unary({ doc: 'Inverse hyperbolic tangent.', define: ir.atanh, domain: unit, flops: 10 }),
  erf: unary({ doc: 'Error function (2/√π) ∫₀ˣ e^(-t²) dt.', define: ir.erf, flops: 10 }),
  sigmoid: unary({ doc: 'Logistic function 1 / (1 + e⁻ˣ).', define: sigmoid, flops: 12 }),
  softplus: unary({
    doc: 'log(1 + eˣ), without overflow.',
    define: (x) => ir.add(ir.max(x, 0), ir.log1p(ir.exp(ir.neg(ir.abs(x))))),
    flops: 20,
  }),
  relu: unary({
    doc: 'max(x, 0); the derivative at 0 is taken as 0.',
    define: (x) => ir.max(x, 0),
    promote: 'none',
    accepts: numeric,
    domain: nonzero,
  }),
  silu: unary({
    doc: 'x · sigmoid(x) (swish; arXiv 1702.03118).',
    define: (x) => ir.mul(x, sigmoid(x)),
    flops: 13,
  }),
  gelu: unary({
    doc: 'x · Φ(x) with the exact normal distribution function (arXiv 1606.08415).',
    define: (x) => ir.mul(x, ir.ndtr(x)),
    flops: 14,
  }),
  geluTanh: unary({
    doc: 'The tanh approximation of gelu (arXiv 1606.08415, eq. for 0.5x(1 + tanh[√(2/π)(x + 0.044715x³)])).',
    // ½(1 + tanh u) = sigmoid(2u), which keeps its bits where x is far below 0
    define: (x) =>
      ir.mul(x, sigmoid(ir.mul(twoRootTwoOverPi, ir.add(x, ir.mul(0.044715, ir.mul(x, ir.mul(x, x))))))),
    flops: 18,
  }),
  elu: unary({
    doc: 'x where x > 0, else eˣ - 1 (arXiv 1511.07289, α = 1).',
    define: (x) => ir.select(ir.gt(x, 0), x, ir.expm1(ir.min(x, 0))),
    domain: nonzero,
    flops: 12,
  }),
  floor: unary({
    doc: 'Largest integer ≤ x.',
    define: ir.floor,
    promote: 'none',
    accepts: numeric,
    domain: betweenSteps,
  }),
  ceil: unary({
    doc: 'Smallest integer ≥ x.',
    define: ir.ceil,
    promote: 'none',
    accepts: numeric,
    domain: betweenSteps,
  }),
  round: unary({
    doc: 'Nearest integer; halves go to the even one.',
    define: ir.round,
    promote: 'none',
    accepts: numeric,
    domain: betweenSteps,
  }),
  trunc: unary({
    doc: 'Integer part, toward zero.',
    define: ir.trunc,
    promote: 'none',
    accepts: numeric,
    domain: betweenSteps,
  }),
  clone: unary({ doc: 'A row-major copy.', define: (x) => x, promote: 'none', moves: true, flops: 0 }),
};

export const relations = {
  eq: binary({ doc: 'x = y.', define: ir.eq, promote: 'common', result: 'bool', domains: [truth, truth] }),
  ne: binary({ doc: 'x ≠ y.', define: ir.ne, promote: 'common', result: 'bool', domains: [truth, truth] }),
  lt: binary({ doc: 'x < y.', define: ir.lt, promote: 'common', result: 'bool' }),
  le: binary({ doc: 'x ≤ y.', define: ir.le, promote: 'common', result: 'bool' }),
  gt: binary({ doc: 'x > y.', define: ir.gt, promote: 'common', result: 'bool' }),
  ge: binary({ doc: 'x ≥ y.', define: ir.ge, promote: 'common', result: 'bool' }),
  isNaN: unary({ doc: 'True where x is NaN.', define: (x) => ir.ne(x, x), promote: 'none', result: 'bool' }),
  isFinite: unary({
    doc: 'True where x is neither NaN nor ±Infinity.',
    define: (x) => ir.lt(ir.abs(x), Infinity),
    promote: 'float',
    result: 'bool',
  }),
};

export const logic = {
  logicalNot: unary({
    doc: 'True where x is zero.',
    define: (x) => ir.eq(x, 0),
    promote: 'none',
    result: 'bool',
    domain: truth,
  }),
  logicalAnd: binary({
    doc: 'True where both are nonzero.',
    define: (x, y) => ir.and(isTrue(x), isTrue(y)),
    promote: 'common',
    result: 'bool',
    domains: [truth, truth],
  }),
  logicalOr: binary({
    doc: 'True where either is nonzero.',
    define: (x, y) => ir.or(isTrue(x), isTrue(y)),
    promote: 'common',
    result: 'bool',
    domains: [truth, truth],
  }),
  logicalXor: binary({
    doc: 'True where just one is nonzero.',
    define: (x, y) => ir.xor(isTrue(x), isTrue(y)),
    promote: 'common',
    result: 'bool',
    domains: [truth, truth],
  }),
};

const where: ElementwiseRecord<[condition: Tensor, x: Operand, y: Operand]> = {
  kind: 'elementwise',
  doc: 'x where the condition holds, else y; all three broadcast.',
  moves: true,
  promote: 'common',
  promoted: [1, 2],
  accepts: [['bool'], anyDType],
  call: (condition, x, y) => ({ inputs: [condition, x, y] }),
  infer: (inputs, attrs, op) => ({
    shape: broadcastShapes(op, inputs),
    dtype: inputs[1]!.dtype as DType,
    attrs,
  }),
  define: ([condition, x, y]) => ir.select(condition!, x!, y!),
  sample: (draw) => {
    const [c, a, b] = draw.broadcastable(3);
    return {
      inputs: [
        { shape: c!, dtype: 'bool', domain: truth },
        { shape: a!, domain: real },
        { shape: b!, domain: real },
      ],
    };
  },
  errors: [
    {
      inputs: [{ shape: [2], dtype: 'bool' }, { shape: [3] }, { shape: [2] }],
      error: 'ShapeError',
      says: 'do not broadcast',
    },
    ...refused(['bool'], (dtype) => [{ shape: [2], dtype }, { shape: [2] }, { shape: [2] }]),
  ],
  flops: () => 0,
};

const clip: ElementwiseRecord<[x: Tensor, min: number | null, max?: number | null]> & {
  readonly shapes: 'same';
} = {
  kind: 'elementwise',
  shapes: 'same',
  doc: 'x held between `min` and `max`, of which either may be null or missing; the derivative is 1 inside (ends included) and 0 outside.',
  promote: 'none',
  accepts: [numeric],
  call: (x, min, max = null) => ({ inputs: [x], attrs: { min: min ?? -Infinity, max: max ?? Infinity } }),
  infer: ([x], attrs, op) => {
    const min = attrs['min'] as number;
    const max = attrs['max'] as number;
    for (const end of [min, max])
      if (typeof end !== 'number')
        throw new ValueError(op, `min and max are numbers or null, not ${describeValue(end)}`, {
          operands: [x!],
          hint: 'maximum() and minimum() take tensors',
        });
    if (!(min <= max)) throw new ValueError(op, `min ${min} is not ≤ max ${max}`, { operands: [x!] });
    return { shape: x!.shape, dtype: x!.dtype as DType, attrs: { min, max } };
  },
  define: ([x], _, attrs) => {
    const [min, max] = [attrs['min'] as number, attrs['max'] as number];
    // Integers know no infinity.
    const above = min === -Infinity ? x! : ir.max(x!, min);
    return max === Infinity ? above : ir.min(above, max);
  },
  sample: (draw) => ({
    inputs: [{ shape: draw.shape(), domain: { min: -3, max: 3, avoid: [-1, 1] } }],
    attrs: draw.pick([
      { min: -1, max: 1 },
      { min: -1, max: Infinity },
      { min: -Infinity, max: 1 },
    ]),
  }),
  errors: [
    {
      inputs: [{ shape: [2] }],
      attrs: { min: 1, max: 0 },
      error: 'ValueError',
      says: 'min 1 is not ≤ max 0',
    },
    ...refused(numeric, (dtype) => [{ shape: [2], dtype }]).map((row) => ({
      ...row,
      attrs: { min: 0, max: 1 },
    })),
  ],
  flops: (_, plan) => 2 * sizeOf(plan.shape),
};

const cast: ElementwiseRecord<[x: Tensor, dtype: DType]> & { readonly shapes: 'same' } = {
  kind: 'elementwise',
  shapes: 'same',
  doc: 'x in another dtype: floats round to nearest, ties to even, in one step; into integers they truncate toward zero (i32 saturates, u8 wraps); anything nonzero is true.',
  moves: true,
  promote: 'none',
  accepts: [anyDType],
  call: (x, dtype) => ({ inputs: [x], attrs: { dtype } }),
  infer: ([x], attrs, op) => {
    const { dtype } = attrs;
    if (!isDType(dtype))
      throw new DTypeError(op, `'${String(dtype)}' is not a dtype`, {
        operands: [x!],
        hint: `one of ${anyDType.join(', ')}`,
      });
    return { shape: x!.shape, dtype, attrs: { dtype } };
  },
  define: ([x], dtype, attrs) => ir.cast(x!, dtype, attrs['dtype'] as DType),
  sample: (draw) => ({ inputs: [{ shape: draw.shape(), domain: real }], attrs: { dtype: 'f64' } }),
  errors: [
    {
      inputs: [{ shape: [2] }],
      attrs: { dtype: 'f16!' },
      error: 'DTypeError',
      says: "'f16!' is not a dtype",
    },
  ],
  flops: () => 0,
};

export const choice = { where, clip, cast };
