/** A linear model in f64 for tests of steps. */
import { Linear, mseLoss, type LossFunction } from '@infinigrad/nn';
import { Key, type Tensor } from '@infinigrad/tensor';
import type { Batch } from './support.ts';

export const dtype = 'f64' as const;

/** A linear model and rows for it, in f64. */
export function regression(rows = 12): { model: Linear; x: Tensor; y: Tensor } {
  return {
    model: new Linear(3, 2, { key: new Key(1), dtype }),
    x: new Key(2).normal([rows, 3], { dtype }),
    y: new Key(3).normal([rows, 2], { dtype }),
  };
}
export const squares: LossFunction<Linear, Batch> = (m, { x, y }) => mseLoss(m.forward(x), y);
export const rowsOf = ({ x }: Batch): number => x.shape[0]!;
