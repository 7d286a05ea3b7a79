/** Matrices of a kind, batched: full of entries that look like any other's, yet well conditioned. */
import fc from 'fast-check';
import { isFloat, roundTo, type DType } from '../dtype.ts';
import { orientationWeight } from '../ops/linalg/orientation.ts';
import type { MatrixKind } from '../ops/record.ts';
import { sizeOf, type Shape } from '../shape.ts';
import { arbitrariesOf, type Generator } from './draw.ts';

type Rows = number[][];

const perUnit = 1000;
/** Singular values are at least this, and so far apart. */
const [lowest, spacing] = [0.75, 0.35];
/** The vectors whose sign is chosen by the fixed vector stay at least so far from perpendicular to it. */
const margin = 0.2;

const parts = arbitrariesOf((length) =>
  fc.array(fc.integer({ min: -perUnit, max: perUnit }), { minLength: length, maxLength: length }),
);
const flags = arbitrariesOf((length) => fc.array(fc.boolean(), { minLength: length, maxLength: length }));
const places = arbitrariesOf((count, length) =>
  fc.shuffledSubarray(
    Array.from({ length: count }, (_, i) => i),
    { minLength: length, maxLength: length },
  ),
);

/** I - 2 u uᵀ/|u|² */
function mirror(u: readonly number[]): Rows {
  const square = u.reduce((sum, x) => sum + x * x, 0);
  return u.map((x, i) => u.map((y, j) => Number(i === j) - (2 * x * y) / square));
}

const product = (a: Rows, b: Rows): Rows =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));

/** A rotation: two mirrors, of which the second is turned towards the first until the columns keep their margin. */
function rotation(g: Generator, n: number): Rows {
  const draw = (): number[] => g(parts(n)).map((x, i) => x / perUnit + (i === 0 ? 1 : 0));
  const [u, other] = [draw(), draw()];
  for (const w of [u, other]) if (!w.some((x) => x !== 0)) w[0] = 1;
  const clear = (q: Rows): boolean =>
    q.every((_, j) => Math.abs(q.reduce((sum, row, i) => sum + row[j]! * orientationWeight(i), 0)) >= margin);
  for (let far = 1; far > 1 / 64; far /= 2) {
    const q = product(mirror(u), mirror(u.map((x, i) => x + far * (other[i]! - x))));
    if (clear(q)) return q;
  }
  return product(mirror(u), mirror(u));
}

function drawMatrix(g: Generator, kind: MatrixKind, m: number, n: number): Rows {
  const k = Math.min(m, n);
  const signs = g(flags(k)).map((minus) => (minus && kind !== 'positive-definite' ? -1 : 1));
  if (kind === 'dominant') {
    const noise = g(parts(m * n)).map((x) => x / perUnit);
    return Array.from({ length: m }, (_, i) =>
      Array.from({ length: n }, (_, j) => noise[i * n + j]! + (i === j ? signs[i]! * (n + 1) : 0)),
    );
  }
  const sizes = g(places(Math.max(8, k), k)).map((slot, i) => signs[i]! * (lowest + spacing * slot));
  const left = rotation(g, m);
  const right = kind === 'full-rank' ? rotation(g, n) : left;
  return left.map((row) =>
    right.map((column) => sizes.reduce((sum, size, i) => sum + row[i]! * size * column[i]!, 0)),
  );
}

/** The values of `shape`, matrices in its last two axes. In integers: the diagonal 1, 2, 3 …; in bool: the identity. */
export function drawMatrices(g: Generator, kind: MatrixKind, dtype: DType, shape: Shape): number[] {
  const [m, n] = shape.slice(-2) as [number, number];
  return Array.from({ length: sizeOf(shape.slice(0, -2)) }, () => {
    if (isFloat(dtype)) return drawMatrix(g, kind, m, n).flat();
    return Array.from({ length: m * n }, (_, at) => {
      const [i, j] = [Math.floor(at / n), at % n];
      return i === j ? (dtype === 'bool' ? 1 : i + 1) : 0;
    });
  })
    .flat()
    .map((x) => roundTo(dtype, x));
}
