/** Making tensors: from data, from a rule, filled. */
import type { Backend } from './backends/backend.ts';
import { currentBackend } from './backends/registry.ts';
import {
  allocateArray,
  bytesPerElement,
  dtypeOfArray,
  dtypes,
  encodeElements,
  isDType,
  isHalf,
  type DType,
  type TypedArray,
} from './dtype.ts';
import { describeValue, DTypeError, ShapeError, ValueError } from './errors.ts';
import { newStorage, pin } from './memory/scope.ts';
import type { Storage } from './memory/storage.ts';
import type { NestedArray } from './read.ts';
import { checkShape, contiguousLayout, sizeOf, type Shape } from './shape.ts';
import { Tensor } from './tensor.ts';
import type { Known, LiteralShape } from './types/shapes.ts';

export interface CreationOptions {
  /** f32 unless told; for data, what the data calls for (see `tensor`). */
  readonly dtype?: DType;
  /** The current backend unless told. */
  readonly backend?: Backend;
}

function checkDType(op: string, dtype: DType): DType {
  if (!isDType(dtype))
    throw new DTypeError(op, `'${String(dtype)}' is not a dtype`, { hint: `one of ${dtypes.join(', ')}` });
  return dtype;
}

const bounds = { i32: [-(2 ** 31), 2 ** 31 - 1], u8: [0, 255] } as const;

/**
 * Numbers as a dtype stores them; fractions are cut off for integers.
 * @throws ValueError for numbers that an integer dtype does not hold
 */
function encode(op: string, dtype: DType, values: ArrayLike<number>): TypedArray {
  if (dtype === 'i32' || dtype === 'u8') {
    const [low, high] = bounds[dtype];
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (!(value > low - 1 && value < high + 1))
        throw new ValueError(op, `${dtype} does not hold ${value}`, {
          hint: `it holds ${low} … ${high}; cast() of a tensor of floats saturates or wraps`,
        });
    }
  }
  return encodeElements(dtype, values);
}

function fromArray<S extends Shape>(
  dtype: DType,
  data: TypedArray,
  shape: Shape,
  backend: Backend,
): Tensor<S> {
  const buffer = backend.upload(dtype, data);
  return new Tensor(
    newStorage(backend, buffer, data.length * bytesPerElement(dtype), 'the data given to it'),
    contiguousLayout([...shape]),
    dtype,
  );
}

/**
 * Row-major `data` under a shape. The data is copied. A Uint8Array reads as u8 unless `dtype` says bool; a Uint16Array
 * holds the words of f16 or bf16, as `dtype` must say.
 * @throws DTypeError for words without a dtype of 16 bits
 */
export function fromData<S extends Shape>(
  data: TypedArray,
  shape: S,
  { dtype = dtypeOfArray(data), backend = currentBackend() }: CreationOptions = {},
): Tensor<Known<S>> {
  checkDType('fromData', dtype);
  checkShape('fromData', shape);
  if (sizeOf(shape) !== data.length)
    throw new ShapeError('fromData', `${data.length} elements do not fill the shape [${shape.join(', ')}]`);
  const stored =
    data instanceof Uint16Array && isHalf(dtype)
      ? data
      : dtypeOfArray(data) === dtype
        ? data
        : encode('fromData', dtype, data);
  return fromArray(dtype, stored, shape, backend);
}

/**
 * A tensor of nested arrays, a typed array or a number. Numbers become f32, booleans bool, typed arrays keep their
 * kind, unless `dtype` says otherwise.
 * @throws ShapeError where the nesting is ragged.
 */
export function tensor<T extends NestedArray | TypedArray>(
  values: T,
  options: CreationOptions = {},
): Tensor<LiteralShape<T>> {
  if (ArrayBuffer.isView(values))
    return fromData(values as TypedArray, [values.length] as Shape as LiteralShape<T>, options) as Tensor<
      LiteralShape<T>
    >;
  const nested = values as NestedArray;
  const shape: number[] = [];
  for (let level = nested; Array.isArray(level); level = level[0] as NestedArray) {
    shape.push(level.length);
    if (level.length === 0) break;
  }
  const flat: number[] = [];
  let truth = true;
  const walk = (value: NestedArray, axis: number): void => {
    if (axis < shape.length) {
      if (!Array.isArray(value) || value.length !== shape[axis])
        throw new ShapeError(
          'tensor',
          `ragged nesting: expected ${shape[axis]} values at depth ${axis}, got ${Array.isArray(value) ? value.length : 'a scalar'}`,
        );
      for (const inner of value as readonly NestedArray[]) walk(inner, axis + 1);
    } else if (typeof value === 'number' || typeof value === 'boolean') {
      flat.push(Number(value));
      truth &&= typeof value === 'boolean';
    } else
      throw new ShapeError(
        'tensor',
        `ragged nesting: expected a number at depth ${axis}, got ${describeValue(value)}`,
        (value as unknown) instanceof Tensor ? { hint: 'stack() joins tensors, clone() copies one' } : {},
      );
  };
  walk(nested, 0);
  const dtype = checkDType('tensor', options.dtype ?? (truth && flat.length > 0 ? 'bool' : 'f32'));
  return fromArray(dtype, encode('tensor', dtype, flat), shape, options.backend ?? currentBackend());
}

const scalarCache = new WeakMap<Backend, Map<string, Storage>>();
const scalarCacheLimit = 256;

/**
 * A tensor of rank 0. Those in frequent use share their storage.
 * @param op what errors name
 * @throws ValueError for a number that an integer dtype does not hold
 */
export function scalar(
  value: number | boolean,
  dtype: DType,
  backend: Backend = currentBackend(),
  op = 'scalar',
): Tensor {
  let cache = scalarCache.get(backend);
  if (!cache) scalarCache.set(backend, (cache = new Map()));
  const number = Number(value);
  const key = `${dtype}${Object.is(number, -0) ? '-0' : number}`;
  let storage = cache.get(key);
  if (!storage) {
    storage = pin(fromArray(dtype, encode(op, dtype, [number]), [], backend)).storage;
    storage.exported = true;
    if (cache.size >= scalarCacheLimit) cache.delete(cache.keys().next().value!);
    cache.set(key, storage);
  }
  return new Tensor(storage, contiguousLayout([]), dtype);
}

/** Every element the same; takes the memory of one element until something writes it out. */
export function full<S extends Shape>(
  shape: S,
  value: number | boolean,
  options: CreationOptions = {},
): Tensor<Known<S>> {
  return filled('full', shape, value, options);
}

function filled<S extends Shape>(
  op: string,
  shape: S,
  value: number | boolean,
  { dtype = typeof value === 'boolean' ? 'bool' : 'f32', backend }: CreationOptions,
): Tensor<Known<S>> {
  checkShape(op, shape);
  if (typeof value !== 'number' && typeof value !== 'boolean')
    throw new ValueError(op, `needs a number or a truth value, not ${describeValue(value)}`);
  const one = scalar(value, checkDType(op, dtype), backend, op);
  return new Tensor(
    one.storage,
    { shape: [...shape], strides: new Array<number>(shape.length).fill(0), offset: 0 },
    dtype,
  );
}

/** All zeros. */
export function zeros<S extends Shape>(shape: S, options: CreationOptions = {}): Tensor<Known<S>> {
  return filled('zeros', shape, 0, options);
}

/** All ones. */
export function ones<S extends Shape>(shape: S, options: CreationOptions = {}): Tensor<Known<S>> {
  return filled('ones', shape, 1, options);
}

/** Zeros of another tensor's shape, dtype and backend. */
export function zerosLike<S extends Shape>(x: Tensor<S>): Tensor<S> {
  return fullLike(x, 0);
}

/** Ones of another tensor's shape, dtype and backend. */
export function onesLike<S extends Shape>(x: Tensor<S>): Tensor<S> {
  return fullLike(x, 1);
}

/** One value in another tensor's shape, dtype and backend. */
export function fullLike<S extends Shape>(x: Tensor<S>, value: number): Tensor<S> {
  const one = scalar(value, x.dtype, x.backend, 'fullLike');
  return new Tensor(
    one.storage,
    { shape: x.shape, strides: new Array<number>(x.rank).fill(0), offset: 0 },
    x.dtype,
  );
}

/**
 * 0, 1, … or start, start + step, … up to but not including `stop`; i32 where all three are integers that it holds, else f32.
 * Options come last, after however many numbers there are.
 * @throws ValueError for numbers that are not finite, or a step of 0
 */
export function arange(stop: number, options?: CreationOptions): Tensor;
export function arange(
  start: number,
  stop: number | undefined,
  step?: number | CreationOptions,
  options?: CreationOptions,
): Tensor;
export function arange(...given: readonly (number | CreationOptions | undefined)[]): Tensor {
  const [numbers, options] = optionsLast(given);
  const [first = NaN, second, step = 1] = numbers;
  const [from, to] = second === undefined ? [0, first] : [first, second];
  if (step === 0 || ![from, to, step].every(Number.isFinite))
    throw new ValueError(
      'arange',
      `needs finite bounds and a step other than 0, got ${from}, ${to}, ${step}`,
    );
  const dtype = checkDType(
    'arange',
    options.dtype ??
      ([from, to, step].every((n) => Number.isInteger(n) && Math.abs(n) < 2 ** 31) ? 'i32' : 'f32'),
  );
  const values = new Float64Array(Math.max(0, Math.ceil((to - from) / step)));
  for (let i = 0; i < values.length; i++) values[i] = from + i * step;
  return fromArray(
    dtype,
    encode('arange', dtype, values),
    [values.length],
    options.backend ?? currentBackend(),
  );
}

/** Numbers, and after them the options, if there are any. */
function optionsLast(
  given: readonly (number | CreationOptions | undefined)[],
): [(number | undefined)[], CreationOptions] {
  const last = given.at(-1);
  const has = typeof last === 'object' && last !== null;
  return [(has ? given.slice(0, -1) : given) as (number | undefined)[], has ? last : {}];
}

/** `count` evenly spaced values from `start` to `stop`, both included. */
export function linspace(
  start: number,
  stop: number,
  count: number,
  { dtype = 'f32', backend = currentBackend() }: CreationOptions = {},
): Tensor {
  if (!Number.isInteger(count) || count < 1)
    throw new ValueError('linspace', `needs a count ≥ 1, got ${count}`);
  checkDType('linspace', dtype);
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = start + ((stop - start) * i) / Math.max(1, count - 1);
  // Rounding must not miss the end.
  if (count > 1) values[count - 1] = stop;
  return fromArray(dtype, encode('linspace', dtype, values), [count], backend);
}

/** The identity matrix [n, m] (m = n unless told). Options come last. */
export function eye(n: number, options?: CreationOptions): Tensor;
export function eye(n: number, m: number | undefined, options?: CreationOptions): Tensor;
export function eye(...given: readonly (number | CreationOptions | undefined)[]): Tensor {
  const [[n = NaN, m = n], { dtype = 'f32', backend = currentBackend() }] = optionsLast(given);
  checkShape('eye', [n, m]);
  const data = allocateArray(checkDType('eye', dtype), n * m);
  const one = encodeElements(dtype, [1])[0]!;
  for (let i = 0; i < Math.min(n, m); i++) data[i * m + i] = one;
  return fromArray(dtype, data, [n, m], backend);
}
