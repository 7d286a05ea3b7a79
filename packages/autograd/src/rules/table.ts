/** The derivative table: a rule, or the reason why there is none, for every op. A missing one does not compile. */
import type { OpName } from '@infinigrad/tensor';
import { arithmetic, choice, functions, relations } from './elementwise.ts';
import { fused, lines } from './fused.ts';
import type { Rule } from './rule.ts';
import { indexing, products, reductions, rows, views } from './structured.ts';

export type DerivativeTable = { readonly [K in OpName]: Rule };

export const derivatives: DerivativeTable = {
  ...arithmetic,
  ...functions,
  ...relations,
  ...choice,
  ...reductions,
  ...views,
  ...products,
  ...rows,
  ...indexing,
  ...lines,
  ...fused,
};
