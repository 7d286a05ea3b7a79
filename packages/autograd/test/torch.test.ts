/** Every op against PyTorch: values, first and second gradients (scripts/fixtures/ops.py). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { vjp } from '@infinigrad/autograd';
import {
  apply,
  fromData,
  isFloat,
  opNames,
  recordOf,
  sizeOf,
  withBackend,
  type Attrs,
  type DType,
  type OpName,
  type Shape,
  type Tensor,
} from '@infinigrad/tensor';
import { expectAllClose, ulpDistance } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';

interface Case {
  readonly inputs: readonly {
    readonly shape: Shape;
    readonly dtype: DType;
    readonly values: readonly number[];
  }[];
  readonly attrs: Attrs;
  readonly output: string;
  readonly cotangent?: string;
  readonly first?: readonly string[];
  readonly weights?: readonly string[];
  readonly second?: readonly string[];
}
interface Fixture {
  readonly torch: string;
  readonly cases: Readonly<Record<string, readonly Case[]>>;
  readonly absent: Readonly<Record<string, string>>;
  readonly lacks: Readonly<Record<string, string>>;
  /** How far PyTorch's numbers are from the true ones where that is more than 1e-10, and why. */
  readonly rough: Readonly<Record<string, readonly [number, string]>>;
}

/** Infinite attributes are written as strings. */
const spelled = (_: string, value: unknown): unknown =>
  value === 'Infinity' || value === '-Infinity' ? Number(value) : value;
const { cases, absent, lacks, rough } = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures/ops.json'), 'utf8'),
  spelled,
) as Fixture;
const ops = opNames.filter((op) => (cases[op]?.length ?? 0) > 0);

/** Little-endian f64 in base64. */
function numbers(text: string): Float64Array {
  const bytes = Buffer.from(text, 'base64');
  return Float64Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(8 * i));
}
const like = (text: string, shape: Shape): Tensor => fromData(numbers(text), shape);

/** Within a tolerance relative to each, and to the largest. */
function agree(actual: Tensor, expected: string, tolerance: number): void {
  const wanted = [...numbers(expected)];
  const largest = Math.max(0, ...wanted.map(Math.abs).filter(Number.isFinite));
  expectAllClose(actual, wanted, { rtol: tolerance, atol: tolerance * Math.max(1, largest) });
}

const inputsIn = ({ inputs }: Case, float: 'f32' | 'f64'): Tensor[] =>
  inputs.map(({ shape, dtype, values }) =>
    fromData(Float64Array.from(values), shape).cast(isFloat(dtype) ? float : dtype),
  );

/** Values and both gradients in f64. */
function holds(op: OpName, example: Case): void {
  const inputs = inputsIn(example, 'f64');
  const [tolerance] = rough[op] ?? [1e-10];
  const f = (...x: Tensor[]): Tensor => apply(op, x, example.attrs);
  agree(f(...inputs), example.output, tolerance);
  const { cotangent, first, weights, second } = example;
  if (!cotangent || !first) return;
  const floats = inputs.flatMap((x, i) => (isFloat(x.dtype) ? [i] : []));
  const u = like(cotangent, f(...inputs).shape);
  const { pullback } = vjp(f, ...inputs);
  const gradients = pullback(u);
  floats.forEach((i, k) => agree(gradients[i]!, first[k]!, tolerance));
  if (!weights || !second) return;
  const pulled = (g: Tensor, ...x: Tensor[]): Tensor => {
    const parts = vjp(f, ...x).pullback(g, { createGraph: true });
    return floats
      .map((i, k) => parts[i]!.mul(like(weights[k]!, parts[i]!.shape)).sum())
      .reduce((a, b) => a.add(b));
  };
  const { value, pullback: again } = vjp(pulled, u, ...inputs);
  const found = again(value.mul(0).add(1));
  [0, ...floats.map((i) => i + 1)].forEach((i, k) => agree(found[i]!, second[k]!, tolerance));
}

it('every op is held against PyTorch, declared absent with a reason, or has results known from elsewhere', () => {
  const known = (op: OpName): boolean =>
    ops.includes(op) || op in absent || recordOf(op).examples !== undefined;
  expect(opNames.filter((op) => !known(op))).toEqual([]);
  expect(Object.keys(absent).filter((op) => ops.includes(op as OpName))).toEqual([]);
  expect(
    Object.keys({ ...cases, ...absent, ...lacks, ...rough }).filter((op) => !opNames.includes(op as OpName)),
  ).toEqual([]);
});

it('the cases are not trivial: gradients to second order for most ops that have them', () => {
  const counted = (has: (c: Case) => unknown): number => ops.filter((op) => cases[op]!.some(has)).length;
  expect(counted(({ first }) => first)).toBeGreaterThan(110);
  expect(counted(({ second }) => second)).toBeGreaterThan(90);
});

describe.each(['js', 'wasm'])('in f64 on %s', (backend) => {
  it.each(ops)('%s', (op) => withBackend(backend, () => cases[op]!.forEach((example) => holds(op, example))));
});

describe('in f32 on wasm', () => {
  it.each(ops)('%s', (op) =>
    withBackend('wasm', () => {
      for (const example of cases[op]!) {
        const actual = apply(op, inputsIn(example, 'f32'), example.attrs);
        const expected = numbers(example.output);
        expect(expected.length).toBe(sizeOf(actual.shape));
        // Rows that cancel are as exact as the largest of them.
        if (recordOf(op).kind !== 'elementwise') agree(actual.cast('f64'), example.output, 1e-5);
        else
          actual
            .dataSync()
            .forEach((v, i) =>
              expect(ulpDistance(v, expected[i]!), `${v} for ${expected[i]}`).toBeLessThanOrEqual(4),
            );
      }
    }),
  );
});
