/** The error function and what belongs to it, of one number, to a few ulp of f64. */

const rootPi = Math.sqrt(Math.PI);

/**
 * (1 + 2x)·erfcx(x) for x ≥ 0 as a Chebyshev series in (x - 3.75) / (x + 3.75) (the variable is that of Shepherd & Laframboise,
 * Math. Comp. 36, 1981; the coefficients come from scripts/fixtures/special.py).
 */
const scaledSeries = [
  1.1775789345674017, -0.004590054580646478, -0.08424913336651792, 0.05920993999819189, -0.026658668435305753,
  0.009074997670705265, -0.002413163540417608, 0.0004907758365258086, -6.916973302501207e-5,
  4.13902798607301e-6, 7.74038306619849e-7, -2.1886401049234397e-7, 1.076499946567091e-8,
  4.521959811218287e-9, -7.754400208831351e-10, -6.318088340886684e-11, 2.86879501093067e-11,
  1.9455868545777347e-13, -9.65469674843344e-13, 3.25254814814874e-14, 3.3478119482868056e-14,
  -1.864562880419313e-15, -1.2507950530688648e-15, 7.418235256624044e-17, 5.068148904796111e-17,
  -2.2370566594359995e-18, -2.187342944303018e-18,
];

/** By Clenshaw's recurrence. */
function chebyshev(coefficients: readonly number[], t: number): number {
  let [next, afterNext] = [0, 0];
  for (let k = coefficients.length - 1; k > 0; k--)
    [next, afterNext] = [2 * t * next - afterNext + coefficients[k]!, next];
  return t * next - afterNext + coefficients[0]!;
}

/** e^(-s·x²), with x² in two parts, so that a large exponent keeps its last bits. */
function gaussian(x: number, s: number): number {
  const high = Math.fround(x);
  if (!Number.isFinite(high)) return Number.isNaN(x) ? x : 0;
  return Math.exp(-s * high * high) * Math.exp(-s * (x - high) * (x + high));
}

/** The series of positive terms below 3, the continued fraction of erfc above. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (!(a === a)) return x;
  if (a > 6) return Math.sign(x);
  if (a < 3) {
    // erf(x) = 2/√π · e^(-x²) · Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1))  (Abramowitz & Stegun 7.1.6)
    let term = x;
    let total = x;
    for (let n = 1; Math.abs(term) > Math.abs(total) * 1e-17; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      total += term;
    }
    return (2 / rootPi) * Math.exp(-x * x) * total;
  }
  // erfc(x) = e^(-x²)/√π · 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + …))))  (Abramowitz & Stegun 7.1.14)
  let fraction = a;
  for (let k = 60; k >= 1; k--) fraction = a + k / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-a * a) / (rootPi * fraction));
}

/** e^(x²)·erfc(x). */
export function erfcx(x: number): number {
  if (x < 0.5) return (1 - erf(x)) / gaussian(x, 1);
  if (x > 1e8) return 1 / (x * rootPi);
  return chebyshev(scaledSeries, (x - 3.75) / (x + 3.75)) / (1 + 2 * x);
}

/** 1 - erf(x), with its own bits where it is small. */
export function erfc(x: number): number {
  if (!(x >= 0.5)) return 1 - erf(x);
  return x > 28 ? 0 : erfcx(x) * gaussian(x, 1);
}

/** The normal distribution function Φ(x). */
export function ndtr(x: number): number {
  if (!(x < -0.7)) return 0.5 * erfc(-x * Math.SQRT1_2);
  return x < -39 ? 0 : 0.5 * erfcx(-x * Math.SQRT1_2) * gaussian(x, 0.5);
}

/** log Φ(x). */
export function logNdtr(x: number): number {
  if (!(x < -1)) return Math.log1p(-0.5 * erfc(x * Math.SQRT1_2));
  return Math.log(0.5 * erfcx(-x * Math.SQRT1_2)) - 0.5 * x * x;
}

/** The inverse of erf: an estimate (S. Winitzki, 2008) made exact by two steps of Halley's method. */
export function erfinv(y: number): number {
  const a = Math.abs(y);
  if (!(a < 1)) return a === 1 ? y * Infinity : NaN;
  if (a < 1e-9) return (rootPi / 2) * y;
  const log = Math.log1p(-a * a);
  const t = 2 / (Math.PI * 0.147) + log / 2;
  // √(√(t² - log/0.147) - t), without the difference of what is nearly equal
  let x = Math.sqrt(-log / 0.147 / (Math.sqrt(t * t - log / 0.147) + t));
  if (t < 0) x = Math.sqrt(Math.sqrt(t * t - log / 0.147) - t);
  for (let step = 0; step < 3; step++) {
    const residual = a < 0.6 ? erf(x) - a : 1 - a - erfc(x);
    const u = (residual * rootPi) / 2 / gaussian(x, 1);
    x -= u / (1 + x * u);
  }
  return y < 0 ? -x : x;
}

/** The inverse of Φ. In the tails Halley's method on log Φ. */
export function ndtri(p: number): number {
  if (!(p > 0 && p < 1)) return p === 0 ? -Infinity : p === 1 ? Infinity : NaN;
  if (p > 0.2 && p < 0.8) return Math.SQRT2 * erfinv(2 * p - 1);
  const q = Math.min(p, 1 - p);
  const log = Math.log(q);
  const t = Math.sqrt(-2 * log);
  // Abramowitz & Stegun 26.2.22
  let x = (2.30753 + 0.27061 * t) / (1 + t * (0.99229 + 0.04481 * t)) - t;
  for (let step = 0; step < 3; step++) {
    const ratio = Math.sqrt(2 / Math.PI) / erfcx(-x * Math.SQRT1_2);
    const u = (logNdtr(x) - log) / ratio;
    x -= u / (1 + (u * (x + ratio)) / 2);
  }
  return p < 0.5 ? x : -x;
}
