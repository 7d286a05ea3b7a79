/** What PyTorch answers: scripts/fixtures/promotion.py. */
import { readFileSync } from 'node:fs';

type Table = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface Torch {
  /** torch.promote_types. */
  readonly pairs: Table;
  /** torch.result_type of a tensor and a plain number. */
  readonly numbers: Table;
  /** torch.result_type of a tensor and one of rank 0. */
  readonly ranked: Table;
  /** The dtype of an op's result by that of its operands. */
  readonly ops: Table;
  readonly halves: {
    /** The bits of f32 numbers, and the words they become. */
    readonly singles: readonly number[];
    readonly f16: readonly number[];
    readonly bf16: readonly number[];
    /** Numbers, and the words of f16 that NumPy makes of them. */
    readonly doubles: readonly number[];
    readonly f16OfDoubles: readonly number[];
    /** The sum modulo 2^32 of (word + 1) · (bits as f32), over all words but NaNs. */
    readonly widened: { readonly f16: number; readonly bf16: number };
  };
}

export const torch = JSON.parse(
  readFileSync(new URL('fixtures/promotion.json', import.meta.url), 'utf8'),
) as Torch;
