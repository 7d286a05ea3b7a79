/** Fourier transforms: the laws of the transform, PyTorch's results, and what each method refuses. */
import { readFileSync } from 'node:fs';
import {
  complex,
  fftfreq,
  fromData,
  IndexError,
  rfftfreq,
  ShapeError,
  tensor,
  ValueError,
  withBackend,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import { drawLayout, expectAllClose, realise } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fourierMethods } from '../../src/compositions/fourier.ts';
import { rootOfUnity } from '../../src/math/fourier-passes.ts';
import { runs } from '../support.ts';

const flat = (x: Tensor): number[] => Array.from(x.dataSync());
const close = { rtol: 1e-11, atol: 1e-11 };

/** Pairs [rows, n, 2] in any layout. */
function holdsForLines(check: (x: Tensor, int: (min: number, max: number) => number) => void): void {
  const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
  const values = (count: number): fc.Arbitrary<number[]> =>
    fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: count, maxLength: count });
  const law = fc.property(fc.gen(), (g) => {
    const shape = [g(between, 1, 2), g(between, 1, 70), 2];
    const data = g(values, shape[0]! * shape[1]! * 2).map((v) => v / 250);
    check(realise(data, shape, 'f64', drawLayout(g, shape)), (min, max) => g(between, min, max));
  });
  fc.assert(law, { numRuns: runs });
}

const scalars = (re: number, im: number): Tensor => tensor([re, im], { dtype: 'f64' });
const squares = (x: Tensor): number => x.square().sum().itemSync();

describe('the transform', () => {
  it('is linear', () =>
    holdsForLines((x, int) => {
      const y = x.flip(0).roll(1, 1);
      const [a, b] = [scalars(int(-3, 3), int(-3, 3)), scalars(int(-3, 3), 1)];
      expectAllClose(
        x.complexMul(a).add(y.complexMul(b)).fft(),
        x.fft().complexMul(a).add(y.fft().complexMul(b)),
        close,
      );
    }));
  it('keeps the sum of squares (Parseval)', () =>
    holdsForLines((x) => {
      const before = squares(x);
      expect(Math.abs(squares(x.fft(undefined, -1, 'ortho')) - before)).toBeLessThanOrEqual(
        1e-12 * (before + 1),
      );
    }));
  it('turns shifts into factors', () =>
    holdsForLines((x, int) => {
      const n = x.shape[1]!;
      const by = int(0, n);
      const turns = Float64Array.from(
        { length: 2 * n },
        (_, i) => rootOfUnity((i >> 1) * by, n)[(i % 2) as 0 | 1],
      );
      expectAllClose(x.roll(by, 1).fft(), x.fft().complexMul(fromData(turns, [n, 2])), close);
    }));
  it('is undone by its inverse, under every norm', () =>
    holdsForLines((x, int) => {
      const norm = (['backward', 'ortho', 'forward'] as const)[int(0, 2)];
      expectAllClose(x.fft(undefined, 1 - 2, norm).ifft(undefined, -1, norm), x, close);
      expectAllClose(x.ifft(undefined, -1, norm).fft(undefined, -1, norm), x, close);
      const y = x.real();
      expectAllClose(y.rfft(undefined, -1, norm).irfft(y.shape[1], -1, norm), y, close);
      expectAllClose(x.fftn(undefined, undefined, norm).ifftn(undefined, undefined, norm), x, close);
      expectAllClose(y.rfftn(undefined, undefined, norm).irfftn(y.shape, undefined, norm), y, close);
    }));
  it('turns circular convolutions into products', () =>
    holdsForLines((x) => {
      const n = x.shape[1]!;
      const [a, b] = [x.select(0, 0), x.select(0, -1).flip(0)];
      let direct = zeros([n, 2], { dtype: 'f64' });
      for (let k = 0; k < n; k++) direct = direct.add(a.select(0, k).complexMul(b.roll(k, 0)));
      expectAllClose(a.fft().complexMul(b.fft()).ifft(), direct, { rtol: 1e-10, atol: 1e-9 });
    }));
  it('of real numbers has the symmetry that rfft leaves out', () =>
    holdsForLines((x) => {
      const y = x.real();
      const n = y.shape[1]!;
      const whole = complex(y, y.mul(0)).fft();
      const half = Math.floor(n / 2) + 1;
      expectAllClose(y.rfft(), whole.narrow(1, 0, half), close);
      expectAllClose(whole.flip(1).roll(1, 1).complexConj(), whole, close);
    }));
  it('works along any axis', () =>
    holdsForLines((x) => {
      expectAllClose(x.fft(undefined, 0), x.transpose(0, 1).fft().transpose(0, 1), close);
      expectAllClose(x.fft2(), x.fft(undefined, 0).fft(undefined, 1), close);
    }));
});

describe('accuracy', () => {
  /** e^(2πi·jk/n) has but one frequency: the result is n there and 0 elsewhere. */
  const error = (n: number): number => {
    const f = Math.floor(n / 3);
    const wave = Float64Array.from({ length: 2 * n }, (_, i) => {
      const [re, im] = rootOfUnity((Math.floor(i / 2) * f) % n, n);
      return i % 2 === 0 ? re : -im;
    });
    const y = fromData(wave, [n, 2]).fft().dataSync();
    let total = 0;
    for (let i = 0; i < y.length; i++) total += (y[i]! - (i === 2 * f ? n : 0)) ** 2;
    // The root of the mean square of the results is √n.
    return Math.sqrt(total / n) / Math.sqrt(n);
  };
  it.each([1, 2, 3, 5, 16, 49, 53, 97, 720, 1000, 1021, 1024, 2039, 2310, 4093, 4095, 4096])(
    'for %d points, 1e-14 of the root mean square',
    (n) => expect(error(n)).toBeLessThan(1e-14),
  );
  it('an f32 result is the f64 result rounded', () =>
    holdsForLines((x) => {
      const narrow = x.cast('f32');
      expect(flat(narrow.fft())).toEqual(flat(narrow.cast('f64').fft().cast('f32')));
    }));
  it('roots of unity are exact at the quarters, and as exact as sine and cosine', () => {
    for (const n of [1, 4, 8, 12, 4096])
      for (const [quarter, re, im] of [
        [0, 1, 0],
        [1, 0, -1],
        [2, -1, 0],
        [3, 0, 1],
      ] as const) {
        const k = (quarter * n) / 4;
        if (Number.isInteger(k)) expect(rootOfUnity(k, n).map((v) => v + 0)).toEqual([re, im]);
      }
    for (let n = 1; n < 60; n++)
      for (let k = 0; k < 2 * n; k++) {
        const [re, im] = rootOfUnity(k, n);
        expect(re).toBeCloseTo(Math.cos((2 * Math.PI * k) / n), 13);
        expect(im).toBeCloseTo(-Math.sin((2 * Math.PI * k) / n), 13);
      }
  });
});

interface Plain {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}
interface Fixture {
  readonly transforms: readonly { name: string; x: Plain | null; args: readonly unknown[]; y: Plain }[];
  readonly spectrograms: readonly {
    options: {
      n_fft: number;
      hop_length: number;
      center: boolean;
      pad_mode: 'reflect' | 'constant';
      normalized: boolean;
    };
    x: Plain;
    window: Plain;
    y: Plain;
    back: Plain;
  }[];
}
const fixture = JSON.parse(
  readFileSync(new URL('../fixtures/fourier.json', import.meta.url), 'utf8'),
) as Fixture;
const toTensor = ({ shape, data }: Plain): Tensor => fromData(Float64Array.from(data), shape);
function expectPlain(actual: Tensor, { shape, data }: Plain): void {
  expect(actual.shape).toEqual(shape);
  expectAllClose(actual, data, { rtol: 1e-12, atol: 1e-13 });
}

describe.each(['js', 'wasm'])("PyTorch's results, on %s", (backend) => {
  const free: Record<string, (...args: never[]) => Tensor> = { fftfreq, rfftfreq };
  it.each([...new Set(fixture.transforms.map(({ name }) => name))])('%s', (name) =>
    withBackend(backend, () => {
      for (const { x, args, y } of fixture.transforms.filter((row) => row.name === name)) {
        const given = args.map((a) => a ?? undefined);
        const actual = x
          ? (toTensor(x)[name as 'fft'] as (...a: unknown[]) => Tensor)(...given)
          : (free[name] as (...a: unknown[]) => Tensor)(...given, { dtype: 'f64' });
        expectPlain(actual, y);
      }
    }),
  );
  it.each(fixture.spectrograms.map((row, i) => [i, row] as const))('stft and istft %d', (_, row) =>
    withBackend(backend, () => {
      const { n_fft, hop_length, pad_mode, ...rest } = row.options;
      const window = toTensor(row.window);
      const options = { hopLength: hop_length, center: rest.center, normalized: rest.normalized, window };
      const y = toTensor(row.x).stft(n_fft, { ...options, padMode: pad_mode });
      expectPlain(y, row.y);
      expectPlain(y.istft(n_fft, options), row.back);
    }),
  );
});

describe('complex numbers as pairs', () => {
  const z = tensor(
    [
      [3, 4],
      [-1, 0.5],
      [0, 0],
    ],
    { dtype: 'f64' },
  );
  it('are made, taken apart, multiplied, conjugated and measured', () => {
    expect(flat(z.real())).toEqual([3, -1, 0]);
    expect(flat(z.imag())).toEqual([4, 0.5, 0]);
    expect(flat(complex(z.real(), z.imag()))).toEqual(flat(z));
    expect(complex(zeros([2, 1]), zeros([3])).shape).toEqual([2, 3, 2]);
    expect(flat(z.complexMul(scalars(0, 1)))).toEqual([-4, 3, -0.5, -1, 0, 0]);
    expect(flat(z.complexConj())).toEqual([3, -4, -1, -0.5, 0, -0]);
    expect(flat(z.complexAbs())).toEqual([5, Math.sqrt(1.25), 0]);
    expect(flat(scalars(3e300, 4e300).complexAbs())).toEqual([5e300]);
  });
  it('a signal transformed in short frames comes back', () => {
    const x = fromData(
      Float64Array.from({ length: 50 }, (_, i) => Math.sin(i * i)),
      [50],
    );
    for (const [nFft, hopLength] of [
      [8, 2],
      [9, 3],
      [16, undefined],
    ] as const) {
      const options = hopLength === undefined ? {} : { hopLength };
      expectAllClose(
        x
          .stft(nFft, options)
          .istft(nFft, { ...options, length: 50 })
          .narrow(0, 0, 48),
        x.narrow(0, 0, 48),
        close,
      );
    }
  });
});

describe('refuses', () => {
  const pairs = zeros([3, 4, 2]);
  const plain = zeros([3, 4]);
  const notPairs = 'a last axis of size 2';
  type Row = readonly [call: () => unknown, error: new (...args: never[]) => Error, says: string];
  const rows: Record<
    keyof typeof fourierMethods | 'fft' | 'rfft' | 'irfft' | 'complex' | 'fftfreq' | 'rfftfreq',
    readonly Row[]
  > = {
    fft: [
      [() => plain.fft(), ShapeError, notPairs],
      [() => pairs.fft(0), ValueError, 'needs a number of points ≥ 1, got 0'],
      [() => pairs.fft(4, 2), IndexError, 'axis 2 is out of range for rank 2'],
      [() => pairs.fft(4, 1, 'both' as 'ortho'), ValueError, "'both' is not a norm"],
    ],
    rfft: [
      [() => plain.rfft(1.5), ValueError, 'needs a number of points ≥ 1, got 1.5'],
      [() => plain.rfft(4, 2), IndexError, 'axis 2 is out of range'],
    ],
    irfft: [
      [() => plain.irfft(), ShapeError, notPairs],
      [() => pairs.irfft(0), ValueError, 'needs a number of points ≥ 1, got 0'],
      [() => zeros([1, 2]).irfft(), ValueError, 'needs a number of points ≥ 1, got 0'],
    ],
    ifft: [
      [() => plain.ifft(), ShapeError, 'ifft: needs complex numbers'],
      [() => pairs.ifft(-1), ValueError, 'ifft: needs a number of points'],
    ],
    fftn: [
      [() => pairs.fftn([2], [0, 1]), ValueError, '1 sizes for 2 axes'],
      [() => pairs.fftn(undefined, [0, -2]), ValueError, 'name one axis twice'],
      [() => pairs.fftn(undefined, []), ValueError, 'needs at least one axis'],
    ],
    ifftn: [[() => plain.ifftn(), ShapeError, notPairs]],
    fft2: [[() => zeros([3, 2]).fft2(), IndexError, 'axis -2 is out of range for rank 1']],
    ifft2: [[() => pairs.ifft2([2, 0]), ValueError, 'got 0']],
    rfftn: [[() => plain.rfftn([1, 2, 3]), IndexError, 'axis -3 is out of range']],
    irfftn: [[() => plain.irfftn(), ShapeError, notPairs]],
    rfft2: [[() => zeros([3]).rfft2(), IndexError, 'rfft2: axis -2 is out of range']],
    irfft2: [[() => zeros([3, 2]).irfft2(), IndexError, 'irfft2: axis -2 is out of range']],
    fftshift: [[() => plain.fftshift(2), IndexError, 'fftshift: axis 2']],
    ifftshift: [[() => plain.ifftshift(2), IndexError, 'ifftshift: axis 2']],
    real: [[() => plain.real(), ShapeError, 'real: needs complex numbers']],
    imag: [[() => plain.imag(), ShapeError, 'imag: needs complex numbers']],
    complexMul: [[() => pairs.complexMul(plain), ShapeError, 'complexMul: needs complex numbers']],
    complexAbs: [[() => plain.complexAbs(), ShapeError, 'complexAbs: needs complex numbers']],
    complexConj: [[() => plain.complexConj(), ShapeError, 'complexConj: needs complex numbers']],
    complex: [[() => complex(zeros([2]), zeros([3])), ShapeError, 'complex: shapes do not broadcast']],
    fftfreq: [
      [() => fftfreq(0), ValueError, 'fftfreq: needs a number of points'],
      [() => fftfreq(2, 0), ValueError, 'fftfreq: needs a spacing other than 0'],
    ],
    rfftfreq: [[() => rfftfreq(1.5), ValueError, 'rfftfreq: needs a number of points']],
    stft: [
      [() => plain.stft(0), ValueError, 'needs nFft ≥ 1'],
      [() => plain.stft(4, { hopLength: 0 }), ValueError, 'needs hopLength ≥ 1'],
      [() => plain.stft(4, { window: zeros([5]) }), ShapeError, 'the window needs shape [1 … 4]'],
      [() => plain.stft(8), ValueError, 'a mirror image of 4 elements needs more than 4'],
      [() => plain.stft(8, { center: false }), ValueError, 'a frame of 8 does not fit into 4'],
      [() => plain.stft(4, { padMode: 'wrap' as 'reflect' }), ValueError, "padMode 'wrap' is not known"],
      [() => zeros([]).stft(4), ShapeError, 'needs an axis of time'],
    ],
    istft: [
      [() => plain.istft(4), ShapeError, notPairs],
      [() => pairs.istft(8), ShapeError, 'needs [..., 5, frames, 2] for nFft 8'],
      [() => pairs.istft(4, { length: 0 }), ValueError, 'needs a length ≥ 1'],
      [() => pairs.istft(4, { window: zeros([4]) }), ValueError, 'the windows leave out some elements'],
    ],
  };
  it.each(Object.entries(rows))('%s', (name, list) => {
    for (const [call, error, says] of list) {
      expect(call).toThrow(error);
      expect(call).toThrow(says);
      expect(call).toThrow(new RegExp(`^${name}: `));
    }
  });
  it('has a row for every method', () =>
    expect(Object.keys(rows)).toEqual(expect.arrayContaining(Object.keys(fourierMethods))));
});
