/** Further functions of f32 over its whole range, on both backends, against f64 rounded once. */
import { apply, fromData, withBackend, type Attrs, type OpName } from '@infinigrad/tensor';
import { ulpDistance } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { specialFunctions } from '../../src/math/index.ts';
import { runs } from '../support.ts';

/** Bit patterns over the whole range of f32, numbers of moderate size, and those at the edges. */
const count = 2 ** 13 * Math.max(1, Math.floor(runs / 100));
const bits = Uint32Array.from(
  { length: count },
  (_, i) => (i * Math.floor(2 ** 32 / count) + ((i * 2654435761) % Math.floor(2 ** 32 / count))) >>> 0,
);
const atEdges = [
  0,
  -0,
  Infinity,
  -Infinity,
  NaN,
  1,
  -1,
  1e-30,
  -1e-30,
  88,
  -88,
  103,
  -103,
  1e4,
  -1e4,
  3,
  -3,
  2 ** -149,
  -(2 ** -149),
  2 ** -126,
  3.4028234663852886e38,
  0.5,
  0.25,
  0.75,
  2 ** -24,
  1 - 2 ** -24,
];
const everywhere = Float32Array.from([
  ...new Float32Array(bits.buffer),
  ...Array.from({ length: count }, (_, i) => (i - count / 2) * (200 / count)),
  ...atEdges,
]);

/** log(1 + eˣ) in f64. */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const below = (x: number): number => Math.expm1(Math.min(x, 0));

interface Row {
  readonly f: (x: number) => number;
  readonly attrs?: Attrs;
  /** 0: rounded once. */
  readonly ulp: number;
}

const rows: Partial<Record<OpName, Row>> = {
  ...Object.fromEntries(
    (['erfcx', 'erfinv', 'ndtri', 'logNdtr', 'lgamma', 'digamma'] as const).map((op) => [
      op,
      { f: specialFunctions[op], ulp: 0 },
    ]),
  ),
  erfc: { f: specialFunctions.erfc, ulp: 1 },
  ndtr: { f: specialFunctions.ndtr, ulp: 1 },
  // Below the normal range Φ has few bits, which x multiplies.
  gelu: { f: (x) => (x === -Infinity ? NaN : x * specialFunctions.ndtr(x)), ulp: 8 },
  log1p: { f: Math.log1p, ulp: 1 },
  expm1: { f: Math.expm1, ulp: 1 },
  log10: { f: Math.log10, ulp: 1 },
  cbrt: { f: Math.cbrt, ulp: 0 },
  exp2: { f: (x) => 2 ** x, ulp: 1 },
  softplus: { f: softplus, ulp: 3 },
  logSigmoid: { f: (x) => -softplus(-x), ulp: 3 },
  logit: { f: (x) => Math.log(x / (1 - x)), ulp: 4 },
  mish: {
    f: (x) => {
      const t = Math.exp(-Math.abs(x));
      if (x === -Infinity) return 0;
      return x >= 0 ? (x * (1 + 2 * t)) / (1 + 2 * t + 2 * t * t) : (x * t * (t + 2)) / (t * (t + 2) + 2);
    },
    ulp: 4,
  },
  softsign: { f: (x) => (Math.abs(x) === Infinity ? Math.sign(x) : x / (1 + Math.abs(x))), ulp: 2 },
  hardswish: {
    f: (x) => (x <= -3 ? 0 : x >= 3 ? x : Number.isNaN(x) ? x : (x * (x + 3)) / 6),
    ulp: 4,
  },
  selu: { f: (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * below(x)), ulp: 3 },
  celu: { f: (x) => (x > 0 ? x : 2 * Math.expm1(x / 2)), attrs: { alpha: 2 }, ulp: 2 },
  leakyRelu: { f: (x) => (x > 0 ? x : 0.25 * x), attrs: { slope: 0.25 }, ulp: 0 },
};

describe.each(['js', 'wasm'])('on %s', (backend) => {
  it.each(Object.entries(rows) as [OpName, Row][])('%s', (op, { f, attrs = {}, ulp }) => {
    const y = withBackend(backend, () =>
      apply(op, [fromData(everywhere, [everywhere.length])], attrs).dataSync(),
    );
    let [worst, at] = [0, 0];
    for (let i = 0; i < y.length; i++) {
      const distance = ulpDistance(y[i]!, f(everywhere[i]!));
      if (distance > worst) [worst, at] = [distance, i];
    }
    const x = everywhere[at]!;
    expect(worst, `${op}(${x}) = ${y[at]}, not ${Math.fround(f(x))}`).toBeLessThanOrEqual(ulp);
  });

  it('fmod, hypot and truncDivide of two', () => {
    const x = everywhere;
    const z = everywhere.toReversed();
    // Quotients of moderate size too
    const y = z.map((v, i) => (i % 2 === 0 ? v : Math.fround(Math.sin(i) * Math.abs(x[i]!))));
    const two: [OpName, (a: number, b: number) => number][] = [
      ['fmod', (a, b) => a % b],
      ['hypot', Math.hypot],
      ['truncDivide', (a, b) => Math.trunc(a / b)],
    ];
    for (const [op, f] of two) {
      const actual = withBackend(backend, () =>
        apply(op, [fromData(x, [x.length]), fromData(y, [y.length])]).dataSync(),
      );
      actual.forEach((v, i) =>
        expect(ulpDistance(v, f(x[i]!, y[i]!)), `${op}(${x[i]}, ${y[i]}) = ${v}`).toBe(0),
      );
    }
  });
});
