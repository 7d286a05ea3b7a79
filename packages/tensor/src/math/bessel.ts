/** Modified Bessel functions of the first kind of whole order, of one number. */

/** Σ (x²/4)^k / (k! (k + n)!) · n!: terms of one sign. */
function series(n: number, x: number): number {
  const z = (x * x) / 4;
  let term = 1;
  let total = 1;
  for (let k = 1; term > total * 1e-18; k++) {
    term *= z / (k * (k + n));
    total += term;
  }
  return total;
}

/** √(2πx)·e⁻ˣ·I_n(x) for large x (DLMF 10.40.1). */
function asymptotic(n: number, x: number): number {
  const square = 4 * n * n;
  let term = 1;
  let total = 1;
  for (let k = 1; k < 60; k++) {
    const next = (-term * (square - (2 * k - 1) ** 2)) / (8 * k * x);
    if (Math.abs(next) > Math.abs(term) || Math.abs(next) < 1e-18) break;
    term = next;
    total += term;
  }
  return total;
}

/** I_n(x) / I_0(x) for x > 0: the recurrence downward, where it is stable (Miller). */
function ratio(n: number, x: number): number {
  const start = 2 * Math.ceil((n + 20 + 9 * Math.sqrt(x)) / 2);
  let [next, value, wanted] = [0, 1e-300, 0];
  for (let k = start; k > 0; k--) {
    [next, value] = [value, next + ((2 * k) / x) * value];
    if (k - 1 === n) wanted = value;
    if (value > 1e200) [next, value, wanted] = [next * 1e-200, value * 1e-200, wanted * 1e-200];
  }
  return wanted / value;
}

const smallest = 20;

/** e^-|x|·I_n(x). */
export function besselIe(n: number, x: number): number {
  const a = Math.abs(x);
  if (Number.isNaN(a)) return a;
  const sign = x < 0 && n % 2 === 1 ? -1 : 1;
  if (a === Infinity) return sign < 0 ? -0 : 0;
  if (a <= smallest) return firstTerm(n, x) * series(n, a) * Math.exp(-a);
  const root = Math.sqrt(2 * Math.PI * a);
  if (a > n * n) return (sign * asymptotic(n, a)) / root;
  return (sign * ratio(n, a) * asymptotic(0, a)) / root;
}

/** I_n(x). */
export function besselI(n: number, x: number): number {
  const a = Math.abs(x);
  if (a <= smallest) return firstTerm(n, x) * series(n, a);
  if (a === Infinity) return x < 0 && n % 2 === 1 ? -Infinity : Infinity;
  // e^x in two factors: the whole may be finite where e^x is not.
  const half = Math.exp(a / 2);
  return besselIe(n, x) * half * half;
}

/** (x/2)ⁿ / n! */
function firstTerm(n: number, x: number): number {
  let term = 1;
  for (let k = 1; k <= n; k++) term *= x / 2 / k;
  return term;
}
