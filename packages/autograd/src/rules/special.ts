/** Derivatives: special functions and further elementwise ops. */
import type { Tensor } from '@infinigrad/tensor';
import { activations } from './activations.ts';
import {
  broadcasting,
  fromBoth,
  fromInput,
  fromOutput,
  notDifferentiable,
  ofInputs,
  zeroAlmostEverywhere,
  type RuleContext,
} from './rule.ts';

const rootPi = Math.sqrt(Math.PI);
const rootTwoPi = Math.sqrt(2 * Math.PI);
const wholeNumbers = notDifferentiable('the result is whole numbers');
/** e^(-s·x²) */
const gaussian = (x: Tensor, s: number): Tensor => x.square().mul(-s).exp();
const order = (c: RuleContext): number => c.attrs['order'] as number;

/** z = x · log y: dz = log y dx + x/y dy. `least` is the largest y without a logarithm. */
const productOfLog = (log: (y: Tensor) => Tensor, quotient: (y: Tensor) => Tensor, least: number) => {
  /** Where x is 0 and y has no logarithm, 0 stands for the log and for x / y. */
  const held = (c: RuleContext, f: (y: Tensor) => Tensor): Tensor => {
    const [x, y] = [c.input(0), c.input(1)];
    const none = x.eq(0).logicalAnd(y.le(least));
    return f(none.where(least + 1, y));
  };
  return broadcasting(
    (g, c) => g.mul(held(c, log)),
    (g, c) => g.mul(c.input(0)).div(held(c, quotient)),
  );
};

const errorFunctions = {
  // -2/√π e^(-x²)
  erfc: fromInput((g, x) => g.mul(gaussian(x, 1).mul(-2 / rootPi))),
  // 2x erfcx(x) - 2/√π
  erfcx: fromBoth((g, x, y) =>
    g.mul(
      x
        .mul(y)
        .sub(1 / rootPi)
        .mul(2),
    ),
  ),
  // √π/2 e^(y²)
  erfinv: fromOutput((g, y) => g.mul(gaussian(y, -1).mul(rootPi / 2))),
  ndtr: fromInput((g, x) => g.mul(gaussian(x, 0.5).div(rootTwoPi))),
  ndtri: fromOutput((g, y) => g.mul(gaussian(y, -0.5).mul(rootTwoPi))),
  // φ(x)/Φ(x) = √(2/π) / erfcx(-x/√2)
  logNdtr: fromInput((g, x) => g.mul(Math.sqrt(2 / Math.PI)).div(x.mul(-Math.SQRT1_2).erfcx())),
};

/** The derivatives of xᵃ⁻¹ e⁻ˣ / Γ(a) with respect to a, of orders 0 … n: pₘ₊₁ = Σ C(m, k) pₘ₋ₖ uₖ. */
function density(a: Tensor, x: Tensor, n: number): Tensor {
  const orders = [a.sub(1).xlogy(x).sub(x).sub(a.lgamma()).exp()];
  if (n === 0) return orders[0]!;
  // u = log x - ψ(a) and its derivatives
  const u = [x.log().sub(a.digamma())];
  for (let k = 1; k < n; k++) u.push(a.polygamma(k).neg());
  for (let m = 0; m < n; m++) {
    let next = orders[m]!.mul(u[0]!);
    for (let k = 1, choices = 1; k <= m; k++) {
      choices = (choices * (m - k + 1)) / k;
      next = next.add(orders[m - k]!.mul(u[k]!).mul(choices));
    }
    orders.push(next);
  }
  return orders[n]!;
}

const gammas = {
  lgamma: fromInput((g, x) => g.mul(x.digamma())),
  digamma: fromInput((g, x) => g.mul(x.polygamma(1))),
  polygamma: ofInputs([(g, c) => g.mul(c.input(0).polygamma(order(c) + 1))]),
  gammainc: broadcasting(
    (g, c) => g.mul(c.input(0).gammainc(c.input(1), order(c) + 1)),
    (g, c) => g.mul(density(c.input(0), c.input(1), order(c))),
  ),
  gammaincc: broadcasting(
    (g, c) => g.mul(c.input(0).gammainc(c.input(1), 1)).neg(),
    (g, c) => g.mul(density(c.input(0), c.input(1), 0)).neg(),
  ),
};

const besselFunctions = {
  // (I_(n-1) + I_(n+1)) / 2, with I_(-1) = I_1
  besselI: ofInputs([
    (g, c) => {
      const [x, n] = [c.input(0), order(c)];
      return g.mul(
        x
          .besselI(Math.abs(n - 1))
          .add(x.besselI(n + 1))
          .mul(0.5),
      );
    },
  ]),
  // likewise, less sign(x) times itself
  besselIe: ofInputs([
    (g, c) => {
      const [x, n] = [c.input(0), order(c)];
      const sides = x
        .besselIe(Math.abs(n - 1))
        .add(x.besselIe(n + 1))
        .mul(0.5);
      return g.mul(sides.sub(x.sign().mul(x.besselIe(n))));
    },
  ]),
  sinc: ofInputs([(g, c) => g.mul(c.input(0).sinc(order(c) + 1))]),
};

/** sigmoid(x - y), ½ where both are one infinity. */
function share(x: Tensor, y: Tensor): Tensor {
  const none = x.eq(y).logicalAnd(x.isInf());
  return none.where(0, x.sub(y)).sigmoid();
}

const further = {
  exp2: fromOutput((g, y) => g.mul(y.mul(Math.LN2))),
  log10: fromInput((g, x) => g.div(x.mul(Math.LN10))),
  cbrt: fromOutput((g, y) => g.div(y.square().mul(3))),
  logit: fromInput((g, x) => g.div(x.mul(x.neg().add(1)))),
  isInf: notDifferentiable('the result is a truth value'),
  xlogy: productOfLog(
    (y) => y.log(),
    (y) => y,
    0,
  ),
  xlog1py: productOfLog(
    (y) => y.log1p(),
    (y) => y.add(1),
    -1,
  ),
  logAddExp: broadcasting(
    (g, c) => g.mul(share(c.input(0), c.input(1))),
    (g, c) => g.mul(share(c.input(1), c.input(0))),
  ),
  // x / √(x² + y²); 0 where both are
  hypot: broadcasting(
    (g, c) => g.mul(c.input(0)).div(length(c)),
    (g, c) => g.mul(c.input(1)).div(length(c)),
  ),
  // x - y·trunc(x/y)
  fmod: broadcasting(
    (g) => g,
    (g, c) => g.mul(c.input(0).truncDivide(c.input(1))).neg(),
  ),
  truncDivide: zeroAlmostEverywhere,
};

function length(c: RuleContext): Tensor {
  const [x, y] = [c.input(0), c.input(1)];
  const none = x.eq(0).logicalAnd(y.eq(0));
  return none.where(1, x).hypot(y);
}

const bitwise = {
  bitwiseAnd: wholeNumbers,
  bitwiseOr: wholeNumbers,
  bitwiseXor: wholeNumbers,
  bitwiseNot: wholeNumbers,
  leftShift: wholeNumbers,
  rightShift: wholeNumbers,
};

export const specials = {
  ...errorFunctions,
  ...gammas,
  ...besselFunctions,
  ...further,
  ...activations,
  ...bitwise,
};
