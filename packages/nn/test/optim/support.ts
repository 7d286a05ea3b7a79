/** A small model in training with AdamW, and what there is to see of it. */
import { AdamW, Parameter, warmupCosine, type OptimizerState } from '@infinigrad/nn';
import { Key, type FloatDType, type Tensor } from '@infinigrad/tensor';
import { numbers } from '../support.ts';

export const dtype = 'f64' as const;

/** The error that a call must throw. */
export function thrownBy(body: () => unknown): Error {
  try {
    body();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

/** A small model, its optimizer and batches, all made anew from one seed. */
export function training(kind: FloatDType): {
  readonly params: Parameter[];
  readonly optimizer: AdamW;
  readonly step: (i: number) => number;
} {
  const key = new Key(7);
  const params = [[3, 4], [4], [4, 2]].map(
    (shape, i) => new Parameter(key.foldIn(i).normal(shape, { dtype: kind })),
  );
  const [w, b, u] = params as [Parameter, Parameter, Parameter];
  const optimizer = new AdamW(
    [
      { params: [w, u], weightDecay: 0.1 },
      { params: [b], weightDecay: 0, learningRate: 0.03 },
    ],
    { learningRate: 0.05, maxGradNorm: 1, schedule: warmupCosine({ warmupSteps: 3, totalSteps: 12 }) },
  );
  const step = (i: number): number => {
    const x = key.foldIn(100 + i).normal([5, 3], { dtype: kind });
    // The last parameter takes part from step 2 on.
    const loss = (): Tensor => {
      const h = x.matmul(w).add(b).tanh();
      return (i < 2 ? h : h.matmul(u)).square().mean();
    };
    return optimizer.minimize(loss).itemSync();
  };
  return { params, optimizer, step };
}
export type Training = ReturnType<typeof training>;
export const valuesOf = ({ params }: Training): number[][] => params.map(numbers);
export const plainState = ({ step, tensors }: OptimizerState): object => ({
  step,
  tensors: Object.fromEntries(
    Object.entries(tensors).map(([name, x]) => [name, { dtype: x.dtype, shape: x.shape, data: numbers(x) }]),
  ),
});
