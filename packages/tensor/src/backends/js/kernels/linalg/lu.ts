/** Elimination with pivots: factors, solutions, determinants and cofactors. */
import { ValueError } from '../../../../errors.ts';
import type { KernelCall } from '../../../backend.ts';
import { addRow, eachMatrix, identity, zeroMatrix, type Matrix, type Place } from './matrices.ts';
import { solveTriangle, zeroOnDiagonal } from './triangular.ts';

function swapRows({ columns, data }: Matrix, i: number, j: number): void {
  if (i === j) return;
  for (let k = 0; k < columns; k++) {
    const kept = data[i * columns + k]!;
    data[i * columns + k] = data[j * columns + k]!;
    data[j * columns + k] = kept;
  }
}

function swapColumns({ rows, columns, data }: Matrix, i: number, j: number): void {
  if (i === j) return;
  for (let k = 0; k < rows * columns; k += columns) {
    const kept = data[k + i]!;
    data[k + i] = data[k + j]!;
    data[k + j] = kept;
  }
}

function swap(order: Int32Array, i: number, j: number): number {
  if (i === j) return 1;
  [order[i], order[j]] = [order[j]!, order[i]!];
  return -1;
}

const counted = (n: number): Int32Array => Int32Array.from({ length: n }, (_, i) => i);

/** Takes pivot k out of all rows below it, leaving the multipliers in its column. */
function eliminate({ rows, columns, data }: Matrix, k: number): void {
  const pivot = data[k * columns + k]!;
  for (let i = k + 1; i < rows; i++) {
    const at = i * columns + k;
    if (data[at] === 0) continue;
    const multiplier = data[at]! / pivot;
    data[at] = multiplier;
    addRow(data, at + 1, data, k * columns + k + 1, columns - k - 1, -multiplier);
  }
}

/** Overwrites A with L and U of its rows in the order that comes back: the largest pivot of each column first. */
export function eliminateByRows(a: Matrix): { readonly order: Int32Array; readonly sign: number } {
  const { rows, columns, data } = a;
  const order = counted(rows);
  let sign = 1;
  for (let k = 0; k < Math.min(rows, columns); k++) {
    let best = k;
    for (let i = k + 1; i < rows; i++)
      if (Math.abs(data[i * columns + k]!) > Math.abs(data[best * columns + k]!)) best = i;
    swapRows(a, k, best);
    sign *= swap(order, k, best);
    if (data[k * columns + k] !== 0) eliminate(a, k);
  }
  return { order, sign };
}

export function luPermutation(call: KernelCall): void {
  eachMatrix(call, 1, (place) => eliminateByRows(place.input(0)).order);
}

export function luPacked(call: KernelCall): void {
  const { op, inputs } = call;
  eachMatrix(call, 2, (place) => {
    const a = place.input(0);
    for (let k = 0; k < Math.min(a.rows, a.columns); k++) {
      if (a.data[k * a.columns + k] !== 0) eliminate(a, k);
      else
        for (let i = k + 1; i < a.rows; i++)
          if (a.data[i * a.columns + k] !== 0)
            throw new ValueError(op, place.says(`pivot ${k} is 0, and what lies below it is not`), {
              operands: inputs,
              hint: 'luPermutation() gives an order of the rows in which this cannot be; lu() does all of it',
            });
    }
    return a.data;
  });
}

/** Factors kept from one place of the batch to the next where the matrix stays the same. */
function factorsOf(
  { op, inputs }: KernelCall,
  place: Place,
): { readonly lu: Matrix; readonly order: Int32Array } {
  const lu = place.input(0);
  const { order } = eliminateByRows(lu);
  const zero = zeroOnDiagonal(lu);
  if (zero >= 0)
    throw new ValueError(op, place.says(`the matrix is singular: pivot ${zero} is 0`), {
      operands: inputs,
      hint: 'pinv() and lstsq() take singular matrices',
    });
  return { lu, order };
}

const lower = { upper: false, transpose: false, unitDiagonal: true } as const;
const upper = { upper: true, transpose: false, unitDiagonal: false } as const;

export function solve(call: KernelCall): void {
  let factors: ReturnType<typeof factorsOf> | undefined;
  eachMatrix(call, 2, (place) => {
    if (!factors || !place.again(0)) factors = factorsOf(call, place);
    const { lu, order } = factors;
    const b = place.input(1);
    const x = zeroMatrix(b.rows, b.columns);
    order.forEach((from, to) =>
      x.data.set(b.data.subarray(from * b.columns, (from + 1) * b.columns), to * b.columns),
    );
    solveTriangle(lu, x, lower);
    solveTriangle(lu, x, upper);
    return x.data;
  });
}

export function det(call: KernelCall): void {
  eachMatrix(call, 0, (place) => {
    const a = place.input(0);
    let { sign: product } = eliminateByRows(a);
    for (let i = 0; i < a.rows; i++) product *= a.data[i * a.rows + i]!;
    return [product];
  });
}

export function slogdetPacked(call: KernelCall): void {
  eachMatrix(call, 1, (place) => {
    const a = place.input(0);
    let { sign } = eliminateByRows(a);
    let log = 0;
    for (let i = 0; i < a.rows; i++) {
      const pivot = a.data[i * a.rows + i]!;
      sign *= Math.sign(pivot);
      log += Math.log(Math.abs(pivot));
    }
    return [sign, log];
  });
}

/**
 * The cofactors of A = Pᵀ L U Qᵀ, with the largest of all remaining elements as each pivot, are those of L U with rows and
 * columns put back. With p the product of all pivots but the last, ε, and U = [V u; 0 ε]: those of U are
 * [ε p V⁻ᵀ, 0; -p uᵀV⁻ᵀ, p], which divides by no small pivot but where p itself is small.
 */
export function cofactors(a: Matrix): Matrix {
  const n = a.rows;
  if (n === 0) return a;
  const [rows, columns] = [counted(n), counted(n)];
  let product = 1;
  for (let k = 0; k < n; k++) {
    let [best, size] = [k * n + k, 0];
    for (let i = k; i < n; i++)
      for (let j = k; j < n; j++) {
        const here = Math.abs(a.data[i * n + j]!);
        if (here > size) [best, size] = [i * n + j, here];
      }
    const [i, j] = [Math.floor(best / n), best % n];
    swapRows(a, k, i);
    swapColumns(a, k, j);
    product *= swap(rows, k, i) * swap(columns, k, j);
    if (k === n - 1) break;
    product *= a.data[k * n + k]!;
    if (a.data[k * n + k] === 0) return zeroMatrix(n, n);
    eliminate(a, k);
  }
  const last = n - 1;
  const pivot = a.data[n * n - 1]!;
  // V⁻ᵀ, by columns of the identity.
  const inverse = identity(last);
  const v = zeroMatrix(last, last);
  for (let i = 0; i < last; i++) v.data.set(a.data.subarray(i * n, i * n + last), i * last);
  solveTriangle(v, inverse, { upper: true, transpose: true, unitDiagonal: false });
  const c = zeroMatrix(n, n);
  for (let i = 0; i < last; i++) {
    const at = i * last;
    for (let j = 0; j < last; j++) c.data[i * n + j] = product * pivot * inverse.data[at + j]!;
  }
  for (let j = 0; j < last; j++) {
    let sum = 0;
    for (let i = 0; i < last; i++) sum += a.data[i * n + last]! * inverse.data[i * last + j]!;
    c.data[last * n + j] = -product * sum;
  }
  c.data[last * n + last] = product;
  // Times the cofactors of L, L⁻ᵀ, from the left.
  solveTriangle(a, c, { upper: false, transpose: true, unitDiagonal: true });
  const out = zeroMatrix(n, n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) out.data[rows[i]! * n + columns[j]!] = c.data[i * n + j]!;
  return out;
}

export function cofactor(call: KernelCall): void {
  eachMatrix(call, 2, (place) => cofactors(place.input(0)).data);
}
