/** The derivative table: a rule, or the reason why there is none, for every op. A missing one does not compile. */
import type { OpName } from '@infinigrad/tensor';
import { arithmetic, choice, functions, relations } from './elementwise.ts';
import { fourier } from './fourier.ts';
import { fused, lines } from './fused.ts';
import { linalg } from './linalg.ts';
import type { Rule } from './rule.ts';
import { scatters } from './scatter.ts';
import { sorting } from './sorting.ts';
import { specials } from './special.ts';
import { indexing, products, reductions, rows, views } from './structured.ts';
import { windowing } from './windows.ts';

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
  ...specials,
  ...scatters,
  ...sorting,
  ...windowing,
  ...fourier,
  ...linalg,
};
