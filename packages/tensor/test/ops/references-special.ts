/** Meanings of special functions and further elementwise ops: integrals by quadrature, formulas as in the textbooks. */
import type { Attrs, OpName } from '@infinigrad/tensor';
import { meet, naive, range, stretchedAt, type Naive } from '../naive.ts';

type Reference = (inputs: readonly Naive[], attrs: Attrs) => Naive;

const elementwise =
  (f: (values: readonly number[], attrs: Attrs) => number): Reference =>
  (inputs, attrs) =>
    naive(meet(...inputs.map((x) => x.shape)), (index) =>
      f(
        inputs.map((x) => stretchedAt(x, index)),
        attrs,
      ),
    );
const of = (f: (x: number, y: number) => number): Reference => elementwise(([x, y]) => f(x!, y!));
const ordered = (f: (n: number, x: number, y: number) => number): Reference =>
  elementwise(([x, y], attrs) => f(attrs['order'] as number, x!, y!));

/** Nodes and weights of Gauss–Legendre quadrature: the roots of the Legendre polynomial by Newton's method. */
function gaussLegendre(n: number): [node: number, weight: number][] {
  return range(n).map((i) => {
    let x = Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    let slope = 0;
    for (let step = 0; step < 6; step++) {
      let [before, value] = [1, x];
      for (let k = 2; k <= n; k++)
        [before, value] = [value, ((2 * k - 1) * x * value - (k - 1) * before) / k];
      slope = (n * (x * value - before)) / (x * x - 1);
      x -= value / slope;
    }
    return [x, 2 / ((1 - x * x) * slope * slope)];
  });
}
const nodes = gaussLegendre(24);

function integral(f: (t: number) => number, from: number, to: number, panels = 1): number {
  const half = (to - from) / panels / 2;
  let total = 0;
  for (let p = 0; p < panels; p++) {
    const centre = from + (2 * p + 1) * half;
    for (const [node, weight] of nodes) total += weight * f(centre + half * node);
  }
  return total * half;
}

const erf = (x: number): number => (2 / Math.sqrt(Math.PI)) * integral((t) => Math.exp(-t * t), 0, x, 2);
const normal = (x: number): number =>
  0.5 + integral((t) => Math.exp((-t * t) / 2), 0, x, 2) / Math.sqrt(2 * Math.PI);

/** Where an increasing function has a value. */
function inverse(f: (x: number) => number, y: number, low: number, high: number): number {
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (f(middle) < y) low = middle;
    else high = middle;
  }
  return low;
}

const shift = 5;
const rising = (x: number): number => range(shift).reduce((product, j) => product * (x + j), 1);
/** Euler's integral at x + 5, where it is smooth, and back by recurrence. */
const gamma = (x: number): number =>
  integral((t) => t ** (x + shift - 1) * Math.exp(-t), 0, 80, 64) / rising(x);
const digamma = (x: number): number => {
  const moment = integral((t) => t ** (x + shift - 1) * Math.exp(-t) * Math.log(t), 0, 80, 128);
  return moment / (gamma(x) * rising(x)) - range(shift).reduce((sum, j) => sum + 1 / (x + j), 0);
};
/** (-1)ⁿ⁺¹ ∫ tⁿ e^(-xt) / (1 - e⁻ᵗ) dt */
const polygamma = (n: number, x: number): number =>
  n === 0
    ? digamma(x)
    : (n % 2 === 1 ? 1 : -1) * integral((t) => (t ** n * Math.exp(-x * t)) / -Math.expm1(-t), 0, 200, 80);

/** Σ over orders of derivatives of γ(a, x) and 1/Γ(a) with t = x e⁻ᵛ; orders 0, 1 and 2. */
function gammainc(order: number, a: number, x: number): number {
  const part = (k: number): number =>
    x ** a * integral((v) => (Math.log(x) - v) ** k * Math.exp(-a * v - x * Math.exp(-v)), 0, 200, 160);
  const g = gamma(a);
  if (order === 0) return part(0) / g;
  const psi = digamma(a);
  if (order === 1) return (part(1) - psi * part(0)) / g;
  return (part(2) - 2 * psi * part(1) + (psi * psi - polygamma(1, a)) * part(0)) / g;
}

/** (1/π) ∫ e^(x cos θ) cos nθ dθ; the trapezoidal rule is exact to rounding. */
function bessel(n: number, x: number): number {
  const steps = 64;
  return (
    range(steps).reduce((sum, i) => {
      const angle = (2 * Math.PI * i) / steps;
      return sum + Math.exp(x * Math.cos(angle)) * Math.cos(n * angle);
    }, 0) / steps
  );
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const held = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
const integer = (f: (x: bigint, y: bigint) => bigint): Reference =>
  of((x, y) => Number(BigInt.asIntN(32, f(BigInt(x), BigInt(y)))));
const option =
  (name: string, f: (x: number, option: number) => number): Reference =>
  ([x], attrs) =>
    naive(x!.shape, (index) => f(x!.at(index), attrs[name] as number));

export const specialsReferences: Partial<Record<OpName, Reference>> = {
  erfc: of((x) => 1 - erf(x)),
  erfcx: of((x) => Math.exp(x * x) * (2 / Math.sqrt(Math.PI)) * integral((t) => Math.exp(-t * t), x, 10, 8)),
  erfinv: of((y) => inverse(erf, y, -6, 6)),
  ndtr: of(normal),
  ndtri: of((p) => inverse(normal, p, -6, 6)),
  logNdtr: of((x) => Math.log(integral((t) => Math.exp((-t * t) / 2), -14, x, 12) / Math.sqrt(2 * Math.PI))),
  lgamma: of((x) => Math.log(gamma(x))),
  digamma: of(digamma),
  polygamma: ordered(polygamma),
  gammainc: ordered(gammainc),
  gammaincc: of((a, x) => 1 - gammainc(0, a, x)),
  besselI: ordered(bessel),
  besselIe: ordered((n, x) => Math.exp(-Math.abs(x)) * bessel(n, x)),
  // sin(πx)/(πx) = ∫ cos πxt dt over 0 … 1
  sinc: ordered((n, x) => integral((t) => (Math.PI * t) ** n * Math.cos(Math.PI * (x * t + n / 2)), 0, 1, 4)),
  exp2: of((x) => Math.exp(x * Math.LN2)),
  log10: of((x) => Math.log(x) / Math.LN10),
  cbrt: of((x) => Math.sign(x) * Math.exp(Math.log(Math.abs(x)) / 3)),
  logit: of((x) => Math.log(x) - Math.log(1 - x)),
  isInf: of((x) => Number(x === Infinity || x === -Infinity)),
  xlogy: of((x, y) => (x === 0 ? 0 : x * Math.log(y))),
  xlog1py: of((x, y) => (x === 0 ? 0 : x * Math.log(1 + y))),
  logAddExp: of((x, y) => Math.log(Math.exp(x) + Math.exp(y))),
  hypot: of((x, y) => Math.sqrt(x * x + y * y)),
  fmod: of((x, y) => x - y * Math.trunc(x / y)),
  truncDivide: of((x, y) => Math.trunc(x / y)),
  logSigmoid: of((x) => Math.log(sigmoid(x))),
  mish: of((x) => x * Math.tanh(Math.log(1 + Math.exp(x)))),
  softsign: of((x) => x / (1 + Math.abs(x))),
  hardsigmoid: of((x) => held(x + 3, 0, 6) / 6),
  hardswish: of((x) => (x * held(x + 3, 0, 6)) / 6),
  selu: of((x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * (Math.exp(x) - 1))),
  celu: option('alpha', (x, alpha) => Math.max(0, x) + Math.min(0, alpha * (Math.exp(x / alpha) - 1))),
  leakyRelu: option('slope', (x, slope) => Math.max(0, x) + slope * Math.min(0, x)),
  bitwiseAnd: integer((x, y) => x & y),
  bitwiseOr: integer((x, y) => x | y),
  bitwiseXor: integer((x, y) => x ^ y),
  bitwiseNot: of((x) => -1 - x),
  leftShift: integer((x, n) => (n < 0n || n > 31n ? 0n : x << n)),
  rightShift: integer((x, n) => x >> (n < 0n || n > 31n ? 31n : n)),
};
