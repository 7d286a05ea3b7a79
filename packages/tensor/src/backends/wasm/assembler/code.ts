/** Values, actions and their encoding: the alphabet of the assembler. */

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

/** A function that can be called; its number is known when the module is put together. */
export interface Callee {
  readonly params: readonly ValueType[];
  readonly result: ValueType | null;
  index: number;
}

/** Bytes; a callee stands for its number, and a piece of code for its bytes, so that pieces are put together without copying. */
export type Code = readonly (number | Callee | Code)[];

/** Appends the bytes of a piece of code, with the numbers of its callees in place. */
export function appendCode(bytes: number[], code: Code): void {
  for (const item of code)
    if (typeof item === 'number') bytes.push(item);
    else if (Array.isArray(item)) appendCode(bytes, item as Code);
    else appendBytes(bytes, unsigned((item as Callee).index));
}

/** Appends bytes to bytes. */
export function appendBytes(bytes: number[], more: readonly number[]): void {
  for (let i = 0; i < more.length; i++) bytes.push(more[i]!);
}

/** Code that leaves one value on the stack. Using it twice computes it twice: `FunctionBuilder.let` keeps it. */
export interface Value<T extends ValueType = ValueType> {
  readonly type: T;
  readonly code: Code;
}

/** Code that leaves nothing on the stack. */
export interface Action {
  readonly code: Code;
}

/** A value that can be set. */
export interface Local<T extends ValueType = ValueType> extends Value<T> {
  readonly index: number;
}

export const typeBytes: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

/** Unsigned LEB128. */
export function unsigned(value: number): number[] {
  const out: number[] = [];
  let rest = value >>> 0;
  do {
    const low = rest & 127;
    rest >>>= 7;
    out.push(rest ? low | 128 : low);
  } while (rest);
  return out;
}

/** Signed LEB128. */
export function signed(value: number): number[] {
  const out: number[] = [];
  let rest = value | 0;
  for (;;) {
    const low = rest & 127;
    rest >>= 7;
    if ((rest === 0 && !(low & 64)) || (rest === -1 && low & 64)) return [...out, low];
    out.push(low | 128);
  }
}

export function bytesOf(array: Float32Array | Float64Array | Int32Array | BigInt64Array): number[] {
  return [...new Uint8Array(array.buffer)];
}
