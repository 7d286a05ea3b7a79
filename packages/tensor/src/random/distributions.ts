/**
 * From random bits to distributions, in IEEE additions, multiplications, divisions and square roots alone: those are
 * exactly rounded everywhere, so that every platform and backend sees the same numbers. (Math.log is not so bound.)
 */

const words = new DataView(new ArrayBuffer(8));

/** Natural logarithm of x > 0 (normal numbers), within 2 ulp. */
export function portableLog(x: number): number {
  words.setFloat64(0, x);
  const high = words.getUint32(0);
  let exponent = (high >>> 20) - 1023;
  words.setUint32(0, (high & 0xfffff) | 0x3ff00000);
  let m = words.getFloat64(0);
  if (m > Math.SQRT2) {
    m /= 2;
    exponent++;
  }
  // log m = 2 (s + s³/3 + s⁵/5 + …) with s = (m - 1)/(m + 1), |s| < 0.172
  const s = (m - 1) / (m + 1);
  const q = s * s;
  let series = 1 / 21;
  for (let k = 19; k >= 1; k -= 2) series = series * q + 1 / k;
  return 2 * s * series + exponent * Math.LN2;
}

/**
 * Inverse error function on (-1, 1), relative error below 4e-7 (M. Giles, "Approximating the erfinv function", 2010,
 * the single-precision polynomials).
 */
export function inverseErf(x: number): number {
  let w = -portableLog((1 - x) * (1 + x));
  let p: number;
  if (w < 5) {
    w -= 2.5;
    p = 2.81022636e-8;
    for (const c of central) p = p * w + c;
  } else {
    w = Math.sqrt(w) - 3;
    p = -0.000200214257;
    for (const c of tail) p = p * w + c;
  }
  return p * x;
}

const central = [
  3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727,
  1.50140941,
];
const tail = [
  0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406,
  2.83297682,
];
