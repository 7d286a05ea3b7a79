/** Special functions: known values to the last digits, their functional equations, and what they give at the edges. */
import { readFileSync } from 'node:fs';
import { apply, fromData, ops, tensor, withBackend, type OpName, type Tensor } from '@infinigrad/tensor';
import { ulpDistance } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { specialFunctions } from '../../src/math/index.ts';
import { runs } from '../support.ts';

const [nan, inf] = [NaN, Infinity];
const t = (values: number[]): Tensor => tensor(values, { dtype: 'f64' });
const list = (x: Tensor): number[] => Array.from(x.dataSync());

type Name = keyof typeof specialFunctions;
/** Rows of arguments and value; scripts/fixtures/special.py. */
const fixture = JSON.parse(
  readFileSync(new URL('../fixtures/special.json', import.meta.url), 'utf8'),
) as Record<Name, number[][]>;
const ordered: ReadonlySet<Name> = new Set(['polygamma', 'sinc', 'besselI', 'besselIe', 'gammainc']);

/** The op on all rows at once (an order: those that have it). */
function evaluate(name: Name, rows: readonly number[][], dtype: 'f32' | 'f64'): Float64Array {
  const out = new Float64Array(rows.length);
  const hasOrder = ordered.has(name);
  for (const order of new Set(rows.map((row) => (hasOrder ? row[0]! : 0)))) {
    const places = [...rows.keys()].filter((i) => !hasOrder || rows[i]![0] === order);
    const count = rows[0]!.length - 1 - Number(hasOrder);
    const inputs = Array.from({ length: count }, (_, k) =>
      fromData(
        Float64Array.from(places, (i) => rows[i]![k + Number(hasOrder)]!),
        [places.length],
      ).cast(dtype),
    );
    const values = apply(name as OpName, inputs, hasOrder ? { order } : {}).dataSync();
    places.forEach((i, k) => (out[i] = values[k]!));
  }
  return out;
}

describe.each(['js', 'wasm'])('known values on %s', (backend) => {
  it.each(Object.keys(fixture) as Name[])('%s in f64, to a relative 1e-13', (name) => {
    const rows = fixture[name];
    const actual = withBackend(backend, () => evaluate(name, rows, 'f64'));
    rows.forEach((row, i) => {
      const wanted = row.at(-1)!;
      const message = `${name}(${row.slice(0, -1).join(', ')}) = ${actual[i]}, not ${wanted}`;
      // The second derivative with respect to a changes its sign near x = a, where its terms of size 0.1 cancel.
      const absolute = name === 'gammainc' && row[0] === 2 ? 4e-16 : 0;
      expect(Math.abs(actual[i]! - wanted), message).toBeLessThanOrEqual(1e-13 * Math.abs(wanted) + absolute);
    });
  });
  it.each(Object.keys(fixture) as Name[])('%s in f32, the f64 value rounded once', (name) => {
    const first = Number(ordered.has(name));
    const rows = fixture[name].map((row) => row.map((v, k) => (k < first ? v : Math.fround(v))));
    const actual = withBackend(backend, () => evaluate(name, rows, 'f32'));
    const scalar = specialFunctions[name] as (...args: number[]) => number;
    // erf on wasm has a routine of its own.
    const allowed = name === 'erf' ? 2 : 0;
    rows.forEach((row, i) => {
      const wanted = scalar(...row.slice(0, -1));
      const message = `${name}(${row.slice(0, -1).join(', ')}) = ${actual[i]}, not ${wanted}`;
      expect(ulpDistance(actual[i]!, wanted), message).toBeLessThanOrEqual(allowed);
    });
  });
});

/** Numbers between two, evenly on a logarithmic scale where the lower one is positive. */
const between = (min: number, max: number): fc.Arbitrary<number> => fc.double({ min, max, noNaN: true });
const one = (op: OpName, x: number, attrs = {}): number => apply(op, [t([x])], attrs).itemSync();
const two = (op: OpName, x: number, y: number, attrs = {}): number =>
  apply(op, [t([x]), t([y])], attrs).itemSync();
function near(actual: number, wanted: number, relative: number, absolute = 0): void {
  expect(Math.abs(actual - wanted), `${actual} is not ${wanted}`).toBeLessThanOrEqual(
    relative * Math.abs(wanted) + absolute,
  );
}
const law = (arguments_: fc.Arbitrary<number>[], check: (...values: number[]) => void): void =>
  fc.assert(
    fc.property(fc.tuple(...arguments_), (values) => check(...values)),
    { numRuns: runs },
  );

describe('functional equations', () => {
  it('erf is odd, erfc its complement', () =>
    law([between(-8, 8)], (x) => {
      expect(one('erf', -x)).toBe(-one('erf', x));
      near(one('erfc', x) + one('erfc', -x), 2, 1e-15);
      near(one('erfcx', x), Math.exp(x * x) * one('erfc', x), 1e-13);
    }));
  it('erfinv and ndtri undo erf and ndtr', () => {
    law([between(-0.999, 0.999)], (y) => near(one('erf', one('erfinv', y)), y, 1e-15, 1e-300));
    // An ulp of x is x² ulp of Φ(x) far below 0.
    law([between(1e-300, 0.999)], (p) => {
      const x = one('ndtri', p);
      near(one('ndtr', x), p, 1e-13 + 2 ** -52 * x * x);
    });
    law([between(-37, 0)], (x) => near(one('ndtri', one('ndtr', x)), x, 1e-14, 1e-14));
  });
  it('logNdtr is the logarithm of ndtr', () =>
    law([between(-30, 3)], (x) => near(one('logNdtr', x), Math.log(one('ndtr', x)), 1e-13, 4e-16)));
  it('Γ(x + 1) = x Γ(x), and what follows for its logarithm’s derivatives', () =>
    law([between(0.01, 60)], (x) => {
      near(one('lgamma', x + 1), one('lgamma', x) + Math.log(x), 1e-14, 1e-14);
      near(one('digamma', x + 1), one('digamma', x) + 1 / x, 1e-14, 1e-13);
      for (const order of [1, 2, 3]) {
        const factorial = [1, 1, 2, 6][order]!;
        const step = (order % 2 === 1 ? -1 : 1) * factorial * x ** -(order + 1);
        const before = one('polygamma', x, { order });
        near(one('polygamma', x + 1, { order }), before + step, 1e-13, 1e-14 * Math.abs(before));
      }
    }));
  it('Γ(x) Γ(1 - x) = π / sin πx', () =>
    law([between(0.01, 0.99), fc.integer({ min: 0, max: 30 })], (r, n) => {
      const x = r + n;
      const wanted = Math.log(Math.PI / Math.abs(Math.sin(Math.PI * (x - Math.round(x)))));
      near(one('lgamma', x) + one('lgamma', 1 - x), wanted, 1e-12, 1e-12);
    }));
  it('P + Q = 1, and P(a, x) - P(a + 1, x) = xᵃ e⁻ˣ / Γ(a + 1)', () =>
    law([between(0.01, 200), between(0.01, 200)], (a, x) => {
      near(two('gammainc', a, x, { order: 0 }) + two('gammaincc', a, x), 1, 1e-15);
      const step = Math.exp(a * Math.log(x) - x - one('lgamma', a + 1));
      const difference = two('gammainc', a, x, { order: 0 }) - two('gammainc', a + 1, x, { order: 0 });
      near(difference, step, 1e-12, 1e-15);
    }));
  it('beyond a = 1e8, where another formula takes over, P goes on as before', () => {
    for (const deviations of [-3, -0.5, 0, 1, 4])
      for (const order of [0, 1]) {
        const at = (a: number): number => two('gammainc', a, a + deviations * Math.sqrt(a), { order });
        near(at(100_000_001), at(99_999_999), 1e-7);
      }
  });
  it('I_(n-1) - I_(n+1) = 2n/x I_n', () =>
    law([between(0.1, 80), fc.integer({ min: 1, max: 12 })], (x, n) => {
      for (const op of ['besselI', 'besselIe'] as const) {
        const [below, at, above] = [n - 1, n, n + 1].map((order) => one(op, x, { order })) as [
          number,
          number,
          number,
        ];
        near(below - above, ((2 * n) / x) * at, 1e-13, 1e-14 * below);
      }
    }));
  it('I_n has the parity of n', () =>
    law([between(0, 50), fc.integer({ min: 0, max: 5 })], (x, order) => {
      const sign = order % 2 === 0 ? 1 : -1;
      expect(one('besselI', -x, { order })).toBe(sign * one('besselI', x, { order }));
    }));
  it('sinc is even, 0 at whole numbers, and solves x f″ + 2 f′ + π² x f = 0', () => {
    law([between(-50, 50)], (x) => {
      expect(one('sinc', -x, { order: 0 }) + 0).toBe(one('sinc', x, { order: 0 }) + 0);
      const [f, d, dd] = [0, 1, 2].map((order) => one('sinc', x, { order })) as [number, number, number];
      near(x * dd + 2 * d + Math.PI ** 2 * x * f, 0, 0, 1e-12);
    });
    expect(list(t([1, -1, 2, 1e15]).sinc()).map(Math.abs)).toEqual([0, 0, 0, 0]);
  });
  it('logit undoes sigmoid; logSigmoid is its logarithm', () => {
    law([between(-30, 5)], (x) => near(one('logit', one('sigmoid', x)), x, 1e-13, 1e-13));
    law([between(-700, 30)], (x) => near(Math.exp(one('logSigmoid', x)), one('sigmoid', x), 1e-12));
    law([between(-700, 700)], (x) => near(one('logSigmoid', x) - one('logSigmoid', -x), x, 1e-14, 1e-14));
  });
  it('integer division and remainders belong together', () => {
    const whole = fc.integer({ min: -1000, max: 1000 });
    law([whole, whole], (a, b) => {
      const [x, y] = [tensor([a], { dtype: 'i32' }), tensor([b], { dtype: 'i32' })];
      const [q, r] = [x.truncDivide(y).itemSync(), x.fmod(y).itemSync()];
      expect([q + 0, r + 0]).toEqual(b === 0 ? [0, 0] : [Math.trunc(a / b) + 0, (a % b) + 0]);
    });
  });
});

describe('at the edges', () => {
  const rows: readonly [name: string, y: () => Tensor, wanted: number[]][] = [
    ['erfc', () => t([-inf, inf, 0, -0, nan, 1e300, 30]).erfc(), [2, 0, 1, 1, nan, 0, 0]],
    ['erfcx', () => t([-inf, inf, 0, nan, -30]).erfcx(), [inf, 0, 1, nan, inf]],
    ['erfinv', () => t([-1, 1, 0, -0, 1.5, nan, 5e-324]).erfinv(), [-inf, inf, 0, -0, nan, nan, 5e-324]],
    ['ndtr', () => t([-inf, inf, 0, nan, -50]).ndtr(), [0, 1, 0.5, nan, 0]],
    ['ndtri', () => t([0, 1, 0.5, -0.1, 1.1, nan]).ndtri(), [-inf, inf, 0, nan, nan, nan]],
    ['logNdtr', () => t([-inf, inf, nan, -1e200]).logNdtr(), [-inf, -0, nan, -inf]],
    ['lgamma', () => t([0, -0, 1, 2, -1, inf, -inf, nan]).lgamma(), [inf, inf, 0, 0, inf, inf, inf, nan]],
    ['digamma', () => t([0, -0, -1, inf, -inf, nan]).digamma(), [-inf, inf, nan, inf, nan, nan]],
    ['polygamma 1', () => t([0, -2, inf, -inf, nan]).polygamma(1), [inf, inf, 0, nan, nan]],
    [
      'gammainc',
      () => t([0, 0, 1, 1, 1, -1, inf]).gammainc(t([0, 1, 0, inf, -1, 1, 2])),
      [nan, 1, 0, 1, nan, nan, 0],
    ],
    [
      'gammaincc',
      () => t([0, 0, 1, 1, 1, -1, inf]).gammaincc(t([0, 1, 0, inf, -1, 1, 2])),
      [nan, 0, 1, 0, nan, nan, 1],
    ],
    ['besselI 0', () => t([0, inf, -inf, nan, 800]).besselI(0), [1, inf, inf, nan, inf]],
    ['besselI 1', () => t([0, -0, inf, -inf, nan]).besselI(1), [0, -0, inf, -inf, nan]],
    ['besselIe 1', () => t([0, -0, inf, -inf, nan]).besselIe(1), [0, -0, 0, -0, nan]],
    ['sinc', () => t([0, -0, inf, -inf, nan, 0.5]).sinc(), [1, 1, 0, 0, nan, 2 / Math.PI]],
    ['sinc′', () => t([0, inf]).sinc(1), [0, 0]],
    ['sinc″', () => t([0]).sinc(2), [-(Math.PI ** 2) / 3]],
    ['exp2', () => t([0, 10, -1, 1024, -1080, inf, -inf, nan]).exp2(), [1, 1024, 0.5, inf, 0, inf, 0, nan]],
    ['log10', () => t([1000, 1e-5, 0, -1, inf, nan]).log10(), [3, -5, -inf, nan, inf, nan]],
    ['cbrt', () => t([27, -8, 0, -0, -inf, nan]).cbrt(), [3, -2, 0, -0, -inf, nan]],
    ['logit', () => t([0, 1, 0.5, -0.1, 1.1, nan]).logit(), [-inf, inf, 0, nan, nan, nan]],
    ['logit with eps', () => t([0, 0.5, 1]).logit(0.25).exp(), [1 / 3, 1, 3]],
    ['isInf', () => t([inf, -inf, nan, 1e308]).isInf(), [1, 1, 0, 0]],
    ['xlogy', () => t([0, 0, 0, 0, 2, nan]).xlogy(t([0, -1, inf, nan, 0, 1])), [0, 0, 0, nan, -inf, nan]],
    ['xlog1py', () => t([0, 0, 0, 2]).xlog1py(t([-1, -2, nan, -1])), [0, 0, nan, -inf]],
    [
      'logAddExp',
      () => t([inf, -inf, inf, -inf, nan, 1000, -1000]).logAddExp(t([inf, -inf, -inf, 3, 1, 1000, -1000])),
      [inf, -inf, inf, 3, nan, 1000 + Math.LN2, -1000 + Math.LN2],
    ],
    [
      'hypot',
      () => t([3e300, 0, inf, nan, 5e-324]).hypot(t([4e300, -0, nan, 1, 0])),
      [5e300, 0, inf, nan, 5e-324],
    ],
    [
      'fmod',
      () => t([5.5, -5.5, 5.5, 1, inf, 1]).fmod(t([2, 2, -2, inf, 2, 0])),
      [1.5, -1.5, 1.5, 1, nan, nan],
    ],
    ['truncDivide', () => t([5.5, -5.5, 1, 0]).truncDivide(t([2, 2, 0, 0])), [2, -2, inf, nan]],
    ['logSigmoid', () => t([-inf, inf, -1e4, 1e4, nan]).logSigmoid(), [-inf, -0, -1e4, -0, nan]],
    ['mish', () => t([-inf, inf, -1e4, 1e4, 0, nan]).mish(), [0, inf, -0, 1e4, 0, nan]],
    ['softsign', () => t([-inf, inf, 1, nan, 1e300]).softsign(), [-1, 1, 0.5, nan, 1]],
    ['hardsigmoid', () => t([-inf, inf, -3, 3, 0, nan]).hardsigmoid(), [0, 1, 0, 1, 0.5, nan]],
    ['hardswish', () => t([-inf, inf, -3, 3, 0, nan]).hardswish(), [0, inf, 0, 3, 0, nan]],
    ['selu', () => t([-inf, inf, 0, nan]).selu(), [-1.0507009873554805 * 1.6732632423543772, inf, 0, nan]],
    ['celu', () => t([-inf, inf, 0, nan]).celu(2), [-2, inf, 0, nan]],
    ['leakyRelu', () => t([-inf, inf, -2, nan]).leakyRelu(0.25), [-inf, inf, -0.5, nan]],
    ['softplus', () => t([-745, -1e4, 1e4, nan]).softplus(), [5e-324, 0, 1e4, nan]],
  ];
  it.each(rows.flatMap((row) => ['js', 'wasm'].map((backend) => [row[0], backend, row] as const)))(
    '%s on %s',
    (_, backend, [, make, wanted]) =>
      withBackend(backend, () => {
        const actual = list(make());
        expect(actual).toHaveLength(wanted.length);
        wanted.forEach((value, i) => {
          const message = `element ${i} is ${actual[i]}, not ${value}`;
          if (value === 0 || !Number.isFinite(value)) expect(actual[i]! + 0, message).toBe(value + 0);
          else near(actual[i]!, value, 4e-16);
        });
      }),
  );
  it('logit and sigmoid keep the bits of what is small', () => {
    near(one('logit', 0.5 + 2 ** -40), 4 * 2 ** -40, 1e-15);
    near(one('logit', 1e-300), Math.log(1e-300), 1e-15);
  });
});

describe('bits', () => {
  const integers = (dtype: 'i32' | 'u8' | 'bool', values: number[]): Tensor => tensor(values, { dtype });
  const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  it.each(['js', 'wasm'])('are those of the machine, on %s', (backend) =>
    withBackend(backend, () =>
      law([word, word, fc.integer({ min: -40, max: 40 })], (a, b, n) => {
        const [x, y, count] = [a, b, n].map((v) => integers('i32', [v])) as [Tensor, Tensor, Tensor];
        const inside = n >= 0 && n < 32;
        expect(
          [
            x.bitwiseAnd(y),
            x.bitwiseOr(y),
            x.bitwiseXor(y),
            x.bitwiseNot(),
            x.leftShift(count),
            x.rightShift(count),
          ].map((z) => z.itemSync()),
        ).toEqual([a & b, a | b, a ^ b, ~a, inside ? a << n : 0, inside ? a >> n : a < 0 ? -1 : 0]);
      }),
    ),
  );
  it.each(['js', 'wasm'])('of u8 and bool stay u8 and bool, on %s', (backend) =>
    withBackend(backend, () => {
      const x = integers('u8', [0, 1, 200, 255]);
      const rows: [Tensor, 'u8' | 'bool', number[]][] = [
        [x.bitwiseNot(), 'u8', [255, 254, 55, 0]],
        [x.leftShift(1), 'u8', [0, 2, 144, 254]],
        [x.leftShift(8), 'u8', [0, 0, 0, 0]],
        [x.rightShift(3), 'u8', [0, 0, 25, 31]],
        [x.bitwiseXor(255), 'u8', [255, 254, 55, 0]],
        [integers('bool', [0, 1]).bitwiseNot(), 'bool', [1, 0]],
        [integers('bool', [0, 1]).bitwiseXor(true), 'bool', [1, 0]],
        [integers('bool', [0, 1, 1]).bitwiseAnd(integers('bool', [1, 1, 0])), 'bool', [0, 1, 0]],
        [integers('bool', [0, 1, 0]).bitwiseOr(integers('bool', [1, 1, 0])), 'bool', [1, 1, 0]],
        [x.bitwiseAnd(integers('i32', [-1, -1, 15, -256])), 'u8', []],
      ];
      for (const [y, dtype, values] of rows.slice(0, -1)) expect([y.dtype, list(y)]).toEqual([dtype, values]);
      const wide = rows.at(-1)![0];
      expect([wide.dtype, list(wide)]).toEqual(['i32', [0, 1, 8, 0]]);
    }),
  );
  it('shift no floats', () => expect(() => ops.leftShift(t([1]), 1)).toThrow('does not accept f64'));
});
