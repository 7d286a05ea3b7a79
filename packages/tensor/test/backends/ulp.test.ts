/** Functions of one and two f32 on wasm, over the whole range of f32, against f64 rounded once. */
import { apply, fromData, withBackend, type OpName } from '@infinigrad/tensor';
import { ulpDistance } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { helpers } from '../../src/backends/js/print.ts';
import { runs } from '../support.ts';

/** Every so many-th bit pattern: 65,536 numbers unless told, from both signs, all exponents, with infinities and NaN. */
const count = 2 ** 16 * Math.max(1, Math.floor(runs / 100));
const patterns = (offset: number): Float32Array => {
  const bits = new Uint32Array(count);
  const step = 2 ** 32 / count;
  for (let i = 0; i < count; i++) bits[i] = Math.floor(i * step + ((i * 2654435761 + offset) % step));
  return new Float32Array(bits.buffer);
};
const special = Float32Array.of(
  0,
  -0,
  Infinity,
  -Infinity,
  NaN,
  1,
  -1,
  2 ** -149,
  -(2 ** -149),
  2 ** -126,
  3.4028234663852886e38,
);

/** The most that two f32 numbers of a list are apart, in units in the last place; NaN meets NaN, and zeros have signs. */
function worst(actual: ArrayLike<number>, expected: (i: number) => number): { ulp: number; at: number } {
  let [ulp, at] = [0, -1];
  for (let i = 0; i < actual.length; i++) {
    const wanted = Math.fround(expected(i));
    const distance =
      wanted === 0 && !Object.is(wanted, actual[i]) ? Infinity : ulpDistance(actual[i]!, wanted);
    if (distance > ulp) [ulp, at] = [distance, i];
  }
  return { ulp, at };
}

const unary: Partial<Record<OpName, (x: number) => number>> = {
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  log2: Math.log2,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  erf: helpers.erf,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};

describe('within 2 ulp of f64 rounded to f32, on the whole range', () => {
  it.each(Object.entries(unary) as [OpName, (x: number) => number][])('%s', (op, f) => {
    for (const x of [patterns(0), special]) {
      const y = withBackend('wasm', () => apply(op, [fromData(x, [x.length])]).dataSync());
      const { ulp, at } = worst(y, (i) => f(x[i]!));
      expect(ulp, `${op}(${x[at]}) = ${y[at]}`).toBeLessThanOrEqual(2);
    }
  });

  it.each(['pow', 'atan2'] as const)('%s', (op) => {
    const f = op === 'pow' ? (x: number, y: number): number => x ** y : Math.atan2;
    const [x, y] = [patterns(0), patterns(12_345).toReversed()];
    // Moderate exponents too: of the full range most powers are 0 or Infinity.
    const near = y.map((v, i) => (i % 2 === 0 ? v : Math.fround(Math.sin(i) * 20)));
    const pairs = special.length;
    const [p, q] = [new Float32Array(pairs * pairs), new Float32Array(pairs * pairs)];
    for (let i = 0; i < pairs * pairs; i++)
      [p[i], q[i]] = [special[i % pairs]!, special[Math.floor(i / pairs)]!];
    for (const [a, b] of [
      [x, near],
      [p, q],
    ] as const) {
      const z = withBackend('wasm', () =>
        apply(op, [fromData(a, [a.length]), fromData(b, [b.length])]).dataSync(),
      );
      const { ulp, at } = worst(z, (i) => f(a[i]!, b[i]!));
      expect(ulp, `${op}(${a[at]}, ${b[at]}) = ${z[at]}`).toBeLessThanOrEqual(2);
    }
  });
});
