/** Reductions over any set of axes. */
import * as ir from '../ir.ts';
import { distinct, factors, truth } from './domains.ts';
import { anyDType, highest, lowest, numeric, reduction } from './families.ts';

const isTrue = (x: ir.Term): ir.Expr => ir.ne(x, 0);

export const reductions = {
  sum: reduction({
    doc: 'Sum; bool and u8 add up in i32. An empty sum is 0.',
    initial: () => 0,
    combine: ir.add,
  }),
  mean: reduction({
    doc: 'Arithmetic mean; integers in f32. The mean of nothing is NaN.',
    initial: () => 0,
    combine: ir.add,
    finish: (total, count) => ir.div(total, count),
    promote: 'float',
  }),
  prod: reduction({
    doc: 'Product; bool and u8 multiply in i32. An empty product is 1.',
    initial: () => 1,
    combine: ir.mul,
    domain: factors,
  }),
  max: reduction({
    doc: 'Largest element; NaN where there is one. Equal maxima share the gradient.',
    initial: lowest,
    combine: ir.max,
    promote: 'none',
    accepts: numeric,
    domain: distinct,
    refuseEmpty: true,
  }),
  min: reduction({
    doc: 'Smallest element; NaN where there is one. Equal minima share the gradient.',
    initial: highest,
    combine: ir.min,
    promote: 'none',
    accepts: numeric,
    domain: distinct,
    refuseEmpty: true,
  }),
  any: reduction({
    doc: 'True where any element is nonzero.',
    initial: () => 0,
    combine: (acc, x) => ir.or(acc, isTrue(x)),
    promote: 'none',
    accepts: anyDType,
    result: 'bool',
    domain: truth,
  }),
  all: reduction({
    doc: 'True where no element is zero.',
    initial: () => 1,
    combine: (acc, x) => ir.and(acc, isTrue(x)),
    promote: 'none',
    accepts: anyDType,
    result: 'bool',
    domain: truth,
  }),
};
