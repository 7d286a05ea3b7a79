/** The exponential of a matrix: a Padé approximant of degree 13, of the matrix halved until it is small, squared back. */
import type { KernelCall } from '../../../backend.ts';
import { eliminateByRows } from './lu.ts';
import { eachMatrix, identity, multiply, zeroMatrix, type Matrix } from './matrices.ts';
import { solveTriangle } from './triangular.ts';

const degree = 13;
/** Up to this sum of absolute values of a column the approximant is exact to rounding in f64 (Higham 2005, Table 2.3). */
const reach = 5.371920351148152;

/** Those of the numerator of the diagonal approximant; the denominator has them with alternating signs. */
const coefficients = Array.from({ length: degree + 1 }, () => 1);
for (let k = 0; k < degree; k++)
  coefficients[k + 1] = (coefficients[k]! * (degree - k)) / ((2 * degree - k) * (k + 1));

function columnSum({ rows, columns, data }: Matrix): number {
  const sums = new Float64Array(columns);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) sums[j]! += Math.abs(data[i * columns + j]!);
  return sums.reduce((a, b) => Math.max(a, b), 0);
}

/** Σ factors[k] · matrices[k] */
function combine(factors: readonly number[], matrices: readonly Matrix[]): Matrix {
  const out = zeroMatrix(matrices[0]!.rows, matrices[0]!.columns);
  matrices.forEach(({ data }, k) => {
    for (let i = 0; i < data.length; i++) out.data[i]! += factors[k]! * data[i]!;
  });
  return out;
}

export function exponential(a: Matrix): Matrix {
  const n = a.rows;
  const size = columnSum(a);
  if (!Number.isFinite(size)) return combine([NaN], [a]);
  const halvings = size > reach ? Math.ceil(Math.log2(size / reach)) : 0;
  const x = combine([2 ** -halvings], [a]);
  const x2 = multiply(x, x);
  const x4 = multiply(x2, x2);
  const x6 = multiply(x4, x2);
  const powers = [identity(n), x2, x4, x6];
  const c = coefficients;
  // The odd terms and the even ones, those of degree above 7 with x⁶ in front.
  const half = (odd: 0 | 1): Matrix => {
    const high = multiply(x6, combine([c[8 + odd]!, c[10 + odd]!, c[12 + odd]!], powers.slice(1)));
    const low = [c[odd]!, c[2 + odd]!, c[4 + odd]!, c[6 + odd]!];
    return combine([1, ...low], [high, ...powers]);
  };
  const odd = multiply(x, half(1));
  const even = half(0);
  let result = quotient(combine([1, -1], [even, odd]), combine([1, 1], [even, odd]));
  for (let i = 0; i < halvings; i++) result = multiply(result, result);
  return result;
}

/** A⁻¹ B */
function quotient(a: Matrix, b: Matrix): Matrix {
  const { order } = eliminateByRows(a);
  const x = zeroMatrix(b.rows, b.columns);
  order.forEach((from, to) =>
    x.data.set(b.data.subarray(from * b.columns, (from + 1) * b.columns), to * b.columns),
  );
  solveTriangle(a, x, { upper: false, transpose: false, unitDiagonal: true });
  solveTriangle(a, x, { upper: true, transpose: false, unitDiagonal: false });
  return x;
}

export function matrixExp(call: KernelCall): void {
  eachMatrix(call, 2, (place) => exponential(place.input(0)).data);
}
