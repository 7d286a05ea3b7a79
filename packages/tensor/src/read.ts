/** Reading elements back from a backend, and printing them. */
import { decodeElements, isHalf, type TypedArray } from './dtype.ts';
import { DTypeError, ShapeError, ValueError } from './errors.ts';
import { execute } from './execute.ts';
import { formatElements, shownLayout } from './format.ts';
import { isContiguous, type Shape } from './shape.ts';
import { Tensor } from './tensor.ts';

/** Numbers (or booleans, for dtype bool) nested as deep as the rank. */
export type NestedArray = number | boolean | readonly NestedArray[];

/** The tensor itself where it is row-major, else a row-major copy; outside the sight of interceptors. */
function rowMajor(x: Tensor): Tensor {
  x.storage.check('data', [x]);
  const { unreadable } = x.storage;
  if (unreadable) throw new ValueError('data', unreadable.problem, { operands: [x], hint: unreadable.hint });
  if (isContiguous(x.layout)) return x;
  return execute({ op: 'clone', inputs: [x], plan: { shape: x.shape, dtype: x.dtype, attrs: {} } });
}

function checkSingle(x: Tensor): void {
  if (x.size !== 1)
    throw new ShapeError('item', `needs exactly one element, got ${x.size}`, {
      operands: [x],
      hint: 'data() reads them all',
    });
}

function nest(data: TypedArray, shape: Shape, truth: boolean): NestedArray {
  let at = 0;
  const walk = (axis: number): NestedArray => {
    if (axis === shape.length) {
      const value = data[at++]!;
      return truth ? value !== 0 : value;
    }
    return Array.from({ length: shape[axis]! }, () => walk(axis + 1));
  };
  return walk(0);
}

/** A copy of the elements in row-major order, as they are stored. */
function stored(x: Tensor): Promise<TypedArray> {
  const { storage, dtype, layout, size } = rowMajor(x);
  return storage.backend.download(storage.buffer, dtype, layout.offset, size);
}

function storedSync(x: Tensor): TypedArray {
  const { storage, dtype, layout, size } = rowMajor(x);
  return storage.backend.downloadSync(storage.buffer, dtype, layout.offset, size);
}

function checkHalf(x: Tensor): void {
  if (!isHalf(x.dtype))
    throw new DTypeError('words', 'only f16 and bf16 are stored as 16-bit words', {
      operands: [x],
      hint: 'data() reads the elements',
    });
}

export const reading = {
  /** A copy of the elements in row-major order; bool reads as 0 and 1, f16 and bf16 as a Float32Array of their values. */
  data: async (x: Tensor): Promise<TypedArray> => decodeElements(x.dtype, await stored(x)),
  /** As `data`, at once. Throws a BackendError where the elements are not in this process's memory. */
  dataSync: (x: Tensor): TypedArray => decodeElements(x.dtype, storedSync(x)),
  /**
   * A copy of the 16-bit words of an f16 or bf16 tensor in row-major order, as files hold them; `fromData(words, shape,
   * { dtype })` is the way back. Throws a DTypeError for other dtypes.
   */
  words: async (x: Tensor): Promise<Uint16Array> => {
    checkHalf(x);
    return (await stored(x)) as Uint16Array;
  },
  /** As `words`, at once. */
  wordsSync: (x: Tensor): Uint16Array => {
    checkHalf(x);
    return storedSync(x) as Uint16Array;
  },
  /** The only element. Throws a ShapeError unless there is exactly one. */
  item: async (x: Tensor): Promise<number> => {
    checkSingle(x);
    return (await reading.data(x))[0]!;
  },
  /** As `item`, at once. */
  itemSync: (x: Tensor): number => {
    checkSingle(x);
    return reading.dataSync(x)[0]!;
  },
  /** The elements as nested arrays; booleans for dtype bool. */
  toArray: async (x: Tensor): Promise<NestedArray> =>
    nest(await reading.data(x), x.shape, x.dtype === 'bool'),
  /** As `toArray`, at once. */
  toArraySync: (x: Tensor): NestedArray => nest(reading.dataSync(x), x.shape, x.dtype === 'bool'),
  /** Shape, dtype and elements as text, shortened in the middle where there are many. */
  format: (x: Tensor): string =>
    x.storage.unreadable
      ? `Tensor ${x.dtype} [${x.shape.join(', ')}] (${x.storage.unreadable.problem})`
      : formatElements(
          x.shape,
          x.dtype,
          x.backend.synchronous
            ? reading.dataSync(new Tensor(x.storage, shownLayout(x.layout), x.dtype))
            : null,
        ),
};

export type Reading = typeof reading;
