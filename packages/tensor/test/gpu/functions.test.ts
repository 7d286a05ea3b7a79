/** Functions over wide ranges, near their zeros and at their ends, against f64 on the host. */
import { apply, fromData, getBackend, setBackend, type OpName } from '@infinigrad/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gpu } from './host.ts';

/** Names, the range, and how far a result may be off: relative, and absolute beside zeros of the function. */
const table: readonly (readonly [name: OpName, low: number, high: number, rtol: number, atol?: number])[] = [
  ['exp', -80, 80, 8e-6],
  ['expm1', -0.6, 0.6, 4e-6],
  ['expm1', -20, 20, 4e-6],
  ['log', 1e-30, 1e30, 4e-6],
  ['log', 0.5, 2, 4e-6, 4e-7],
  ['log2', 1e-6, 1e6, 4e-6, 4e-7],
  ['log10', 1e-6, 1e6, 4e-6, 4e-7],
  ['log1p', -0.5, 0.5, 2e-6],
  ['log1p', -0.99, 1e6, 4e-6, 4e-7],
  ['sqrt', 0, 1e6, 1e-6],
  ['cbrt', -1e6, 1e6, 2e-6],
  ['sin', -3, 3, 2e-6, 2e-7],
  ['sin', -1000, 1000, 1e-5, 2e-6],
  ['cos', -1000, 1000, 1e-5, 2e-6],
  ['tan', -1.5, 1.5, 4e-6, 2e-7],
  ['asin', -1, 1, 2e-6],
  ['acos', -1, 1, 2e-6],
  ['atan', -100, 100, 2e-6],
  ['sinh', -80, 80, 8e-6],
  ['sinh', -1, 1, 4e-6],
  ['cosh', -80, 80, 8e-6],
  ['tanh', -1, 1, 4e-6],
  ['tanh', -50, 50, 2e-6],
  ['asinh', -1e6, 1e6, 4e-6],
  ['asinh', -1, 1, 4e-6],
  ['acosh', 1, 1e6, 4e-6],
  ['atanh', -0.999, 0.999, 4e-6],
  ['erf', -4, 4, 4e-6],
  ['erfc', -4, 9, 2e-5],
  ['erfcx', -3, 1000, 1e-5],
  ['erfinv', -0.999, 0.999, 1e-5],
  ['ndtr', -9, 5, 2e-5],
  ['ndtri', 0.001, 0.999, 1e-5, 1e-6],
  ['logNdtr', -100, 5, 1e-5, 1e-7],
  ['gelu', -8, 8, 2e-5],
  ['sigmoid', -80, 80, 1e-5],
  ['softplus', -80, 80, 1e-5],
  ['lgamma', 0.05, 30, 1e-5, 4e-6],
  ['lgamma', -7.9, -0.1, 1e-5, 1e-5],
  ['digamma', 0.05, 30, 1e-5, 2e-6],
];

/** Evenly spaced, and where the range spans many decades, those as well. */
function points(low: number, high: number): Float32Array {
  const count = 2000;
  const even = Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));
  const decades = (top: number): number[] => Array.from({ length: 60 }, (_, i) => top * 10 ** (-i / 8));
  const more = [...decades(high), ...(low < 0 ? decades(low) : [])].filter((x) => x >= low && x <= high);
  return Float32Array.from([...even, ...more]);
}

describe.skipIf(!gpu)('functions on the gpu', () => {
  beforeAll(() => setBackend('js'));
  afterAll(async () => {
    setBackend('wasm');
    await gpu!.close();
  });

  const rows = table.map(([name, low, high, rtol, atol = 0]) => ({ name, low, high, rtol, atol }));
  it.each(rows)('$name from $low to $high is right to $rtol', async ({ name, low, high, rtol, atol }) => {
    const x = points(low, high);
    const expected = apply(name, [fromData(Float64Array.from(x), [x.length])]).dataSync();
    const actual = await apply(name, [fromData(x, [x.length], { backend: getBackend('gpu') })]).data();
    let worst = 0;
    let at = 0;
    Array.from(expected).forEach((y, i) => {
      // What f32 has only few bits of is not asked for.
      const off = Math.abs(actual[i]! - y) / (rtol * Math.max(Math.abs(y), 1.2e-38) + atol);
      if (!(off <= worst)) [worst, at] = [off, i];
    });
    expect(worst, `${name}(${x[at]}) = ${actual[at]} instead of ${expected[at]}`).toBeLessThanOrEqual(1);
  });
});
