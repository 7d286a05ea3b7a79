/** sin(πx) / (πx) and its derivatives, of one number. */
import { sinPi } from './gamma.ts';

/** The n-th derivative of sin(πx) / (πx); without a hole at 0. */
export function sinc(n: number, x: number): number {
  const y = Math.PI * x;
  if (Number.isNaN(y)) return y;
  if (Math.abs(y) === Infinity) return 0;
  if (Math.abs(y) < n + 1) return Math.PI ** n * series(n, y);
  // y f⁽ᵏ⁾ + k f⁽ᵏ⁻¹⁾ = sin⁽ᵏ⁾ y, upward
  const [sin, cos] = [sinPi(x), cosPi(x)];
  const cycle = [sin, cos, -sin, -cos];
  let value = 0;
  for (let k = 0; k <= n; k++) value = (cycle[k % 4]! - k * value) / y;
  return Math.PI ** n * value;
}

/** The n-th derivative of sin y / y: Σ (-1)^k y^(2k-n) / ((2k - n)! (2k + 1)). */
function series(n: number, y: number): number {
  const first = Math.ceil(n / 2);
  let power = 2 * first === n ? 1 : y;
  let sign = first % 2 === 0 ? 1 : -1;
  let total = 0;
  for (let k = first; k < first + 40; k++) {
    const term = (sign * power) / (2 * k + 1);
    total += term;
    if (Math.abs(term) < Math.abs(total) * 1e-18) break;
    const exponent = 2 * k - n;
    power *= (y * y) / ((exponent + 1) * (exponent + 2));
    sign = -sign;
  }
  return total;
}

function cosPi(x: number): number {
  const r = x - 2 * Math.round(x / 2);
  return sinPi(0.5 - Math.abs(r));
}
