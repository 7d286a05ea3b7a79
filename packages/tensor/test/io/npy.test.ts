/** NumPy's arrays: files that NumPy wrote, round trips, hostile files. */
import fc from 'fast-check';
import { DTypeError, FormatError, readNpy, tensor, writeNpy, zeros } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { bitsOf, dtypeOfCode, fixtures, fromBase64, make, numbers, sample } from './tools.ts';

/** A file of version 1.0 with this header and this many bytes of data. */
function npy(header: string, data = 0, version = [1, 0]): Uint8Array {
  const text = new TextEncoder().encode(header);
  const start = version[0] === 1 ? 10 : 12;
  const out = new Uint8Array(start + text.length + data);
  out.set([0x93, ...new TextEncoder().encode('NUMPY'), ...version]);
  if (start === 10) new DataView(out.buffer).setUint16(8, text.length, true);
  else new DataView(out.buffer).setUint32(8, text.length, true);
  out.set(text, start);
  return out;
}
const header = (descr: string, shape: string, order = 'False'): string =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;

describe('files that NumPy wrote', () => {
  test.each(fixtures.npy)('$name', ({ bytes, shape, values, code, ours }) => {
    const file = fromBase64(bytes);
    const x = readNpy(file);
    expect([x.dtype, x.shape]).toEqual([dtypeOfCode[code], shape]);
    expect([...x.dataSync()]).toEqual(numbers(values));
    if (
      ours &&
      code ===
        x.dtype
          .replace('64', '8')
          .replace('32', '4')
          .replace('16', '2')
          .replace('u8', 'u1')
          .replace('bool', 'b1')
    )
      expect(writeNpy(x)).toEqual(file);
  });

  test('are many', () => expect(fixtures.npy.length).toBeGreaterThan(100));
});

describe('round trips', () => {
  test('give the same dtype, shape and bits, and the same bytes again', () =>
    fc.assert(
      fc.property(
        sample.filter(({ dtype }) => dtype !== 'bf16'),
        (s) => {
          const x = make(s);
          const bytes = writeNpy(x);
          expect(bitsOf(readNpy(bytes))).toEqual(bitsOf(x));
          expect(writeNpy(readNpy(bytes))).toEqual(bytes);
          expect((bytes.length - bitsOf(x).flat(2).length + s.shape.length + 1) % 64).toBe(0);
        },
      ),
    ));

  test('a view is written row-major', () =>
    fc.assert(
      fc.property(
        sample.filter(({ dtype }) => dtype !== 'bf16'),
        (s) => {
          const x = make(s);
          const axes = x.shape.map((_, i) => x.rank - 1 - i);
          expect(bitsOf(readNpy(writeNpy(x.permute(axes))).permute(axes))).toEqual(bitsOf(x));
        },
      ),
    ));

  test('bytes inside a larger buffer are read alike', () => {
    const bytes = writeNpy(tensor([1, 2.5], { dtype: 'f64' }));
    const inside = new Uint8Array(bytes.length + 5);
    inside.set(bytes, 3);
    expect(readNpy(inside.subarray(3, 3 + bytes.length)).toArraySync()).toEqual([1, 2.5]);
  });

  test('f16 is widened on demand', () => {
    const x = readNpy(writeNpy(tensor([1.5, -2], { dtype: 'f16' })), { widen: true });
    expect([x.dtype, x.toArraySync()]).toEqual(['f32', [1.5, -2]]);
  });

  test('bf16 is refused with a way out', () => {
    const x = tensor([1], { dtype: 'bf16' });
    expect(() => writeNpy(x)).toThrow(DTypeError);
    expect(() => writeNpy(x)).toThrow(/no dtype for bf16: \[1\] bf16\. Hint: cast\('f32'\)/);
  });
});

describe('integers that fit into i32 become it, others are refused', () => {
  const limit = 2n ** 31n;
  const cases: [string, number, bigint[], bigint[]][] = [
    ['i1', 1, [-128n, 127n], []],
    ['i2', 2, [-32768n, 32767n], []],
    ['u2', 2, [0n, 65535n], []],
    ['u4', 4, [0n, limit - 1n], [limit, 2n ** 32n - 1n]],
    [
      'i8',
      8,
      [-limit, -1n, 0n, limit - 1n],
      [limit, -limit - 1n, 2n ** 32n, -(2n ** 32n), 2n ** 63n - 1n, -(2n ** 63n)],
    ],
    ['u8', 8, [0n, limit - 1n], [limit, 2n ** 32n - 1n, 2n ** 32n, 2n ** 64n - 1n]],
  ];
  for (const [code, width, fit, others] of cases)
    for (const order of width === 1 ? ['|'] : ['<', '>'])
      test(`${order}${code}`, () => {
        const file = (value: bigint): Uint8Array => {
          const bytes = npy(header(order + code, '(1,)'), width);
          for (let i = 0; i < width; i++)
            bytes[order === '>' ? bytes.length - 1 - i : bytes.length - width + i] = Number(
              (value >> BigInt(8 * i)) & 255n,
            );
          return bytes;
        };
        for (const value of fit) {
          const x = readNpy(file(value));
          expect([x.dtype, x.toArraySync()]).toEqual(['i32', [Number(value)]]);
        }
        for (const value of others) {
          expect(() => readNpy(file(value))).toThrow(FormatError);
          expect(() => readNpy(file(value))).toThrow(`${value} does not fit into i32`);
        }
      });
});

describe('hostile files', () => {
  const cases: [string, Uint8Array, RegExp][] = [
    ['empty', new Uint8Array(0), /not an \.npy file/],
    ['another format', new Uint8Array(64).fill(80), /not an \.npy file/],
    ['version 4', npy(header('<f4', '()'), 4, [4, 0]), /version 4\.0/],
    ['version 1.1', npy(header('<f4', '()'), 4, [1, 1]), /version 1\.1/],
    ['version 0', npy(header('<f4', '()'), 4, [0, 0]), /version 0\.0/],
    ['version 2.0, cut in the length', npy('', 0, [2, 0]).subarray(0, 11), /ends after 11/],
    ['a long header', npy(' '.repeat(10_001)), /10001 bytes, more than 10000/],
    ['a header beyond the end', npy(header('<f4', '()')).subarray(0, 40), /header needs/],
    ['objects', npy(header('|O', '(1,)'), 8), /'\|O' is not read.*pickle/],
    ['text', npy(header('<U3', '(1,)'), 12), /'<U3' is not read/],
    ['complex numbers', npy(header('<c8', '(1,)'), 8), /'<c8' is not read/],
    ['long doubles', npy(header('<f16', '(1,)'), 16), /'<f16' is not read/],
    ['no byte order', npy(header('|f4', '(1,)'), 4), /'\|f4' is not read/],
    ['native byte order', npy(header('=f4', '(1,)'), 4), /'=f4' is not read/],
    ['an inherited name', npy(header('<toString', '(1,)'), 4), /is not read/],
    ['fields', npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4), /named fields/],
    ['no descr', npy("{'fortran_order': False, 'shape': (1,), }", 4), /no valid descr/],
    ['no order', npy("{'descr': '<f4', 'shape': (1,), }", 4), /no valid fortran_order/],
    ['no shape', npy("{'descr': '<f4', 'fortran_order': False, }", 4), /no valid shape/],
    ['an order of text', npy(header('<f4', '(1,)', "'False'"), 4), /no valid fortran_order/],
    ['a truth as descr', npy("{'descr': True, 'fortran_order': False, 'shape': (), }", 4), /no valid descr/],
    [
      'a key more',
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': True}", 4),
      /unknown key 'x'/,
    ],
    [
      '__proto__',
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (), '__proto__': ()}", 4),
      /unknown key '__proto__'/,
    ],
    [
      'a key twice',
      npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4),
      /'descr' twice/,
    ],
    ['a number for a shape', npy(header('<f4', '3'), 12), /not what NumPy writes/],
    ['a number in parentheses', npy(header('<f4', '(3)'), 12), /not what NumPy writes/],
    ['a list for a shape', npy(header('<f4', '[3]'), 12), /named fields|not what NumPy writes/],
    ['a negative size', npy(header('<f4', '(-1,)'), 4), /not what NumPy writes/],
    ['a fraction', npy(header('<f4', '(1.5,)'), 4), /not what NumPy writes/],
    ['a size with zeros before', npy(header('<f4', '(01,)'), 4), /not what NumPy writes/],
    ['a backslash', npy(header('<f\\x34', '()'), 4), /not what NumPy writes/],
    ['what is not ASCII', npy(header('<f4é', '()'), 4), /is not read/],
    ['code', npy("__import__('os').getcwd()", 4), /not what NumPy writes/],
    ['two literals', npy(`${header('<f4', '()')}{}`, 4), /not what NumPy writes/],
    ['an open literal', npy("{'descr': '<f4'"), /not what NumPy writes/],
    ['nothing', npy(''), /not what NumPy writes/],
    ['two commas', npy(header('<f4', '(1,,)'), 4), /not what NumPy writes/],
    ['too many axes', npy(header('<f4', `(${'1, '.repeat(65)})`), 4), /65 axes, more than 64/],
    ['a product that overflows', npy(header('<f4', '(4503599627370496, 4503599627370496)'), 4), /too large/],
    [
      'an overflow hidden by a zero',
      npy(header('<f4', '(4503599627370496, 0, 4503599627370496)')),
      /too large/,
    ],
    ['a size beyond 2^53', npy(header('<f4', '(99999999999999999999,)')), /too large/],
    ['too short', npy(header('<f4', '(2,)'), 7), /needs 8 bytes of data, the file has 7.*truncated/],
    ['too long', npy(header('<f4', '(2,)'), 9), /needs 8 bytes of data, the file has 9.*too many/],
    [
      'a bool of 2',
      npy(header('|b1', '(1,)'), 1).map((b, i, all) => (i === all.length - 1 ? 2 : b)),
      /neither 0 nor 1/,
    ],
  ];
  for (const [name, bytes, says] of cases)
    test(`${name}: refused`, () => {
      expect(() => readNpy(bytes)).toThrow(FormatError);
      expect(() => readNpy(bytes)).toThrow(says);
    });

  test('a longer header, on demand', () => {
    const text = `${header('<f4', '()')}${' '.repeat(70_000)}\n`;
    expect(readNpy(npy(text, 4, [2, 0]), { maxHeaderBytes: 100_000 }).itemSync()).toBe(0);
  });

  test('cut at any byte: refused', () => {
    const bytes = writeNpy(zeros([2, 3]));
    for (let n = 0; n < bytes.length; n++)
      expect(() => readNpy(bytes.subarray(0, n)), `${n} bytes`).toThrow(FormatError);
  });

  test('with any byte of the header changed: read or refused, never anything else', () =>
    fc.assert(
      fc.property(fc.nat(127), fc.nat(255), (at, value) => {
        const bytes = writeNpy(zeros([2, 3]));
        bytes[at] = value;
        try {
          readNpy(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 300 },
    ));
});
