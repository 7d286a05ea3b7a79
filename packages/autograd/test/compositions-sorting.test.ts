/** Gradients through sorting, rearranging and einsum, against finite differences to second order. */
import { gradcheck } from '@infinigrad/autograd';
import {
  cartesianProd,
  einsum,
  intercept,
  Key,
  meshgrid,
  rearrange,
  reduce,
  repeat,
  stack,
  type OpCall,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { leaf, list, spread, t } from './support.ts';

type Case = readonly [name: string, f: (...inputs: Tensor[]) => Tensor, ...inputs: Tensor[]];

const x = spread([3, 4]);
const cube = spread([2, 3, 4], 2);
const vector = spread([4], 3);

/** Both orders, by every element: so small are the inputs. Squared, so that no second derivative is zero for being linear. */
function check(f: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[]): void {
  gradcheck((...args) => f(...args).square(), inputs, { order: 2 });
}

describe('of what is picked goes to where it stood', () => {
  const cases: Case[] = [
    ['sort', (a) => a.sort().values, x],
    ['sort, descending, along the first axis', (a) => a.sort(0, true).values, x],
    ['topK', (a) => a.topK(2, 0).values, x],
    ['topK, smallest, by position', (a) => a.topK(3, -1, { largest: false, sorted: false }).values, x],
    ['kthValue', (a) => a.kthValue(2, 1).values, x],
    ['kthValue of all', (a) => a.kthValue(5, undefined, true).values, x],
    ['median', (a) => a.median(0).values, x],
    ['quantile', (a) => a.quantile(0.3, 1), x],
    ['quantiles', (a) => a.quantile([0.1, 0.5, 1], 0, true), x],
    ['mode', (a) => a.mode(1).values, x],
    ['cummax', (a) => a.cummax(1).values, x],
    ['cummin', (a) => a.cummin(0).values, x],
  ];
  it.each(cases.map(([name, f, ...inputs]) => ({ name, f, inputs })))('$name', ({ f, inputs }) =>
    check(f, inputs),
  );
  it('and only there', () => {
    const a = leaf([3, 1, 2]);
    a.topK(2)
      .values.mul(t([10, 20]))
      .sum()
      .backward();
    expect(list(a.grad!)).toEqual([10, 0, 20]);
  });
});

describe('of running products and sums', () => {
  it('cumprod, wherever zeros stand', () => {
    for (const values of [[2, 0, 3, -1], [0, 0, 3, 2], [1, 2, 3, 0], [0, 1, 0, 2], [5]])
      check((a) => a.cumprod(), [t(values)]);
    check((a) => a.cumprod(0), [x]);
    // Exactly: d(Σ y)/dx of y = [a, ab, abc] at b = 0.
    const a = leaf([2, 0, 3]);
    a.cumprod().sum().backward();
    expect(list(a.grad!)).toEqual([1, 2 + 2 * 3, 0]);
  });
  it('logCumSumExp, where elements are equal too', () => {
    check((a) => a.logCumSumExp(), [t([1, 1, 1, 1, 1])]);
    check((a) => a.logCumSumExp(0), [x.mul(5)]);
  });
  it('logCumSumExp has finite gradients beside -Infinity', () => {
    const a = leaf([-Infinity, -Infinity, 0, 1]);
    a.logCumSumExp().select(0, 3).backward();
    const total = 1 + Math.E;
    [0, 0, 1 / total, Math.E / total].forEach((g, i) => expect(list(a.grad!)[i]).toBeCloseTo(g, 14));
  });
});

describe('of what is moved', () => {
  const cases: Case[] = [
    ['roll', (a) => a.roll([1, -2], [0, 1]).mul(a), x],
    ['roll of all', (a) => a.roll(5).mul(a), x],
    ['tile', (a) => a.tile([2, 3]), x],
    ['repeat', (a) => a.repeat([2, 1, 2]), x],
    ['repeatInterleave', (a) => a.repeatInterleave(2, 1), x],
    ['repeatInterleave, counted', (a) => a.repeatInterleave([2, 0, 1], 0), x],
    ['diagonal', (a) => a.diagonal(1), x],
    ['diagonal of other axes', (a) => a.diagonal(-1, 2, 0), cube],
    ['diag of a vector', (a) => a.diag(-1).matmul(spread([5, 2])), vector],
    ['diagEmbed', (a) => a.diagEmbed(1, 0, -1).sum(1), x],
    ['trace', (a) => a.trace(), cube],
    ['outer', (a, b) => a.outer(b), vector, spread([3])],
    ['outer with itself', (a) => a.outer(a), vector],
    ['kron', (a, b) => a.kron(b), spread([2, 2]), spread([3])],
    ['rot90', (a) => a.rot90(1).mul(a.rot90(-1)), x],
    ['diff', (a) => a.diff(2), x],
    ['meshgrid', (a, b) => stack(meshgrid([a, b], { indexing: 'xy' })), vector, spread([2])],
    ['cartesianProd', (a, b) => cartesianProd([a, b]), vector, spread([2])],
    ['rearrange', (a) => rearrange(a, 'a (b c) -> c (a b)', { b: 2 }).mul(spread([2, 6])), x],
    ['reduce', (a) => reduce(a, 'a b (c 2) -> c a', 'prod'), cube],
    ['reduce to the largest', (a) => reduce(a, 'a (b 2) -> b', 'max'), x],
    ['repeat by a pattern', (a) => repeat(a, 'a b -> (b 2) a n', { n: 3 }), x],
  ];
  it.each(cases.map(([name, f, ...inputs]) => ({ name, f, inputs })))('$name', ({ f, inputs }) =>
    check(f, inputs),
  );
});

describe('of einsum', () => {
  const key = new Key(5);
  const draw = (i: number, ...shape: number[]): Tensor => key.foldIn(i).normal(shape, { dtype: 'f64' });
  const cases: [equation: string, ...shapes: number[][]][] = [
    ['ij->ji', [2, 3]],
    ['iij->j', [2, 2, 3]],
    ['iii->i', [3, 3, 3]],
    ['i,i', [4], [4]],
    ['i,j->ji', [2], [3]],
    ['ij,ij->j', [2, 3], [2, 3]],
    ['bhqd,bhkd->bhqk', [2, 1, 2, 3], [2, 1, 2, 3]],
    ['bqhd,bkhd->bhqk', [1, 2, 2, 2], [1, 3, 2, 2]],
    ['...ij,...jk', [2, 1, 2, 2], [3, 2, 1]],
    ['ij,jk->ik', [2, 1], [3, 2]],
    ['ij,jk,kl->li', [2, 2], [2, 3], [3, 1]],
    ['i,ij,j', [2], [2, 3], [3]],
    ['ab,bc,cd,de,ea->', [2, 2], [2, 1], [1, 2], [2, 2], [2, 2]],
    ['ii,ij,kj->k', [2, 2], [2, 3], [2, 3]],
  ];
  it.each(cases)('%s', (equation, ...shapes) =>
    check(
      (...inputs) => einsum(equation, ...inputs),
      shapes.map((shape, i) => draw(i, ...shape)),
    ),
  );
  it('of an operand used twice', () => check((a) => einsum('ij,kj->ik', a, a), [x]));
  it('runs backward in one matrix product an operand', () => {
    const [q, k] = [draw(0, 2, 3, 4, 5), draw(1, 2, 3, 6, 5)];
    const calls: OpCall[] = [];
    const stop = intercept((call, next) => {
      calls.push(call);
      return next(call);
    });
    try {
      einsum('bhqd,bhkd->bhqk', q.requireGrad(), k.requireGrad()).sum().backward();
    } finally {
      stop();
    }
    expect(calls.filter(({ op }) => op === 'matmul').length).toBe(3);
    expect(calls.filter(({ op }) => op === 'mul').length).toBe(0);
  });
});

it('no two elements of what is sorted are equal, so that small steps change no order', () => {
  expect(new Set(list(x)).size).toBe(x.size);
});
