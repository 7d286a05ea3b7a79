/** NumPy's .npy format: a magic number, a version, a header that is a Python literal, the elements. */
import { fromData } from '../creation.ts';
import type { DType } from '../dtype.ts';
import { DTypeError, FormatError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import {
  checkedSize,
  conversionOf,
  decodeStored,
  littleEndianBytesSync,
  widthOf,
  type StoredKind,
} from './elements.ts';
import { shorten } from './json.ts';

const kinds: Readonly<Record<string, StoredKind>> = {
  b1: 'bool',
  u1: 'u8',
  u2: 'u16',
  u4: 'u32',
  u8: 'u64',
  i1: 'i8',
  i2: 'i16',
  i4: 'i32',
  i8: 'i64',
  f2: 'f16',
  f4: 'f32',
  f8: 'f64',
};
const descriptions: Readonly<Record<DType, string | null>> = {
  bool: '|b1',
  u8: '|u1',
  i32: '<i4',
  f16: '<f2',
  bf16: null,
  f32: '<f4',
  f64: '<f8',
};

export interface NpyOptions {
  /** f16 becomes f32. Default false. */
  readonly widen?: boolean;
  /** Longest header that is read, in bytes. Default 10,000, as in NumPy. */
  readonly maxHeaderBytes?: number;
  /** Most axes. Default 64. */
  readonly maxRank?: number;
}

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

const fail = (problem: string, hint?: string): never => {
  throw new FormatError('readNpy', problem, hint === undefined ? {} : { hint });
};

/**
 * The array in the bytes of a .npy file, of version 1.0, 2.0 or 3.0, of either byte order and either order of axes. Integers
 * of other widths (i1, i2, i8, u2, u4, u8) are read as i32 where every value fits.
 * @throws FormatError where the file is not well-formed, holds a dtype that has no counterpart here, or an integer that
 * does not fit into i32
 */
export function readNpy(bytes: Uint8Array, options: NpyOptions = {}): Tensor {
  const { kind, littleEndian, fortranOrder, shape, dataStart } = parseHeader(bytes, options);
  const count = checkedSize(shape) ?? fail(`the shape (${shape.join(', ')}) is too large`);
  const size = count * widthOf(kind);
  const available = bytes.length - dataStart;
  if (size !== available)
    fail(
      `the shape (${shape.join(', ')}) needs ${size} bytes of data, the file has ${available}`,
      size > available ? 'it is truncated' : 'it has bytes too many',
    );
  const conversion = conversionOf(kind, { littleEndian, widen: options.widen ?? false }, fail);
  const { dtype, data } = decodeStored(bytes.subarray(dataStart), count, conversion);
  if (!fortranOrder || shape.length < 2) return fromData(data, shape, { dtype });
  const axes = shape.map((_, i) => shape.length - 1 - i);
  return fromData(data, shape.toReversed(), { dtype }).permute(axes);
}

interface Header {
  readonly kind: StoredKind;
  readonly littleEndian: boolean;
  readonly fortranOrder: boolean;
  readonly shape: number[];
  readonly dataStart: number;
}

function parseHeader(bytes: Uint8Array, { maxHeaderBytes = 10_000, maxRank = 64 }: NpyOptions): Header {
  if (bytes.length < 10 || magic.some((byte, i) => bytes[i] !== byte))
    fail('this is not an .npy file', 'it must begin with \\x93NUMPY');
  const [major, minor] = [bytes[6]!, bytes[7]!];
  if (major < 1 || major > 3 || minor !== 0)
    fail(`version ${major}.${minor} is not known`, 'read here: 1.0, 2.0 and 3.0');
  const start = major === 1 ? 10 : 12;
  if (bytes.length < start) fail(`the file ends after ${bytes.length} bytes`, 'it is truncated');
  const view = new DataView(bytes.buffer, bytes.byteOffset, start);
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > maxHeaderBytes) fail(`the header claims ${length} bytes, more than ${maxHeaderBytes}`);
  const dataStart = start + length;
  if (dataStart > bytes.length)
    fail(`the header needs ${dataStart} bytes, the file has ${bytes.length}`, 'it is truncated');
  let text = '';
  for (const byte of bytes.subarray(start, dataStart)) text += String.fromCharCode(byte);
  const { descr, fortran_order: fortranOrder, shape, ...rest } = parseLiteral(text);
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) fail(`the header has an unknown key '${shorten(unknown)}'`);
  if (typeof fortranOrder !== 'boolean') return fail('the header has no valid fortran_order');
  if (!Array.isArray(shape)) return fail('the header has no valid shape');
  if (shape.length > maxRank) fail(`the shape has ${shape.length} axes, more than ${maxRank}`);
  return { ...parseDescription(descr), fortranOrder, shape, dataStart };
}

function parseDescription(descr: unknown): { kind: StoredKind; littleEndian: boolean } {
  if (typeof descr !== 'string') return fail('the header has no valid descr');
  const [, order, code] = /^([<>|])([a-z]\d+)$/.exec(descr) ?? [];
  const kind = code !== undefined && Object.hasOwn(kinds, code) ? kinds[code]! : null;
  if (kind === null || (order === '|' && widthOf(kind) > 1))
    return fail(
      `the dtype '${shorten(descr)}' is not read here`,
      descr.endsWith('O')
        ? 'objects are pickled, and pickles can run any code: save numbers'
        : `read here: ${Object.keys(kinds).join(', ')}`,
    );
  return { kind, littleEndian: order !== '>' };
}

type Value = string | boolean | number[];

/** `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`: a Python literal of just that kind. */
function parseLiteral(text: string): Record<string, Value> {
  const tokens = text.match(/'[^'\\\n]*'|"[^"\\\n]*"|True|False|\d+|[{}():,]|[ \n]+|[^]/g) ?? [];
  const solid = tokens.filter((token) => !/^[ \n]/.test(token));
  let at = 0;
  const damaged = (): never =>
    fail(
      solid[at] === '['
        ? 'the dtype is of named fields, which no tensor has'
        : `the header is not what NumPy writes, at '${shorten(solid.slice(at, at + 3).join(''))}'`,
    );
  const take = (token: string): void => {
    if (solid[at] !== token) damaged();
    at++;
  };
  const string = (): string => {
    const token = solid[at] ?? '';
    if (token.length < 2 || (token[0] !== "'" && token[0] !== '"')) damaged();
    at++;
    return token.slice(1, -1);
  };
  const tuple = (): number[] => {
    const sizes: number[] = [];
    take('(');
    while (solid[at] !== ')') {
      const token = solid[at] ?? '';
      if (!/^(?:0|[1-9]\d*)$/.test(token)) damaged();
      sizes.push(Number(token));
      at++;
      // (3) is the number 3 to Python, (3,) is a tuple
      if (solid[at] !== ')' || sizes.length === 1) take(',');
    }
    take(')');
    return sizes;
  };
  const value = (): Value => {
    const token = solid[at];
    if (token === '(') return tuple();
    if (token !== 'True' && token !== 'False') return string();
    at++;
    return token === 'True';
  };
  const out = new Map<string, Value>();
  take('{');
  while (solid[at] !== '}') {
    const key = string();
    if (out.has(key)) fail(`the header has '${shorten(key)}' twice`);
    take(':');
    out.set(key, value());
    if (solid[at] !== '}') take(',');
  }
  take('}');
  if (at !== solid.length) damaged();
  return Object.fromEntries(out);
}

/** NumPy leaves room for the longest number in the place of the size that grows when rows are appended. */
const roomForRows = 21;

/**
 * The bytes of a .npy file with the tensor's elements, row-major, the same as NumPy's own.
 * @throws DTypeError for bf16, which the format does not have
 */
export function writeNpy(x: Tensor): Uint8Array<ArrayBuffer> {
  const descr = descriptions[x.dtype];
  if (descr === null)
    throw new DTypeError('writeNpy', 'NumPy has no dtype for bf16', {
      operands: [x],
      hint: "cast('f32') keeps every value; safetensors files hold bf16",
    });
  const shape = x.shape.length === 1 ? `(${x.shape[0]},)` : `(${x.shape.join(', ')})`;
  const literal = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  const room = x.shape.length > 0 ? roomForRows - String(x.shape[0]).length : 0;
  const text = literal + ' '.repeat(room);
  // With the newline, the data starts at a multiple of 64; a whole further line where it would anyway
  const dataStart = (Math.floor((10 + text.length + 1) / 64) + 1) * 64;
  if (dataStart - 10 > 0xffff) throw new FormatError('writeNpy', `a shape of ${x.rank} axes is too long`);
  const data = littleEndianBytesSync(x);
  const out = new Uint8Array(dataStart + data.length).fill(0x20, 0, dataStart);
  out.set([...magic, 1, 0]);
  new DataView(out.buffer).setUint16(8, dataStart - 10, true);
  for (let i = 0; i < text.length; i++) out[10 + i] = text.charCodeAt(i);
  out[dataStart - 1] = 0x0a;
  out.set(data, dataStart);
  return out;
}
