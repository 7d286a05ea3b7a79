/** The promotion table: as documented, and beside PyTorch's, with every difference and its reason. */
import { readFileSync } from 'node:fs';
import {
  dtypes,
  fromData,
  maximum,
  promote,
  scalarDType,
  tensor,
  where,
  type DType,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { torch } from './torch.ts';

const document = readFileSync(new URL('../../../../docs/reference/promotion.md', import.meta.url), 'utf8');

const of = (dtype: DType, shape: readonly number[] = [2]): Tensor =>
  fromData(new Float64Array(shape.length === 0 ? 1 : 2).fill(1), shape, { dtype });
const numbers = { true: true, '1': 1, '-1': -1, '300': 300, '0.5': 0.5 } as const;
const ops: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  add: (x) => x.add(x),
  mul: (x) => x.mul(x),
  div: (x) => x.div(x),
  pow: (x) => x.pow(x),
  maximum: (x) => maximum(x, x),
  exp: (x) => x.exp(),
  sqrt: (x) => x.sqrt(),
  neg: (x) => x.neg(),
  floor: (x) => x.floor(),
  eq: (x) => x.eq(x),
  sum: (x) => x.sum(),
  mean: (x) => x.mean(),
  prod: (x) => x.prod(),
  cumsum: (x) => x.cumsum(0),
  softmax: (x) => x.softmax(0),
  matmul: (x) => x.matmul(x),
};
const attempt = (f: () => Tensor): string => {
  try {
    return f().dtype;
  } catch (error) {
    expect((error as Error).name).toBe('DTypeError');
    return 'error';
  }
};

type Table = Record<string, Record<string, string>>;
const tableOf = (
  rows: readonly string[],
  columns: readonly string[],
  cell: (row: string, column: string) => string,
): Table =>
  Object.fromEntries(rows.map((row) => [row, Object.fromEntries(columns.map((c) => [c, cell(row, c)]))]));
const truth = tensor([true, true]);
const ours = {
  pairs: tableOf(dtypes, dtypes, (a, b) => promote(a as DType, b as DType)),
  numbers: tableOf(dtypes, Object.keys(numbers), (a, n) =>
    scalarDType(numbers[n as keyof typeof numbers], a as DType),
  ),
  ranked: tableOf(dtypes, dtypes, (a, b) => where(truth, of(a as DType), of(b as DType, [])).dtype),
  ops: tableOf(Object.keys(ops), dtypes, (op, a) => attempt(() => ops[op]!(of(a as DType)))),
};
type Name = keyof typeof ours;

/** A table as Markdown, columns aligned as the formatter does it. */
function markdown(head: string, table: Table, columns: readonly string[] = dtypes): string {
  const rows = [
    [head, ...columns],
    ...Object.entries(table).map(([row, cells]) => [`**${row}**`, ...columns.map((c) => cells[c]!)]),
  ];
  const widths = rows[0]!.map((_, i) => Math.max(3, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(rows[0]!), line(widths.map((n) => '-'.repeat(n))), ...rows.slice(1).map(line)].join('\n');
}

/** Where PyTorch answers otherwise, and why we do not follow: by table, each a list of `row column: theirs, ours`. */
const reasons: Readonly<Record<string, { readonly table: Name; readonly cells: readonly string[] }>> = {
  'There is no int64: i32 is the integer dtype, and what PyTorch counts in int64 is counted in i32.': {
    table: 'numbers',
    cells: ['bool 1: int64, i32', 'bool -1: int64, i32', 'bool 300: int64, i32'],
  },
  'A number that u8 cannot hold does not wrap round without a word.': {
    table: 'numbers',
    cells: ['u8 -1: u8, i32', 'u8 300: u8, i32'],
  },
  'A tensor of rank 0 is a tensor like any other: the dtype of a result does not depend on the rank of what goes in.':
    {
      table: 'ranked',
      cells: [
        'u8 i32: u8, i32',
        'f16 bf16: f16, f32',
        'f16 f32: f16, f32',
        'f16 f64: f16, f64',
        'bf16 f16: bf16, f32',
        'bf16 f32: bf16, f32',
        'bf16 f64: bf16, f64',
        'f32 f64: f32, f64',
      ],
    },
  'Arithmetic on truth values counts: true + true is 2.': {
    table: 'ops',
    cells: ['add bool: bool, i32', 'mul bool: bool, i32', 'pow bool: error, i32', 'maximum bool: bool, i32'],
  },
  'Sums and products of integers: there is no int64.': {
    table: 'ops',
    cells: ['sum', 'prod', 'cumsum'].flatMap((op) =>
      ['bool', 'u8', 'i32'].map((dtype) => `${op} ${dtype}: int64, i32`),
    ),
  },
  'Matrix products are of floating point: integers are multiplied in f32, exactly up to 2^24.': {
    table: 'ops',
    cells: ['matmul bool: error, f32', 'matmul u8: u8, f32', 'matmul i32: i32, f32'],
  },
  'The mean and the softmax of integers are asked for often enough: they are computed in f32.': {
    table: 'ops',
    cells: ['mean', 'softmax'].flatMap((op) =>
      ['bool', 'u8', 'i32'].map((dtype) => `${op} ${dtype}: error, f32`),
    ),
  },
};
const differences = (name: Name): string[] =>
  Object.entries(torch[name]).flatMap(([row, cells]) =>
    Object.entries(cells).flatMap(([column, theirs]) => {
      const mine = ours[name][row]![column]!;
      return mine === theirs ? [] : [`${row} ${column}: ${theirs}, ${mine}`];
    }),
  );

describe('beside PyTorch', () => {
  it.each(Object.keys(ours) as Name[])('%s: the same but for what is listed', (name) => {
    expect(Object.keys(torch[name])).toEqual(Object.keys(ours[name]));
    const listed = Object.values(reasons).flatMap(({ table, cells }) => (table === name ? cells : []));
    expect(differences(name).sort()).toEqual([...listed].sort());
  });
});

describe('the document', () => {
  it.each([
    ['a, b', ours.pairs, dtypes],
    ['tensor', ours.numbers, ['true', '1', '-1', '300', '0.5']],
    ['op', ours.ops, dtypes],
  ] as const)('has the table under %s', (head, table, columns) =>
    expect(document).toContain(markdown(head, table, columns)),
  );
  it.each(Object.entries(reasons))('has this reason and what it is for: %s', (reason, { cells }) =>
    expect(document).toContain(`- ${reason}\n  ${cells.map((cell) => `\`${cell}\``).join(' · ')}\n`),
  );
});

describe('the rule', () => {
  it('is that of a lattice: order and grouping do not matter', () => {
    for (const a of dtypes)
      for (const b of dtypes) {
        expect(promote(a, b)).toBe(promote(b, a));
        for (const c of dtypes) expect(promote(promote(a, b), c)).toBe(promote(a, promote(b, c)));
      }
  });
  it('is what ops that only move follow for tensors, and for tensors and numbers', () => {
    for (const a of dtypes) {
      for (const b of dtypes) expect(where(truth, of(a), of(b)).dtype).toBe(ours.pairs[a]![b]);
      for (const [text, n] of Object.entries(numbers))
        expect(where(truth, of(a), n).dtype).toBe(ours.numbers[a]![text]);
    }
  });
});
