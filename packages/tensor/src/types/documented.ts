/** The names of the ops, with what editors show of them where it has been written. */
import type { OpName } from '../ops/table.ts';
import type { OpDocs } from './op-docs.ts';

export type Documented = OpDocs & Readonly<Record<OpName, unknown>>;
