/** Derivatives of elementwise ops. */
import type { DType, Tensor } from '@infinigrad/tensor';
import {
  broadcasting,
  fromBoth,
  fromInput,
  fromOutput,
  linear,
  notDifferentiable,
  ofInputs,
  sumTo,
  zeroAlmostEverywhere,
} from './rule.ts';

const truthValue = notDifferentiable('the result is a truth value');
const mask = (condition: Tensor, like: Tensor): Tensor => condition.cast(like.dtype);
/** 1 where a beats b, 1/2 where they are equal, 0 elsewhere: equal values share the gradient. */
const share = (wins: Tensor, ties: Tensor, like: Tensor): Tensor =>
  mask(wins, like).add(mask(ties, like).mul(0.5));
const twoRootTwoOverPi = 2 * Math.sqrt(2 / Math.PI);

export const arithmetic = {
  add: broadcasting(
    (g) => g,
    (g) => g,
    [],
  ),
  sub: broadcasting(
    (g) => g,
    (g) => g.neg(),
    [],
  ),
  mul: broadcasting(
    (g, c) => g.mul(c.input(1)),
    (g, c) => g.mul(c.input(0)),
  ),
  // d(x/y) = dx/y - x/y² dy
  div: broadcasting(
    (g, c) => g.div(c.input(1)),
    (g, c) => g.mul(c.input(0)).div(c.input(1).square()).neg(),
  ),
  // d(x^y) = y x^(y-1) dx + x^y log x dy. Where a factor in front is 0 and the other infinite, 1 stands for x, so that
  // the product is 0 and its own derivatives stay finite.
  pow: broadcasting(
    (g, c) => {
      const [x, y] = [c.input(0), c.input(1)];
      const base = x.eq(0).logicalAnd(y.eq(0)).where(1, x);
      return g.mul(y.mul(base.pow(y.sub(1))));
    },
    (g, c) => {
      const [x, y] = [c.input(0), c.input(1)];
      const base = x.eq(0).where(1, x);
      return g.mul(base.pow(y).mul(base.log()));
    },
  ),
  maximum: broadcasting(
    (g, c) => g.mul(share(c.input(0).gt(c.input(1)), c.input(0).eq(c.input(1)), g)),
    (g, c) => g.mul(share(c.input(1).gt(c.input(0)), c.input(0).eq(c.input(1)), g)),
  ),
  minimum: broadcasting(
    (g, c) => g.mul(share(c.input(0).lt(c.input(1)), c.input(0).eq(c.input(1)), g)),
    (g, c) => g.mul(share(c.input(1).lt(c.input(0)), c.input(0).eq(c.input(1)), g)),
  ),
  floorDivide: zeroAlmostEverywhere,
  // x - y⌊x/y⌋
  remainder: broadcasting(
    (g) => g,
    (g, c) => g.mul(c.input(0).floorDivide(c.input(1))).neg(),
  ),
  // s + x s (1 - s) with s = sigmoid(x), times y; and silu(x)
  siluMul: broadcasting(
    (g, c) => {
      const x = c.input(0);
      const s = x.sigmoid();
      return g.mul(c.input(1)).mul(s.mul(x.mul(s.neg().add(1)).add(1)));
    },
    (g, c) => g.mul(c.input(0).silu()),
  ),
  // θ = atan2(y, x): dθ = (x dy - y dx)/(x² + y²)
  atan2: broadcasting(
    (g, c) => g.mul(c.input(1)).div(c.input(0).square().add(c.input(1).square())),
    (g, c) =>
      g
        .mul(c.input(0))
        .div(c.input(0).square().add(c.input(1).square()))
        .neg(),
  ),
};

export const functions = {
  neg: linear((g) => g.neg()),
  abs: fromInput((g, x) => g.mul(x.sign())),
  sign: zeroAlmostEverywhere,
  square: fromInput((g, x) => g.mul(x.mul(2))),
  sqrt: fromOutput((g, y) => g.div(y.mul(2))),
  rsqrt: fromOutput((g, y) => g.mul(y.mul(y).mul(y).mul(-0.5))),
  reciprocal: fromOutput((g, y) => g.mul(y.square().neg())),
  exp: fromOutput((g, y) => g.mul(y)),
  expm1: fromOutput((g, y) => g.mul(y.add(1))),
  log: fromInput((g, x) => g.div(x)),
  log2: fromInput((g, x) => g.div(x.mul(Math.LN2))),
  log1p: fromInput((g, x) => g.div(x.add(1))),
  sin: fromInput((g, x) => g.mul(x.cos())),
  cos: fromInput((g, x) => g.mul(x.sin().neg())),
  tan: fromOutput((g, y) => g.mul(y.square().add(1))),
  asin: fromInput((g, x) => g.mul(x.square().neg().add(1).rsqrt())),
  acos: fromInput((g, x) => g.mul(x.square().neg().add(1).rsqrt()).neg()),
  atan: fromInput((g, x) => g.div(x.square().add(1))),
  sinh: fromInput((g, x) => g.mul(x.cosh())),
  cosh: fromInput((g, x) => g.mul(x.sinh())),
  tanh: fromOutput((g, y) => g.mul(y.square().neg().add(1))),
  asinh: fromInput((g, x) => g.mul(x.square().add(1).rsqrt())),
  acosh: fromInput((g, x) => g.mul(x.square().sub(1).rsqrt())),
  atanh: fromInput((g, x) => g.div(x.square().neg().add(1))),
  // 2/√π e^(-x²)
  erf: fromInput((g, x) =>
    g.mul(
      x
        .square()
        .neg()
        .exp()
        .mul(2 / Math.sqrt(Math.PI)),
    ),
  ),
  sigmoid: fromOutput((g, y) => g.mul(y.mul(y.neg().add(1)))),
  softplus: fromInput((g, x) => g.mul(x.sigmoid())),
  relu: fromInput((g, x) => g.mul(mask(x.gt(0), g))),
  // s + x s (1 - s) with s = sigmoid(x)
  silu: fromInput((g, x) => {
    const s = x.sigmoid();
    return g.mul(s.mul(x.mul(s.neg().add(1)).add(1)));
  }),
  // Φ(x) + x φ(x)
  gelu: fromInput((g, x) => {
    const distribution = x.ndtr();
    const density = x
      .square()
      .mul(-0.5)
      .exp()
      .mul(1 / Math.sqrt(2 * Math.PI));
    return g.mul(distribution.add(x.mul(density)));
  }),
  // s + x s (1 - s) v' with s = sigmoid(v), v = 2√(2/π)(x + 0.044715 x³)
  geluTanh: fromInput((g, x) => {
    const cubic = x.square().mul(0.044715);
    const s = x.mul(cubic.add(1)).mul(twoRootTwoOverPi).sigmoid();
    const slope = cubic.mul(3).add(1).mul(twoRootTwoOverPi);
    return g.mul(s.mul(x.mul(s.neg().add(1)).mul(slope).add(1)));
  }),
  // 1 for x > 0, else eˣ = y + 1
  elu: fromBoth((g, x, y) => x.gt(0).where(g, g.mul(y.add(1)))),
  floor: zeroAlmostEverywhere,
  ceil: zeroAlmostEverywhere,
  round: zeroAlmostEverywhere,
  trunc: zeroAlmostEverywhere,
  clone: linear((g) => g),
};

export const relations = {
  eq: truthValue,
  ne: truthValue,
  lt: truthValue,
  le: truthValue,
  gt: truthValue,
  ge: truthValue,
  isNaN: truthValue,
  isFinite: truthValue,
  logicalNot: truthValue,
  logicalAnd: truthValue,
  logicalOr: truthValue,
  logicalXor: truthValue,
};

export const choice = {
  where: ofInputs(
    [
      null,
      (g, c, i) => sumTo(c.input(0).where(g, 0), c.shapes[i]!),
      (g, c, i) => sumTo(c.input(0).where(0, g), c.shapes[i]!),
    ],
    [0],
  ),
  clip: ofInputs([
    (g, c) => {
      const x = c.input(0);
      return g.mul(mask(x.ge(c.attrs['min'] as number).logicalAnd(x.le(c.attrs['max'] as number)), g));
    },
  ]),
  cast: linear((g, c) => g.cast(c.dtypes[0] as DType)),
};
