/** What the tests of files share. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dtypes, isHalf, Key, type DType, type Tensor } from '@infinigrad/tensor';
import * as fc from 'fast-check';

export const sample = fc.record({
  dtype: fc.constantFrom(...dtypes),
  shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
  seed: fc.nat(1000),
});

export interface Sample {
  readonly dtype: DType;
  readonly shape: number[];
  readonly seed: number;
}

export const make = ({ dtype, shape, seed }: Sample): Tensor =>
  new Key(seed).normal(shape, { std: 50, dtype: 'f64' }).abs().cast(dtype);

/** A file with this header and this many bytes of data. */
export function safetensorsFile(header: unknown, data = 0): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const out = new Uint8Array(8 + text.length + data);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  return out;
}

/** dtype, shape and stored bits: what must come back. */
export function bitsOf(x: Tensor): unknown[] {
  const data = isHalf(x.dtype) ? x.wordsSync() : x.dataSync();
  return [x.dtype, x.shape, [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]];
}

interface Held {
  readonly shape: number[];
  readonly values: readonly (number | boolean | string)[];
}

/** Written by scripts/fixtures/files.py. */
export const fixtures = JSON.parse(
  readFileSync(new URL('../fixtures/files.json', import.meta.url), 'utf8'),
) as {
  readonly npy: readonly (Held & { name: string; bytes: string; code: string; ours?: true })[];
  readonly npz: readonly { name: string; bytes: string; tensors: Record<string, Held> }[];
  readonly safetensors: { bytes: string; tensors: Record<string, Held> };
};

/** Numbers as the Python side prints them. */
export function numbers(values: readonly (number | boolean | string)[]): number[] {
  const named: Readonly<Record<string, number>> = { inf: Infinity, '-inf': -Infinity, nan: NaN };
  return values.map((v) => (typeof v === 'string' ? (named[v] ?? Number(v)) : Number(v)));
}

/** What a type code of NumPy's is here. */
export const dtypeOfCode: Readonly<Record<string, DType>> = {
  f8: 'f64',
  f4: 'f32',
  f2: 'f16',
  u1: 'u8',
  b1: 'bool',
  i4: 'i32',
  i1: 'i32',
  i2: 'i32',
  i8: 'i32',
  u2: 'i32',
  u4: 'i32',
  u8: 'i32',
};

export const fromBase64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));

export const python = process.env['INFINIGRAD_PYTHON'];

/** Says why, where there is no Python with numpy and safetensors. */
export function explainSkip(what: string): void {
  if (!python) console.log(`${what}: skipped (INFINIGRAD_PYTHON names no Python with numpy and safetensors)`);
}

/** Runs Python in a folder; what it prints is JSON. */
export function runPython(code: string, cwd: string): unknown {
  return JSON.parse(execFileSync(python!, ['-c', code], { cwd, encoding: 'utf8' }) || 'null');
}
