/** The op table: every op there is, by name. */
import { arithmetic, choice, functions, logic, relations } from './elementwise.ts';
import { attentions } from './attention.ts';
import { fourier } from './fourier.ts';
import { indexing } from './indexing.ts';
import { linalg } from './linalg.ts';
import { losses } from './losses.ts';
import { norms } from './norms.ts';
import { positions } from './rotary.ts';
import { updates } from './updates.ts';
import { products } from './matmul.ts';
import type {
  ElementwiseRecord,
  FusedRecord,
  OpRecord,
  ReductionRecord,
  StructuredRecord,
  ViewRecord,
} from './record.ts';
import { reductions } from './reductions.ts';
import { rows } from './rows.ts';
import { scatters } from './scatter.ts';
import { sorting } from './sorting.ts';
import { specials } from './special.ts';
import { views } from './views.ts';
import { windowing } from './windows.ts';

export const opTable = {
  ...arithmetic,
  ...functions,
  ...relations,
  ...logic,
  ...choice,
  ...reductions,
  ...views,
  ...products,
  ...rows,
  ...indexing,
  ...norms,
  ...attentions,
  ...positions,
  ...losses,
  ...updates,
  ...specials,
  ...scatters,
  ...sorting,
  ...windowing,
  ...fourier,
  ...linalg,
} satisfies Record<string, OpRecord>;

/** The ops by what they are about, for whoever lists them. */
export const opFamilies: Readonly<Record<string, Readonly<Record<string, OpRecord>>>> = {
  Arithmetic: arithmetic,
  'Functions of one number': functions,
  'Special functions and activations': specials,
  Comparison: relations,
  Logic: logic,
  'Choice and conversion': choice,
  Reductions: reductions,
  Views: views,
  Products: products,
  'Along an axis': rows,
  'Orders and running extremes': sorting,
  'Joining and indexing': indexing,
  'Scattering and searching': scatters,
  'Windows and convolutions': windowing,
  'Fourier transforms': fourier,
  'Linear algebra': linalg,
  Normalisation: norms,
  Attention: attentions,
  'Rotary positions': positions,
  Losses: losses,
  'Parameter updates': updates,
};

export type OpTable = typeof opTable;
export type OpName = keyof OpTable;
type NamesOf<Record> = { [K in OpName]: OpTable[K] extends Record ? K : never }[OpName];
export type ElementwiseOp = NamesOf<ElementwiseRecord>;
export type ReductionOp = NamesOf<ReductionRecord>;
export type ViewOp = NamesOf<ViewRecord>;
export type StructuredOp = NamesOf<StructuredRecord>;
export type FusedOp = NamesOf<FusedRecord>;

export const opNames = Object.keys(opTable) as OpName[];

/** The record of an op, under the common type. */
export function recordOf(op: OpName): OpRecord {
  return opTable[op];
}
