/** The logarithm of the gamma function, its derivatives, and the zeta function behind them, of one number. */

/** B₂, B₄, … B₂₄. */
const bernoulli = [
  1 / 6,
  -1 / 30,
  1 / 42,
  -1 / 30,
  5 / 66,
  -691 / 2730,
  7 / 6,
  -3617 / 510,
  43867 / 798,
  -174611 / 330,
  854513 / 138,
  -236364091 / 2730,
];

/**
 * ζ(s, q) = Σ (q + j)^-s for whole s ≥ 2, by Euler–Maclaurin (DLMF 25.11.5). Infinity where a term has none.
 */
export function hurwitzZeta(s: number, q: number): number {
  if (Number.isNaN(q)) return q;
  if (q <= 0 && Number.isInteger(q)) return Infinity;
  if (Math.abs(q) === Infinity) return q > 0 ? 0 : NaN;
  const odd = s % 2 === 1;
  if (q < -20) {
    // The sum over all whole numbers, from r = q mod 1, less those on the other side.
    const r = q - Math.floor(q);
    const sign = odd ? -1 : 1;
    return hurwitzZeta(s, r) + sign * (hurwitzZeta(s, 1 - r) - hurwitzZeta(s, 1 - q));
  }
  let total = 0;
  let a = q;
  for (; a < 10 + s; a++) {
    const term = a ** -s;
    total += term;
    if (a > 0 && term < total * 1e-18) return total;
  }
  const power = a ** -s;
  total += a ** (1 - s) / (s - 1) + power / 2;
  let factor = (s * power) / a / 2;
  for (let k = 1; k <= bernoulli.length; k++) {
    const term = bernoulli[k - 1]! * factor;
    total += term;
    if (Math.abs(term) < Math.abs(total) * 1e-18) break;
    factor *= ((s + 2 * k - 1) * (s + 2 * k)) / ((2 * k + 1) * (2 * k + 2) * a * a);
  }
  return total;
}

const euler = 0.5772156649015329;
/** ζ(k) - 1 for k = 2, 3, … */
const zetaTails = Array.from({ length: 30 }, (_, i) => hurwitzZeta(i + 2, 2));

/** log Γ(2 + z) for |z| ≤ ½ (DLMF 5.7.3). */
function nearTwo(z: number): number {
  let total = 0;
  for (let i = zetaTails.length - 1; i >= 0; i--) total = -z * (zetaTails[i]! / (i + 2) + total);
  return z * (1 - euler - total);
}

/** sin πx, with x brought between -½ and ½ exactly. */
export function sinPi(x: number): number {
  const n = Math.round(x);
  const y = Math.sin(Math.PI * (x - n));
  return n % 2 === 0 ? y : -y;
}

/** log Γ(x) - (x - ½) log x + x - ½ log 2π for x ≥ 10 (DLMF 5.11.1). */
export function stirlingTail(x: number): number {
  let total = 0;
  let power = 1 / x;
  for (let k = 1; k <= 9; k++) {
    total += (bernoulli[k - 1]! / (2 * k * (2 * k - 1))) * power;
    power /= x * x;
  }
  return total;
}

const halfLogTwoPi = 0.5 * Math.log(2 * Math.PI);

/** log Γ(1 + z) for z ≥ 0, with the bits of a small z. */
export const lgamma1p = (z: number): number => (z < 0.5 ? nearTwo(z) - Math.log1p(z) : lgamma(1 + z));

/** log |Γ(x)|; Infinity at 0 and the negative whole numbers. */
export function lgamma(x: number): number {
  if (Number.isNaN(x)) return x;
  if (Math.abs(x) === Infinity || (x <= 0 && Number.isInteger(x))) return Infinity;
  // Γ(x) Γ(1 - x) = π / sin πx
  if (x < -0.5) return Math.log(Math.PI / Math.abs(sinPi(x))) - lgamma(1 - x);
  if (x < 0.5) return nearTwo(x) - Math.log1p(x) - Math.log(Math.abs(x));
  if (x < 1.5) return nearTwo(x - 1) - Math.log(x);
  if (x <= 2.5) return nearTwo(x - 2);
  if (x < 10) {
    let product = 1;
    let y = x;
    while (y > 2.5) product *= --y;
    return nearTwo(y - 2) + Math.log(product);
  }
  const log = Math.log(x);
  return (x - 0.5) * (log - 1) + (halfLogTwoPi - 0.5) + stirlingTail(x);
}

/** ψ(x), the derivative of log Γ. At ±0 ∓Infinity, at the negative whole numbers NaN. */
export function digamma(x: number): number {
  if (x === 0) return -1 / x;
  if (x === Infinity) return x;
  if (x < 0) {
    if (Number.isInteger(x) || x === -Infinity) return NaN;
    // ψ(1 - x) - ψ(x) = π / tan πx
    const r = x - Math.round(x);
    return digamma(1 - x) - Math.PI / Math.tan(Math.PI * r);
  }
  let shifted = 0;
  let y = x;
  for (; y < 10; y++) shifted -= 1 / y;
  let tail = 0;
  for (let k = 10; k >= 1; k--) tail = (bernoulli[k - 1]! / (2 * k) + tail) / (y * y);
  return shifted + Math.log(y) - 0.5 / y - tail;
}

/** The n-th derivative of ψ, n ≥ 0: (-1)ⁿ⁺¹ n! ζ(n + 1, x). */
export function polygamma(n: number, x: number): number {
  if (n === 0) return digamma(x);
  let factorial = n % 2 === 1 ? 1 : -1;
  for (let k = 2; k <= n; k++) factorial *= k;
  return factorial * hurwitzZeta(n + 1, x);
}
