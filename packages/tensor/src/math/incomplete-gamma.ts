/**
 * The regularised incomplete gamma functions and their derivatives with respect to the parameter. Derivatives come from the
 * same series and fractions, computed on truncated Taylor series ("jets") in the parameter in place of numbers.
 */
import { erfc } from './error-function.ts';
import { lgamma1p, polygamma, stirlingTail } from './gamma.ts';

/** Taylor coefficients f, f′, f″/2, … */
type Jet = Float64Array;

const times = (a: Jet, b: Jet): Jet => a.map((_, k) => sumUpTo(k, (j) => a[j]! * b[k - j]!));

function sumUpTo(k: number, term: (j: number) => number): number {
  let total = 0;
  for (let j = 0; j <= k; j++) total += term(j);
  return total;
}

/** a / b. */
function over(a: Jet, b: Jet): Jet {
  const out = new Float64Array(a.length);
  for (let k = 0; k < a.length; k++)
    out[k] = (a[k]! - (k > 0 ? sumUpTo(k - 1, (j) => out[j]! * b[k - j]!) : 0)) / b[0]!;
  return out;
}

/** log(x/a) - (x - a)/a without the difference of what is nearly equal. */
function logMinusStep(x: number, a: number): number {
  const d = (x - a) / a;
  if (Math.abs(d) > 0.3) return Math.log(x / a) - d;
  // log(1 + d) = 2 artanh s with s = d / (2 + d)
  const s = d / (2 + d);
  const z = s * s;
  let total = 0;
  for (let k = 15; k >= 1; k--) total = z * (1 / (2 * k + 1) + total);
  return 2 * s * total - s * d;
}

/** log of D(a, x) = xᵃ e⁻ˣ / Γ(a + 1). */
function logFront(a: number, x: number): number {
  if (a < 10) return a * Math.log(x) - x - lgamma1p(a);
  return a * logMinusStep(x, a) - 0.5 * Math.log(2 * Math.PI * a) - stirlingTail(a);
}

/** The jet of D(a, x) in a: log D has the derivatives log x - ψ(a + 1), -ψ′(a + 1), … */
function front(order: number, a: number, x: number): Jet {
  const log = new Float64Array(order + 1);
  for (let k = 1, factorial = 1; k <= order; k++, factorial *= k)
    log[k] = ((k === 1 ? Math.log(x) : 0) - polygamma(k - 1, a + 1)) / factorial;
  const out = new Float64Array(order + 1);
  out[0] = Math.exp(logFront(a, x));
  for (let k = 1; k <= order; k++) out[k] = sumUpTo(k, (j) => j * log[j]! * out[k - j]!) / k;
  return out;
}

/** P / D = Σ xᵏ / ((a + 1) … (a + k))  (DLMF 8.11.4). */
function lowerSeries(order: number, a: number, x: number): Jet {
  const total = new Float64Array(order + 1);
  const term = new Float64Array(order + 1);
  total[0] = term[0] = 1;
  for (let k = 1; ; k++) {
    let size = 0;
    let before = 0;
    for (let j = 0; j <= order; j++) {
      before = term[j] = (x * term[j]! - before) / (a + k);
      total[j]! += before;
      size = Math.max(size, Math.abs(before) - Math.abs(total[j]!) * 1e-17);
    }
    if (size <= 0 && a + k > x) return total;
  }
}

/** How many steps the continued fraction below takes (by the modified Lentz method). */
function fractionLength(a: number, x: number): number {
  const tiny = 1e-300;
  let b = x + 1 - a;
  let d = 1 / (b || tiny);
  let c = 1 / tiny;
  const most = 300 + 12 * Math.sqrt(a);
  for (let i = 1; ; i++) {
    const numerator = -i * (i - a);
    b += 2;
    d = 1 / (numerator * d + b || tiny);
    c = b + numerator / c || tiny;
    if (Math.abs(c * d - 1) < 1e-16 || i > most) return i;
  }
}

/** Q / D = a / (x + 1 - a - 1(1 - a) / (x + 3 - a - 2(2 - a) / (x + 5 - a - …)))  (DLMF 8.9.2). */
function upperFraction(order: number, a: number, x: number): Jet {
  const linear = (constant: number, slope: number): Jet => {
    const jet = new Float64Array(order + 1);
    jet[0] = constant;
    if (order > 0) jet[1] = slope;
    return jet;
  };
  // For whole a the fraction ends early; its derivatives do not.
  const steps = order === 0 ? fractionLength(a, x) : fractionLength(Math.floor(a) + 0.5, x) + 5 * order;
  let value = linear(x + 2 * steps + 1 - a, -1);
  for (let i = steps; i >= 1; i--) {
    const part = over(linear(i * (a - i), i), value);
    value = linear(x + 2 * i - 1 - a, -1);
    for (let k = 0; k <= order; k++) value[k]! += part[k]!;
  }
  return over(linear(a, 1), value);
}

/** Q for small a and x, where P may be all but 1: 1 - xᵃ/Γ(a + 1) by itself, and the rest of the series of P. */
function upperSeries(a: number, x: number): number {
  const log = a * Math.log(x) - lgamma1p(a);
  let total = 0;
  let power = 1;
  for (let k = 1; k < 40; k++) {
    power *= -x / k;
    total += power / (a + k);
  }
  return -Math.expm1(log) - Math.exp(log) * a * total;
}

/** Beyond this, series and fraction take too many steps: the leading term of Temme's expansion (DLMF 8.12.3). */
const largest = 1e8;

function uniform(a: number, x: number, upper: boolean): number {
  const d = (x - a) / a;
  const half = -logMinusStep(x, a);
  const eta = Math.sign(d) * Math.sqrt(2 * half);
  const correction = Math.abs(d) < 1e-3 ? -1 / 3 + d / 12 : 1 / d - 1 / eta;
  const rest = (Math.exp(-a * half) / Math.sqrt(2 * Math.PI * a)) * correction;
  const root = eta * Math.sqrt(a / 2);
  return upper ? 0.5 * erfc(root) + rest : 0.5 * erfc(-root) - rest;
}

/** The result at the ends of the domain; undefined inside it. */
function atEnds(a: number, x: number): number | undefined {
  if (!(a >= 0 && x >= 0) || (a === 0 && x === 0) || (a === Infinity && x === Infinity)) return NaN;
  if (a === 0 || x === Infinity) return 1;
  if (x === 0 || a === Infinity) return 0;
  return undefined;
}

/** The lower function P(a, x), differentiated `order` times with respect to a. */
export function gammainc(order: number, a: number, x: number): number {
  const end = atEnds(a, x);
  if (end !== undefined) return order === 0 || Number.isNaN(end) ? end : a === 0 ? NaN : 0;
  let factorial = 1;
  for (let k = 2; k <= order; k++) factorial *= k;
  if (a > largest) {
    if (order === 0) return uniform(a, x, false);
    // From P(a + ½) - P(a - ½) = -D(a - ½): P′ = -(D - D″/24 + …)(a - ½)
    const D = front(order + 1, a - 0.5, x);
    return -(D[order - 1]! / order - (D[order + 1]! * (order + 1)) / 24) * factorial;
  }
  if (order === 0 && x > a + 1) return 1 - gammaincc(a, x);
  const D = front(order, a, x);
  if (D[0] === 0) return x < a || order > 0 ? 0 : 1;
  if (x > a + 1) return -times(D, upperFraction(order, a, x))[order]! * factorial;
  return times(D, lowerSeries(order, a, x))[order]! * factorial;
}

/** The upper function Q(a, x) = 1 - P(a, x). */
export function gammaincc(a: number, x: number): number {
  const end = atEnds(a, x);
  if (end !== undefined) return 1 - end;
  if (a > largest) return uniform(a, x, true);
  if (a < 1 && x < 1.5) return upperSeries(a, x);
  if (x <= a + 1) return 1 - gammainc(0, a, x);
  const D = Math.exp(logFront(a, x));
  return D === 0 ? 0 : D * upperFraction(0, a, x)[0]!;
}
