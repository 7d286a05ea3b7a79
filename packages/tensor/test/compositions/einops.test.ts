/** Patterns with named axes: against einops, the laws they keep, what is shared rather than copied, and what is refused. */
import { readFileSync } from 'node:fs';
import {
  arange,
  fromData,
  InfinigradError,
  rearrange,
  reduce,
  repeat,
  ShapeError,
  stack,
  tensor,
  ValueError,
  withBackend,
  zeros,
  type PatternReduction,
  type Tensor,
} from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { einopsMethods } from '../../src/compositions/einops/index.ts';
import { range } from '../naive.ts';
import { expectSame, holds, valuesOf, type Choices } from './drawn.ts';

interface Plain {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}
interface Fixture {
  readonly function: 'rearrange' | 'reduce' | 'repeat';
  readonly pattern: string;
  readonly input: Plain;
  readonly rest: unknown;
  readonly output: Plain;
}

describe('gives what einops gives', () => {
  const rows = JSON.parse(
    readFileSync(new URL('../fixtures/einops.json', import.meta.url), 'utf8'),
  ) as Fixture[];
  it.each(rows.map((row) => [row.function, row.pattern, row] as const))('%s %s', (_, pattern, row) => {
    for (const backend of ['js', 'wasm'])
      withBackend(backend, () => {
        const x = fromData(Float64Array.from(row.input.data), row.input.shape);
        const actual = {
          rearrange: () => rearrange(x, pattern, row.rest as Record<string, number>),
          reduce: () => reduce(x, pattern, row.rest as PatternReduction),
          repeat: () => repeat(x, pattern, row.rest as Record<string, number>),
        }[row.function]();
        expect(actual.shape).toEqual(row.output.shape);
        expectAllClose(actual, row.output.data, { rtol: 1e-14 });
      });
  });
});

/** Names composed into groups at random. */
function grouped({ int }: Choices, names: readonly string[]): string {
  const parts: string[] = [];
  for (let i = 0; i < names.length;) {
    const n = int(1, 3);
    const group = names.slice(i, i + n);
    parts.push(group.length === 1 ? group[0]! : `(${group.join(' ')})`);
    i += n;
    if (int(0, 4) === 4) parts.push('1');
  }
  return parts.join(' ');
}

function shuffled<T>({ int }: Choices, items: readonly T[]): T[] {
  const rest = [...items];
  return items.map(() => rest.splice(int(0, rest.length - 1), 1)[0]!);
}

const names = ['batch', 'h', 'w', 'c2', 'x_y'] as const;

/** A tensor under one grouping of some axes, a pattern to another, and the sizes. */
function drawPattern(choices: Choices): {
  readonly x: Tensor;
  readonly left: string;
  readonly right: string;
  readonly own: readonly string[];
  readonly wanted: readonly string[];
  readonly sizes: Record<string, number>;
} {
  const own = names.slice(0, choices.int(0, names.length));
  const wanted = shuffled(choices, own);
  const sizes = Object.fromEntries(own.map((name) => [name, choices.int(1, 3)]));
  const [left, right] = [grouped(choices, own), grouped(choices, wanted)];
  const shape = [...left.matchAll(/\(([^)]*)\)|\S+/g)].map(([whole, inside]) =>
    whole === '1' ? 1 : (inside ?? whole).split(' ').reduce((n, name) => n * sizes[name]!, 1),
  );
  return { x: choices.tensor(shape), left, right, own, wanted, sizes };
}

describe('laws', () => {
  it('rearrange splits, permutes and merges', () =>
    holds((choices) => {
      const { x, left, right, own, wanted, sizes } = drawPattern(choices);
      const actual = rearrange(x, `${left} -> ${right}`, sizes);
      const split = x.reshape(own.map((name) => sizes[name]!));
      expectSame(
        actual,
        valuesOf(split.permute(wanted.map((name) => own.indexOf(name))).reshape(actual.shape)),
      );
      expectSame(x.rearrange(`${left}->${right}`, sizes), valuesOf(actual));
    }));
  it('a pattern turned around gives the tensor back', () =>
    holds((choices) => {
      const { x, left, right, sizes } = drawPattern(choices);
      const there = rearrange(x, `${left} -> ${right}`, sizes);
      expectSame(rearrange(there, `${right} -> ${left}`, sizes), valuesOf(x));
    }));
  it('the names and the spaces do not matter', () =>
    holds((choices) => {
      const { x, left, right, sizes } = drawPattern(choices);
      const other = (text: string): string =>
        text.replace(/[a-z]\w*/g, (name) => `${name}_2`).replaceAll(' ', '  ');
      const renamed = Object.fromEntries(Object.entries(sizes).map(([name, n]) => [`${name}_2`, n]));
      expectSame(
        rearrange(x, ` ${other(left)}->${other(right)} `, renamed),
        valuesOf(rearrange(x, `${left} -> ${right}`, sizes)),
      );
    }));
  it('a size of a group may be left to be inferred', () => {
    const x = arange(24);
    expect(rearrange(x, '(a b c) -> a b c', { a: 2, c: 4 }).shape).toEqual([2, 3, 4]);
    expect(rearrange(zeros([0, 4]), 'a (b c) -> c a b', { b: 2 }).shape).toEqual([2, 0, 2]);
  });
  it('reduce does away with the axes that the right side lacks', () =>
    holds((choices) => {
      const { x, left, own, wanted, sizes } = drawPattern(choices);
      const kept = wanted.slice(0, choices.int(0, wanted.length));
      const right = grouped(choices, kept);
      const gone = own.flatMap((name, axis) => (kept.includes(name) ? [] : [axis]));
      for (const reduction of ['sum', 'max', 'min', 'mean', 'prod', 'any', 'all'] as const) {
        const actual = reduce(x, `${left} -> ${right}`, reduction, sizes);
        const split = x.reshape(own.map((name) => sizes[name]!));
        const left2 = own.filter((name) => kept.includes(name));
        const expected = (gone.length > 0 ? split[reduction](gone) : split)
          .permute(kept.map((name) => left2.indexOf(name)))
          .reshape(actual.shape);
        expectSame(actual, valuesOf(expected), 1e-14);
      }
    }));
  it('reduce takes a function of a tensor and axes', () => {
    const x = arange(6).reshape([2, 3]).cast('f32');
    expect(reduce(x, 'a b -> a', (y, axes) => y.variance(axes, { correction: 0 })).toArraySync()).toEqual(
      x.variance(1, { correction: 0 }).toArraySync(),
    );
    expect(x.reduce('a b -> b', (y, axes) => y.norm(axes)).shape).toEqual([3]);
  });
  it('repeat and then reduce: the mean is the tensor, the sum that many of it', () =>
    holds((choices) => {
      const { x, left, right, sizes } = drawPattern(choices);
      const n = choices.int(1, 3);
      const [a, b] = [`${left} -> ${right} new`, `${right} new -> ${left}`];
      expectSame(reduce(repeat(x, a, { ...sizes, new: n }), b, 'mean', sizes), valuesOf(x), 1e-14);
      expectSame(reduce(repeat(x, a, { ...sizes, new: n }), b, 'sum', sizes), valuesOf(x.mul(n)));
      expectSame(
        repeat(x, `${left} -> ${n} ${right}`, sizes).select(0, n - 1),
        valuesOf(rearrange(x, `${left} -> ${right}`, sizes)),
      );
    }));
  it('a list of tensors counts as one, along a new first axis', () => {
    const all = range(3).map((i) => arange(4).reshape([2, 2]).add(i));
    expectSame(rearrange(all, 'n a b -> a (n b)'), valuesOf(rearrange(stack(all), 'n a b -> a (n b)')));
    expectSame(reduce(all, 'n a b -> a b', 'max'), valuesOf(all[2]!));
    expect(repeat(all, 'n a b -> n a b 2').shape).toEqual([3, 2, 2, 2]);
  });
});

describe('views', () => {
  it.each([
    ['a b c -> c a b', {}],
    ['(p q) b c -> c p q b', { p: 2 }],
    ['a b c -> a (b c)', {}],
    ['a b c -> 1 (a b) 1 c', {}],
    ['... c -> c ...', {}],
  ])('%s shares the elements', (pattern, sizes) => {
    const x = zeros([4, 3, 2]).clone();
    expect(rearrange(x, pattern, sizes as Record<string, number>).storage).toBe(x.storage);
  });
  it('so does a repetition along a new axis', () => {
    const x = zeros([2, 3]).clone();
    expect(repeat(x, 'a b -> 5 a b 2').storage).toBe(x.storage);
  });
});

describe('refused', () => {
  type Row = [string, () => unknown, new (...args: never[]) => InfinigradError, string];
  const x = zeros([2, 6]);
  const rows: Row[] = [
    ['rearrange', () => rearrange(x, 'a b'), ValueError, "rearrange: needs one -> in 'a b'. Hint: as in"],
    ['rearrange', () => rearrange(x, 'a -> b -> c'), ValueError, 'needs one ->'],
    [
      'rearrange',
      () => rearrange(x, 'a (b -> a b'),
      ValueError,
      "rearrange: '(' without ')' in 'a (b -> a b'",
    ],
    ['rearrange', () => rearrange(x, 'a b) -> a b'), ValueError, "')' without '('"],
    ['rearrange', () => rearrange(x, 'a ((b)) -> a b'), ValueError, 'parentheses inside parentheses'],
    ['rearrange', () => rearrange(x, 'a - -> a'), ValueError, "rearrange: '-' in 'a - -> a'"],
    [
      'rearrange',
      () => rearrange(x, 'a a -> a'),
      ValueError,
      "rearrange: 'a' stands twice on one side in 'a a -> a'",
    ],
    ['rearrange', () => rearrange(x, '... ... -> a'), ValueError, "'...' stands twice"],
    ['rearrange', () => rearrange(x, 'a 0 -> a'), ValueError, 'an axis of size 0'],
    ['rearrange', () => rearrange(x, '(... a) b -> a'), ValueError, 'an ellipsis in parentheses on the left'],
    [
      'rearrange',
      () => rearrange(x, 'a b -> ... a b'),
      ValueError,
      "an ellipsis on the right of 'a b -> ... a b' only",
    ],
    [
      'rearrange',
      () => rearrange(x, 'a b -> a'),
      ValueError,
      "rearrange: 'b' is on the left of 'a b -> a' only",
    ],
    [
      'rearrange',
      () => rearrange(x, 'a b -> a b c d'),
      ValueError,
      "'c', 'd' are on the right of 'a b -> a b c d' only",
    ],
    ['rearrange', () => rearrange(x, '... b -> b'), ValueError, "'...' is on the left"],
    ['rearrange', () => rearrange(x, 'a (2 b) -> a (2 b)'), ValueError, "'2' is on the left"],
    [
      'rearrange',
      () => rearrange(x, 'a b c -> a b c'),
      ShapeError,
      "rearrange: 'a b c -> a b c' is for 3 axes, got 2: [2, 6] f32",
    ],
    ['rearrange', () => rearrange(tensor(1), 'a ... -> a ...'), ShapeError, 'is for 1 axis or more, got 0'],
    [
      'rearrange',
      () => rearrange(x, 'a (b c) -> a b c', { b: 4 }),
      ShapeError,
      "rearrange: axis 1 of size 6 does not divide into (b c) of 'a (b c) -> a b c' by 4: [2, 6] f32",
    ],
    [
      'rearrange',
      () => rearrange(x, 'a (b c) -> a b c', { b: 2, c: 2 }),
      ShapeError,
      "axis 1 has size 6, 'a (b c) -> a b c' says (b c) = 4",
    ],
    [
      'rearrange',
      () => rearrange(x, 'a b -> b a', { a: 3 }),
      ShapeError,
      "axis 0 has size 2, 'a b -> b a' says a = 3",
    ],
    ['rearrange', () => rearrange(x, '1 b -> b'), ShapeError, "axis 0 has size 2, '1 b -> b' says 1"],
    [
      'rearrange',
      () => rearrange(x, 'a (b c) -> a b c'),
      ValueError,
      "the sizes of b and c in 'a (b c) -> a b c' cannot be told apart: [2, 6] f32. Hint: give all but one",
    ],
    [
      'rearrange',
      () => rearrange(x, 'a b -> b a', { q: 3 }),
      ValueError,
      "a size is given for 'q', which is not in 'a b -> b a'",
    ],
    [
      'rearrange',
      () => rearrange(x, 'a b -> b a', { a: 0.5 }),
      ValueError,
      'sizes must be integers ≥ 1, got a = 0.5',
    ],
    ['rearrange', () => rearrange([], 'a -> a'), ValueError, 'rearrange: needs at least one tensor'],
    [
      'rearrange',
      () => rearrange([x, zeros([3])], 'n a b -> n a b'),
      ShapeError,
      'must have one shape: [2, 6] f32, [3] f32',
    ],
    [
      'reduce',
      () => reduce(x, 'a b -> a c', 'sum'),
      ValueError,
      "reduce: 'c' is on the right of 'a b -> a c' only",
    ],
    [
      'reduce',
      () => x.reduce('a b -> a', 'median' as 'sum'),
      ValueError,
      "reduce: 'median' is no reduction. Hint: one of sum,",
    ],
    [
      'reduce',
      () => reduce(x, 'a b -> a', (y) => y),
      ShapeError,
      'reduce: the reduction must leave the shape [2]: [2, 6] f32',
    ],
    [
      'reduce',
      () => reduce(x, 'a (b 4) -> a b', 'max'),
      ShapeError,
      'axis 1 of size 6 does not divide into (b 4)',
    ],
    ['reduce', () => reduce(zeros([2, 0]), 'a b -> a', 'max'), ValueError, 'no value for an empty range'],
    [
      'repeat',
      () => repeat(x, 'a b -> a b c'),
      ValueError,
      "repeat: no size is given for 'c' in 'a b -> a b c': [2, 6] f32. Hint: as in { c: 2 }",
    ],
    [
      'repeat',
      () => repeat(x, 'a b -> a c', { c: 2 }),
      ValueError,
      "repeat: 'b' is on the left of 'a b -> a c' only",
    ],
    ['repeat', () => repeat(x, 'a 6 -> a 6'), ValueError, "repeat: '6' is on the left"],
  ];
  it.each(rows)('%s %#', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
  it('every method has a row', () => {
    const tried = new Set(rows.map(([name]) => name));
    expect(Object.keys(einopsMethods).filter((name) => !tried.has(name))).toEqual([]);
  });
});
