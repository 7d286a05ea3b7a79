/** Einsum: against sums over all letters by loops, against NumPy, what it runs, and what it refuses. */
import { readFileSync } from 'node:fs';
import {
  einsum,
  einsumPath,
  fromData,
  InfinigradError,
  intercept,
  isContiguous,
  ShapeError,
  tensor,
  ValueError,
  withBackend,
  zeros,
  type OpCall,
  type Tensor,
} from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { indices, naive, range, settled, type Naive } from '../naive.ts';
import { expectSame, holds, valuesOf, type Choices } from './drawn.ts';

/** By the definition: for every element of the result a sum over the values of all letters of the product of the operands. */
function definition(inputs: readonly string[], output: string, operands: readonly Naive[]): Naive {
  const letters = [...new Set(inputs.join(''))];
  const sizeOf = (letter: string): number =>
    Math.max(
      ...inputs.flatMap((term, k) =>
        [...term].flatMap((l, axis) => (l === letter ? [operands[k]!.shape[axis]!] : [])),
      ),
    );
  const summed = letters.filter((letter) => !output.includes(letter));
  return settled(
    naive([...output].map(sizeOf), (index) =>
      indices(summed.map(sizeOf)).reduce((sum, rest) => {
        const valueOf = (letter: string): number =>
          output.includes(letter) ? index[output.indexOf(letter)]! : rest[summed.indexOf(letter)]!;
        const product = operands.reduce(
          (value, x, k) =>
            value * x.at([...inputs[k]!].map((letter, axis) => (x.shape[axis] === 1 ? 0 : valueOf(letter)))),
          1,
        );
        return sum + product;
      }, 0),
    ),
  );
}

/** An equation of `count` operands over a few letters, with repeated ones and sizes of 1, and operands that fit it. */
function drawEquation(
  { int, pick, tensor: draw }: Choices,
  count: number,
  dtype: 'f64' | 'i32' = 'f64',
): { readonly inputs: string[]; readonly output: string; readonly operands: Tensor[] } {
  const sizes: Record<string, number> = {};
  for (const letter of 'abcdef') sizes[letter] = int(1, 3);
  const inputs = range(count).map(() =>
    range(int(0, 3))
      .map(() => pick([...'abcdef']))
      .join(''),
  );
  const used = [...new Set(inputs.join(''))];
  const output: string[] = [];
  for (const letter of used) if (int(0, 1) === 1) output.splice(int(0, output.length), 0, letter);
  const operands = inputs.map((term) => {
    // All axes of one letter in one operand are of one size.
    const narrow = new Set([...term].filter(() => int(0, 4) === 4));
    return draw(
      [...term].map((letter) => (narrow.has(letter) ? 1 : sizes[letter]!)),
      { min: -3, max: 3, dtype },
    );
  });
  return { inputs, output: output.join(''), operands };
}

describe('means its definition', () => {
  it.each([1, 2, 3, 4])('for %i operands', (count) =>
    holds((choices) => {
      const { inputs, output, operands } = drawEquation(choices, count);
      const actual = einsum(`${inputs.join(',')}->${output}`, ...operands);
      expectSame(actual, definition(inputs, output, operands.map(valuesOf)), 1e-12);
    }),
  );
  it('in whole numbers', () =>
    holds((choices) => {
      const { inputs, output, operands } = drawEquation(choices, choices.int(2, 3), 'i32');
      const actual = einsum(`${inputs.join(',')}->${output}`, ...operands);
      expect(actual.dtype).toBe('i32');
      expectSame(actual, definition(inputs, output, operands.map(valuesOf)));
    }));
  it('for many operands, in an order that is not searched for', () =>
    holds((choices) => {
      const { inputs, output, operands } = drawEquation(choices, choices.int(7, 8));
      const total = inputs.join('').length;
      if (total > 14) return;
      expectSame(
        einsum(`${inputs.join(',')}->${output}`, ...operands),
        definition(inputs, output, operands.map(valuesOf)),
        1e-11,
      );
    }));
  it('with an ellipsis, which broadcasts like any other op', () =>
    holds(({ shape, tensor: draw, int }) => {
      const lead = shape(0, 2);
      const cut = (): number[] => lead.slice(int(0, lead.length)).map((n) => (int(0, 2) === 0 ? 1 : n));
      const [x, y] = [draw([...cut(), 2, 3]), draw([...cut(), 3, 4])];
      const expected = valuesOf(x.matmul(y));
      expectSame(einsum('...ij,...jk->...ik', x, y), expected, 1e-12);
      expectSame(einsum('...ij,...jk', x, y), expected, 1e-12);
      expectSame(
        einsum('...ij,...jk->ik', x, y),
        valuesOf(x.matmul(y).sum(range(expected.shape.length - 2))),
        1e-12,
      );
    }));
});

interface Plain {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}
interface Fixture {
  readonly equation: string;
  readonly operands: readonly Plain[];
  readonly output: Plain;
}

describe('gives what NumPy gives', () => {
  const rows = JSON.parse(
    readFileSync(new URL('../fixtures/einsum.json', import.meta.url), 'utf8'),
  ) as Fixture[];
  it.each(rows.map((row) => [row.equation, row] as const))('%s', (_, { equation, operands, output }) => {
    for (const backend of ['js', 'wasm'])
      withBackend(backend, () => {
        const tensors = operands.map(({ shape, data }) => fromData(Float64Array.from(data), shape));
        const actual = einsum(equation, ...tensors);
        expect(actual.shape).toEqual(output.shape);
        expectAllClose(actual, output.data, { rtol: 1e-13, atol: 1e-13 });
      });
  });
});

describe('dtypes', () => {
  const of = (dtype: 'bool' | 'u8' | 'i32' | 'f32' | 'f64'): Tensor => tensor([1, 1], { dtype });
  it('operands meet in the highest, integers in i32', () => {
    expect(einsum('i,i', of('f32'), of('f64')).dtype).toBe('f64');
    expect(einsum('i,i,i->i', of('i32'), of('u8'), of('f32')).dtype).toBe('f32');
    expect(einsum('i,i', of('u8'), of('u8')).dtype).toBe('i32');
    expect(einsum('i,j->ij', of('bool'), of('bool')).dtype).toBe('i32');
    expect(einsum('i->i', of('bool')).dtype).toBe('bool');
    expect(einsum('i->', of('bool')).itemSync()).toBe(2);
    expect(
      einsum('i,i', tensor([200, 200], { dtype: 'u8' }), tensor([2, 2], { dtype: 'u8' })).itemSync(),
    ).toBe(800);
    const big = tensor([2 ** 24 + 1], { dtype: 'i32' });
    expect(einsum('i,i->', big, tensor([1], { dtype: 'i32' })).itemSync()).toBe(2 ** 24 + 1);
  });
});

/** The ops that a body runs. */
function opsOf(body: () => unknown): OpCall[] {
  const calls: OpCall[] = [];
  const stop = intercept((call, next) => {
    calls.push(call);
    return next(call);
  });
  try {
    body();
  } finally {
    stop();
  }
  return calls;
}

describe('what runs', () => {
  const views = new Set(['permute', 'reshape', 'diagonal', 'expand', 'slice']);
  /** The ops that are no views; the matrix product must read the operands themselves. */
  function computed(equation: string, ...operands: Tensor[]): string[] {
    const calls = opsOf(() => einsum(equation, ...operands)).filter(({ op }) => !views.has(op));
    const own = new Set(operands.map((x) => x.storage));
    for (const { op, inputs } of calls)
      if (op === 'matmul') for (const x of inputs) expect(own.has(x.storage)).toBe(true);
    return calls.map(({ op }) => op);
  }
  const made = (...shape: number[]): Tensor => zeros(shape).clone();
  it.each([
    ['bhqd,bhkd->bhqk', made(2, 3, 4, 5), made(2, 3, 6, 5)],
    ['bqhd,bkhd->bhqk', made(2, 4, 3, 5), made(2, 6, 3, 5)],
    ['bhqk,bkhd->bqhd', made(2, 3, 4, 6), made(2, 6, 3, 5)],
    ['bthd,hde->bte', made(2, 3, 4, 5), made(4, 5, 6)],
    ['btd,de->bte', made(2, 3, 4), made(4, 6)],
    ['btd,edh->bteh', made(2, 3, 4), made(5, 4, 6).transpose(0, 1).clone().transpose(0, 1)],
    ['ij,kj->ki', made(2, 3), made(4, 3)],
    ['i,i->', made(4), made(4)],
    ['ij,j->i', made(3, 4), made(4)],
  ])('%s is one matrix product of the operands as they lie', (equation, a, b) => {
    expect(computed(equation, a, b)).toEqual(['matmul']);
  });
  it.each(['ij,jk->ik', 'ij,jk->ki', 'bij,bjk->bki', 'ij,j->i'])(
    'the result of %s lies as it is written',
    (equation) => {
      const operands = equation
        .split('->')[0]!
        .split(',')
        .map((term) => made(...[...term].map(() => 3)));
      expect(isContiguous(einsum(equation, ...operands).layout)).toBe(true);
    },
  );
  it.each([
    [20, 2],
    [2, 20],
  ])(
    'where letters do not lie in one order, the smaller operand is copied: %i and %i rows',
    (rows, columns) => {
      const [a, b] = [made(rows, 3, 4), made(4, 3, columns)];
      const product = opsOf(() => einsum('ijk,kjl->il', a, b)).find(({ op }) => op === 'matmul');
      const stays = product!.inputs.map((x) => x.storage === a.storage || x.storage === b.storage);
      const large = product!.inputs.findIndex((x) => x.size === Math.max(a.size, b.size));
      expect(stays).toEqual(large === 0 ? [true, false] : [false, true]);
    },
  );
  it('what needs no arithmetic is a view', () => {
    const x = made(3, 3, 2);
    for (const equation of ['iij->ij', 'ijk->kji', 'iij->ji', '...->...'])
      expect(einsum(equation, x).storage).toBe(x.storage);
  });
  it('nothing is ever multiplied out where letters go away', () =>
    holds((choices) => {
      const { inputs, output, operands } = drawEquation(choices, choices.int(2, 4));
      const equation = `${inputs.join(',')}->${output}`;
      const { steps } = einsumPath(equation, ...operands);
      const largest = Math.max(
        1,
        ...operands.map((x) => x.size),
        ...steps.map(({ shape }) => zeros(shape).size),
      );
      for (const { op, plan } of opsOf(() => einsum(equation, ...operands)))
        if (op !== 'expand') expect(zeros(plan.shape).size).toBeLessThanOrEqual(largest);
    }));
});

describe('the path', () => {
  it('is the cheapest of all orders: a chain of matrices', () => {
    // 10 × 100 × 5 × 50: the textbook's example (Cormen et al., 15.2).
    const shapes = [
      [10, 100],
      [100, 5],
      [5, 50],
    ].map((shape) => ({ shape }));
    const { steps, flops, naiveFlops } = einsumPath('ij,jk,kl->il', ...shapes);
    expect(steps.map(({ pair }) => pair)).toEqual([
      [0, 1],
      [0, 1],
    ]);
    expect(flops).toBe(2 * (10 * 100 * 5 + 10 * 5 * 50));
    expect(naiveFlops).toBe(3 * 10 * 100 * 5 * 50);
    expect(steps[0]).toEqual({ pair: [0, 1], equation: 'ij,jk->ik', shape: [10, 5], flops: 10_000 });
  });
  it('costs no more than from left to right, nor than all at once', () =>
    holds((choices) => {
      const count = choices.int(2, 6);
      const { inputs, output, operands } = drawEquation(choices, count);
      const whole = einsumPath(`${inputs.join(',')}->${output}`, ...operands);
      expect(whole.steps.length).toBe(count - 1);
      // Left to right: each time the first two, all letters that are needed later kept.
      let terms = inputs.map((term, k) => ({ letters: [...new Set(term)], shape: operands[k]!.shape, term }));
      const sizes: Record<string, number> = {};
      for (const { term, shape } of terms)
        [...term].forEach((l, axis) => (sizes[l] = Math.max(sizes[l] ?? 1, shape[axis]!)));
      const size = (letters: Iterable<string>): number => [...letters].reduce((n, l) => n * sizes[l]!, 1);
      let cost = 0;
      let lists = terms.map(({ term, shape }, k) => {
        const wide = [...new Set([...term].filter((_, axis) => shape[axis] !== 1))];
        const others = terms.filter((_, m) => m !== k);
        const elsewhere = new Set(
          others.flatMap((other) => [...other.term].filter((_, axis) => other.shape[axis] !== 1)),
        );
        const kept = wide.filter((l) => output.includes(l) || elsewhere.has(l));
        if (kept.length < wide.length) cost += size(wide);
        return kept;
      });
      terms = [];
      while (lists.length > 1) {
        const [a, b, ...rest] = lists as [string[], string[], ...string[][]];
        const all = [...new Set([...a, ...b])];
        const kept = all.filter((l) => output.includes(l) || rest.flat().includes(l));
        cost += size(all) * (kept.length < all.length ? 2 : 1);
        lists = [kept, ...rest];
      }
      expect(whole.flops).toBeLessThanOrEqual(cost);
    }));
  it('of many operands stays small where a fixed order would not', () => {
    // A ring of nine matrices: from any two on, no result is larger than a matrix.
    const names = [...'abcdefghi'];
    const equation = `${names.map((l, i) => l + names[(i + 1) % 9]!).join(',')}->`;
    const { steps, flops } = einsumPath(equation, ...names.map(() => ({ shape: [10, 10] })));
    expect(Math.max(...steps.map(({ shape }) => shape.reduce((n, size) => n * size, 1)))).toBe(100);
    expect(flops).toBeLessThanOrEqual(7 * 2 * 1000 + 2 * 100);
  });
  it('counts sums of one operand', () => {
    expect(einsumPath('ij->i', { shape: [3, 4] })).toEqual({ steps: [], flops: 12, naiveFlops: 12 });
    expect(einsumPath('ij->ji', { shape: [3, 4] }).flops).toBe(0);
  });
});

describe('refused', () => {
  const x = zeros([2, 3]);
  const y = zeros([4, 5]);
  type Row = [string, () => unknown, new (...args: never[]) => InfinigradError, string];
  const rows: Row[] = [
    [
      'sizes that differ',
      () => einsum('ij,jk->ik', x, y),
      ShapeError,
      "einsum: letter 'j' has size 3 in operand 0 and 4 in operand 1: [2, 3] f32, [4, 5] f32. Hint: sizes of a letter must be equal or 1",
    ],
    [
      'sizes under the ellipsis that differ',
      () => einsum('...,...', x, y),
      ShapeError,
      'einsum: axis -2 of the ellipsis has size 2 in operand 0 and 4 in operand 1',
    ],
    [
      'no diagonal',
      () => einsum('ii', x),
      ShapeError,
      "einsum: letter 'i' has sizes 2 and 3 in operand 0: [2, 3] f32",
    ],
    ['a stretched diagonal', () => einsum('ii', zeros([1, 3])), ShapeError, "letter 'i' has sizes 1 and 3"],
    [
      'too few letters',
      () => einsum('i', x),
      ShapeError,
      "einsum: 'i' names 1 axes of operand 0, which has 2",
    ],
    ['too many letters', () => einsum('ijk', x), ShapeError, "'ijk' names 3 axes of operand 0, which has 2"],
    [
      'too many beside an ellipsis',
      () => einsum('...ijk', x),
      ShapeError,
      'names 3 axes of operand 0, which has 2',
    ],
    [
      'operands missing',
      () => einsum('ij,jk', x),
      ValueError,
      "einsum: 'ij,jk' is for 2 operands, got 1: [2, 3] f32",
    ],
    ['operands over', () => einsum('ij', x, x), ValueError, "'ij' is for 1 operand, got 2"],
    ['none', () => einsum(''), ValueError, "'' is for 1 operand, got 0"],
    [
      'no letter',
      () => einsum('i1', x),
      ValueError,
      "einsum: '1' in 'i1' is neither a letter nor part of an ellipsis",
    ],
    ['two dots', () => einsum('..', x), ValueError, "'.' in '..' is neither a letter"],
    ['two ellipses', () => einsum('......', x), ValueError, "two ellipses in '......'"],
    ['two arrows', () => einsum('ij->i->', x), ValueError, "einsum: two arrows in 'ij->i->'"],
    [
      'an unknown letter',
      () => einsum('ij->ik', x),
      ValueError,
      "einsum: the result's letter 'k' is in no operand of 'ij->ik'",
    ],
    [
      'a letter twice',
      () => einsum('ij->ii', x),
      ValueError,
      "einsum: the result names 'i' twice in 'ij->ii'",
    ],
    ['a path of them', () => einsumPath('ij,jk', x, y), ShapeError, "einsumPath: letter 'j' has size 3"],
  ];
  it.each(rows)('%s', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
});
