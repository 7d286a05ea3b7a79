/**
 * What the matrix ops mean, by the formulas that no one computes with: determinants over all permutations, Cramer's rule,
 * factors as quotients of minors, Gram and Schmidt, Jacobi's rotations written out as matrices, the exponential's series.
 */
import type { Attrs } from '@infinigrad/tensor';
import { indices, meet, naive, range, stretchedAt, type Naive } from '../naive.ts';

type Reference = (inputs: readonly Naive[], attrs: Attrs) => Naive;
type Rows = readonly (readonly number[])[];

const build = (m: number, n: number, at: (i: number, j: number) => number): number[][] =>
  range(m).map((i) => range(n).map((j) => at(i, j)));
const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const identity = (n: number): number[][] => build(n, n, (i, j) => Number(i === j));
const transpose = (a: Rows): number[][] =>
  a.length === 0 ? [] : a[0]!.map((_, j) => a.map((row) => row[j]!));
const product = (...factors: Rows[]): Rows =>
  factors.reduce((a, b) => a.map((row) => transpose(b).map((column) => dot(row, column))));
const dot = (x: readonly number[], y: readonly number[]): number => total(x.map((v, i) => v * y[i]!));
const symmetric = (a: Rows): Rows => build(a.length, a.length, (i, j) => (a[i]![j]! + a[j]![i]!) / 2);
const columnsOf = (a: Rows, from: number, to: number): Rows => a.map((row) => row.slice(from, to));

/** Along the first row; 1 where there is none. */
function determinant(a: Rows): number {
  if (a.length === 0) return 1;
  return total(a[0]!.map((x, j) => (j % 2 === 0 ? x : -x) * determinant(without(a, 0, j))));
}
const without = (a: Rows, row: number, column: number): number[][] =>
  a.filter((_, i) => i !== row).map((r) => r.filter((_, j) => j !== column));
/** The determinant of chosen rows and columns. */
const minor = (a: Rows, rows: readonly number[], columns: readonly number[]): number =>
  determinant(rows.map((i) => columns.map((j) => a[i]![j]!)));

/** Cramer's rule. */
function solution(a: Rows, b: Rows): Rows {
  const whole = determinant(a);
  return build(a.length, b[0]!.length, (i, j) => {
    const replaced = a.map((row, k) => row.map((x, l) => (l === i ? b[k]![j]! : x)));
    return determinant(replaced) / whole;
  });
}

const cofactors = (a: Rows): Rows =>
  build(a.length, a.length, (i, j) => (-1) ** (i + j) * determinant(without(a, i, j)));

/** lᵢⱼ = (rows 0 … j-1 and i, columns 0 … j) / √(Dⱼ₊₁ Dⱼ), D the leading minors */
function choleskyFactor(a: Rows): Rows {
  const leading = (k: number): number => minor(a, range(k), range(k));
  return build(a.length, a.length, (i, j) =>
    j > i ? 0 : minor(a, [...range(j), i], range(j + 1)) / Math.sqrt(leading(j + 1) * leading(j)),
  );
}

/** uᵢⱼ = (rows 0 … i, columns 0 … i-1 and j) / Dᵢ, lᵢⱼ = (rows 0 … j-1 and i, columns 0 … j) / Dⱼ₊₁ */
function luFactors(a: Rows): Rows {
  const leading = (k: number): number => minor(a, range(k), range(k));
  return build(a.length, a[0]!.length, (i, j) =>
    j >= i
      ? minor(a, range(i + 1), [...range(i), j]) / leading(i)
      : minor(a, [...range(j), i], range(j + 1)) / leading(j + 1),
  );
}

/** The row that makes the next minor largest, column by column. */
function pivotOrder(a: Rows): number[] {
  const order = range(a.length);
  for (const k of range(Math.min(a.length, a[0]!.length))) {
    const size = (at: number): number => Math.abs(minor(a, [...order.slice(0, k), order[at]!], range(k + 1)));
    let best = k;
    for (let at = k + 1; at < order.length; at++) if (size(at) > size(best) * (1 + 1e-12)) best = at;
    [order[k], order[best]] = [order[best]!, order[k]!];
  }
  return order;
}

/** Orthonormal columns, one after the other, each freed twice of those before. */
function gramSchmidt(a: Rows): Rows {
  const done: number[][] = [];
  for (const column of transpose(a)) {
    let rest: readonly number[] = column;
    for (const _ of [1, 2])
      for (const q of done) {
        const along = dot(q, rest);
        rest = rest.map((x, i) => x - along * q[i]!);
      }
    const length = Math.sqrt(dot(rest, rest));
    done.push(rest.map((x) => x / length));
  }
  return transpose(done);
}

/** Mirrors, each a whole matrix, that make R of A; the last columns of their product. */
function complement(a: Rows): Rows {
  const [m, n] = [a.length, a[0]!.length];
  let q: Rows = identity(m);
  let r: Rows = a;
  for (const k of range(n)) {
    const x = range(m).map((i) => (i < k ? 0 : r[i]![k]!));
    if (x.slice(k + 1).every((v) => v === 0)) continue;
    const length = Math.sqrt(dot(x, x));
    const v = x.map((value, i) => (i === k ? value + (value > 0 ? length : -length) : value));
    const mirror = build(m, m, (i, j) => Number(i === j) - (2 * v[i]! * v[j]!) / dot(v, v));
    [q, r] = [product(q, mirror), product(mirror, r)];
  }
  return columnsOf(q, n, m);
}

/** The documented choice between v and -v. */
const oriented = (v: readonly number[]): number =>
  total(
    v.map(
      (x, i) =>
        x * (1 + (((i + 1) * (Math.sqrt(5) - 1)) / 2 - Math.floor(((i + 1) * (Math.sqrt(5) - 1)) / 2))),
    ),
  ) < 0
    ? -1
    : 1;

/** Eigenvalues and eigenvectors (columns), by rotations that each clear one element. */
function jacobi(a: Rows): { values: number[]; vectors: Rows } {
  const n = a.length;
  let [d, v]: [Rows, Rows] = [a, identity(n)];
  for (const _ of range(30))
    for (const i of range(n))
      for (const j of range(i)) {
        if (Math.abs(d[i]![j]!) < 1e-300) continue;
        const angle = Math.atan2(2 * d[i]![j]!, d[i]![i]! - d[j]![j]!) / 2;
        const turn = identity(n);
        turn[i]![i] = turn[j]![j] = Math.cos(angle);
        turn[j]![i] = Math.sin(angle);
        turn[i]![j] = -Math.sin(angle);
        [d, v] = [product(transpose(turn), d, turn), product(v, turn)];
      }
  return { values: range(n).map((i) => d[i]![i]!), vectors: v };
}

function eigen(a: Rows): Rows {
  const { values, vectors } = jacobi(symmetric(a));
  const columns = transpose(vectors);
  const order = range(a.length).sort((i, j) => values[i]! - values[j]!);
  const rows = order.map((i) => columns[i]!.map((x) => x * oriented(columns[i]!)));
  return [order.map((i) => values[i]!), ...transpose(rows)];
}

/** From the eigenvectors of Aᵀ A or A Aᵀ, whichever is smaller. */
function singular(a: Rows): Rows {
  const wide = a.length < a[0]!.length;
  const tall = wide ? transpose(a) : a;
  const { values, vectors } = jacobi(product(transpose(tall), tall));
  const order = range(values.length).sort((i, j) => values[j]! - values[i]!);
  const s = order.map((i) => Math.sqrt(values[i]!));
  const own = order.map((i) => transpose(vectors)[i]!);
  const others = own.map((v, k) => tall.map((row) => dot(row, v) / s[k]!));
  const [u, v] = wide ? [own, others] : [others, own];
  const signs = u.map(oriented);
  const signed = (x: Rows): Rows => transpose(x.map((row, k) => row.map((value) => value * signs[k]!)));
  return [s, ...signed(u), ...signed(v)];
}

function pseudoInverse(a: Rows): Rows {
  const at = transpose(a);
  return a.length >= a[0]!.length ? solution(product(at, a), at) : transpose(solution(product(a, at), a));
}

/** Σ Aᵏ/k! */
function series(a: Rows): Rows {
  let [sum, term]: [Rows, Rows] = [identity(a.length), identity(a.length)];
  for (let k = 1; k < 60; k++) {
    term = product(term, a).map((row) => row.map((x) => x / k));
    sum = sum.map((row, i) => row.map((x, j) => x + term[i]![j]!));
  }
  return sum;
}

function triangle(a: Rows, attrs: Attrs): Rows {
  const read = build(a.length, a.length, (i, j) => {
    if (i === j) return attrs['unitDiagonal'] === true ? 1 : a[i]![i]!;
    return j > i === (attrs['upper'] === true) ? a[i]![j]! : 0;
  });
  return attrs['transpose'] === true ? transpose(read) : read;
}

/** A function of matrices, at every place that the leading axes meet in; its result has `tail` axes. */
const everywhere =
  (tail: 0 | 1 | 2, f: (matrices: readonly Rows[], attrs: Attrs) => Rows): Reference =>
  (inputs, attrs) => {
    const lead = meet(...inputs.map((x) => x.shape.slice(0, -2)));
    const here = (at: readonly number[]): Rows =>
      f(
        inputs.map((x) => {
          const [m, n] = x.shape.slice(-2) as [number, number];
          return build(m, n, (i, j) => stretchedAt(x, [...at.slice(lead.length - x.shape.length + 2), i, j]));
        }),
        attrs,
      );
    const results = new Map(indices(lead).map((at) => [at.join(), here(at)]));
    const one = results.values().next().value!;
    const sizes = [one.length, one[0]!.length].slice(2 - tail);
    return naive([...lead, ...sizes], (index) => {
      const place = index.slice(lead.length);
      const [i, j] = [0, 0, ...place].slice(-2) as [number, number];
      return results.get(index.slice(0, lead.length).join())![i]![j]!;
    });
  };

export const linalgReferences = {
  solve: everywhere(2, ([a, b]) => solution(a!, b!)),
  triangularSolve: everywhere(2, ([a, b], attrs) => solution(triangle(a!, attrs), b!)),
  pinv: everywhere(2, ([a]) => pseudoInverse(a!)),
  det: everywhere(0, ([a]) => [[determinant(a!)]]),
  slogdetPacked: everywhere(1, ([a]) => {
    const value = determinant(a!);
    return [[value < 0 ? -1 : 1, Math.log(Math.abs(value))]];
  }),
  cofactor: everywhere(2, ([a]) => cofactors(a!)),
  cholesky: everywhere(2, ([a], attrs) => {
    const l = choleskyFactor(symmetric(a!));
    return attrs['upper'] === true ? transpose(l) : l;
  }),
  luPermutation: everywhere(1, ([a]) => [pivotOrder(a!)]),
  luPacked: everywhere(2, ([a]) => luFactors(a!)),
  qrPacked: everywhere(2, ([a]) => {
    const q = gramSchmidt(a!);
    return [
      ...q,
      ...transpose(product(transpose(q), a!)).map((row, i) => row.map((x, j) => (j > i ? 0 : x))),
    ];
  }),
  orthogonalComplement: everywhere(2, ([a]) => complement(a!)),
  eighPacked: everywhere(2, ([a]) => eigen(a!)),
  svdPacked: everywhere(2, ([a]) => singular(a!)),
  matrixExp: everywhere(2, ([a]) => series(a!)),
};
