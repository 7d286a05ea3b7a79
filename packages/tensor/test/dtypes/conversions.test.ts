/** f16 and bf16 to other dtypes and back: every word, every midpoint, against their definition, PyTorch and NumPy. */
import { fromData, tensor, withBackend, type DType, type HalfDType, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromBF16, fromF16, toBF16, toF16 } from '../../src/half.ts';
import { runs } from '../support.ts';
import { torch } from './torch.ts';

interface Format {
  /** Bits of the fraction. */
  readonly fraction: number;
  readonly bias: number;
  readonly infinity: number;
  readonly quiet: number;
  readonly encode: (x: number) => number;
  readonly decode: (word: number) => number;
}
const formats: Readonly<Record<HalfDType, Format>> = {
  f16: { fraction: 10, bias: 15, infinity: 0x7c00, quiet: 0x200, encode: toF16, decode: fromF16 },
  bf16: { fraction: 7, bias: 127, infinity: 0x7f80, quiet: 0x40, encode: toBF16, decode: fromBF16 },
};

/** What a word stands for, by IEEE 754's definition; infinity goes on as the number that would come next. */
function meaning(word: number, { fraction, bias }: Format): number {
  const sign = word & 0x8000 ? -1 : 1;
  const exponent = (word & 0x7fff) >> fraction;
  const rest = (word & (2 ** fraction - 1)) / 2 ** fraction;
  return sign * (exponent === 0 ? rest * 2 ** (1 - bias) : (1 + rest) * 2 ** (exponent - bias));
}

const bits = new DataView(new ArrayBuffer(8));
/** The next f64 or f32 away from zero (by 1) or toward it (by -1). */
function beside(x: number, by: 1 | -1, dtype: 'f64' | 'f32'): number {
  if (dtype === 'f64') {
    bits.setFloat64(0, x);
    bits.setBigInt64(0, bits.getBigInt64(0) + BigInt(by));
    return bits.getFloat64(0);
  }
  bits.setFloat32(0, x);
  bits.setInt32(0, bits.getInt32(0) + by);
  return bits.getFloat32(0);
}

const every = Uint16Array.from({ length: 65536 }, (_, word) => word);
/** Equal to the last bit, zeros by their sign; without the time that long lists take to be printed. */
function same(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++)
    if (!Object.is(actual[i], expected[i])) expect([i, actual[i]]).toEqual([i, expected[i]]);
}
const backends = ['js', 'wasm'] as const;
const wordsOf = (values: readonly number[], from: DType, to: HalfDType): Uint16Array =>
  fromData(Float64Array.from(values), [values.length]).cast(from).cast(to).wordsSync();
/** The same elements, every other one of a buffer. */
const spaced = (x: Tensor): Tensor => {
  const columns = x.reshape([x.size, 1]).expand([x.size, 2]).clone();
  return columns.slice([null, [0, 1]]).reshape([x.size]);
};

describe.each(Object.entries(formats) as [HalfDType, Format][])('%s', (dtype, format) => {
  const { infinity, quiet, encode, decode } = format;
  const isNaNWord = (word: number): boolean => (word & 0x7fff) > infinity;
  const kept = every.map((word) => (isNaNWord(word) ? word | quiet : word));

  it('means what IEEE 754 says', () => {
    const expected = Array.from(every, (word) =>
      isNaNWord(word)
        ? NaN
        : (word & 0x7fff) === infinity
          ? Math.sign(meaning(word, format)) * Infinity
          : meaning(word, format),
    );
    same(Array.from(every, decode), expected);
    same(
      every.map((word) => encode(decode(word))),
      kept,
    );
  });

  it('reads as a Float32Array of its values, and its words as they are', async () => {
    const x = fromData(every, [65536], { dtype });
    same(x.wordsSync(), every);
    same(await x.words(), every);
    same(x.dataSync(), Float32Array.from(every, decode));
    same(await x.data(), x.dataSync());
  });

  describe.each(backends)('on %s', (backend) => {
    const test = (name: string, body: () => void): void => it(name, () => withBackend(backend, body));

    test('every word comes back from f32 and f64, NaNs quiet and with their payload', () => {
      const x = fromData(every, [65536], { dtype });
      for (const wide of ['f32', 'f64'] as const) {
        same(x.cast(wide).dataSync(), Array.from(every, decode));
        same(x.cast(wide).cast(dtype).wordsSync(), kept);
        same(spaced(x.cast(wide)).cast(dtype).wordsSync(), kept);
        same(spaced(x).cast(wide).cast(dtype).wordsSync(), kept);
      }
    });

    test('moving leaves the words alone, signalling NaNs too, where no number is made of them', () => {
      const x = fromData(every, [256, 256], { dtype });
      same(x.transpose().clone().transpose().clone().wordsSync(), every);
      const rows = fromData(
        Int32Array.from({ length: 256 }, (_, i) => i),
        [256],
      );
      same(x.indexSelect(0, rows).wordsSync(), every);
    });

    test('midpoints go to the even neighbour, what lies beside them to the nearer one', () => {
      for (const from of ['f64', 'f32'] as const) {
        const values: number[] = [];
        const expected: number[] = [];
        for (let word = 0; word < infinity; word++) {
          const middle = (meaning(word, format) + meaning(word + 1, format)) / 2;
          values.push(middle, beside(middle, 1, from), beside(middle, -1, from));
          expected.push(word % 2 === 0 ? word : word + 1, word + 1, word);
        }
        same(wordsOf(values, from, dtype), expected);
        const negative = wordsOf(
          values.map((v) => -v),
          from,
          dtype,
        );
        same(
          negative,
          Uint16Array.from(expected, (word) => word | 0x8000),
        );
        if (from === 'f64') same(values.map(encode), expected);
      }
    });

    test('what is too large becomes infinite, what is too small zero, with its sign', () => {
      const values = [Infinity, 1e300, -1e300, -Infinity, 1e-300, -1e-300, 5e-324, -0];
      const expected = [infinity, infinity, infinity | 0x8000, infinity | 0x8000, 0, 0x8000, 0, 0x8000];
      expect([...wordsOf(values, 'f64', dtype)]).toEqual(expected);
    });

    test('integers and truth values round once, and come back truncated', () => {
      const integers = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
      fc.assert(
        fc.property(fc.array(integers, { minLength: 1, maxLength: 9 }), (list) => {
          expect([...wordsOf(list, 'i32', dtype)]).toEqual(list.map(encode));
        }),
        { numRuns: runs },
      );
      // f32 would round these to a midpoint first.
      for (const n of [2 ** 30 + 2 ** 22 + 1, 2 ** 30 + 2 ** 22 - 1, 65519, 65520, 2 ** 25 + 2 ** 17 + 1])
        expect([...wordsOf([n, -n], 'i32', dtype)]).toEqual([encode(n), encode(-n)]);
      const bytes = fromData(
        Uint8Array.from({ length: 256 }, (_, i) => i),
        [256],
      );
      expect([...bytes.cast(dtype).dataSync()]).toEqual(Array.from({ length: 256 }, (_, i) => i));
      expect([...tensor([true, false]).cast(dtype).dataSync()]).toEqual([1, 0]);
      const x = tensor([-2.75, 0, 300.5, NaN, Infinity], { dtype });
      for (const to of ['i32', 'u8', 'bool'] as const)
        expect(x.cast(to).dataSync()).toEqual(x.cast('f32').cast(to).dataSync());
    });

    test('agrees with PyTorch and NumPy', () => {
      const { singles, doubles, f16OfDoubles, widened } = torch.halves;
      const numbers = new Float32Array(Uint32Array.from(singles).buffer);
      expect([...fromData(numbers, [numbers.length]).cast(dtype).wordsSync()]).toEqual(torch.halves[dtype]);
      if (dtype === 'f16') expect([...wordsOf(doubles, 'f64', dtype)]).toEqual(f16OfDoubles);
      const wide = fromData(every, [65536], { dtype }).cast('f32').dataSync();
      const word = new Uint32Array(wide.buffer);
      let sum = 0n;
      wide.forEach((v, i) => (sum += Number.isNaN(v) ? 0n : BigInt(word[i]!) * BigInt(i + 1)));
      expect(Number(sum % 2n ** 32n)).toBe(widened[dtype]);
    });
  });
});
