/** The mean of a loss and of metrics over data, without training. */
import { inferenceMode } from '@infinigrad/autograd';
import { keep, ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import { checkCount } from '../data/cursor.ts';
import type { Module } from '../module.ts';
import type { MixedPrecision } from './precision.ts';
import { checkWeight, contextOf, detached, parted, type LossFunction } from './step.ts';

export interface EvaluateOptions<B> {
  /** What a batch counts for beside the others. Default 1. */
  readonly weight?: (batch: B) => number;
  /** For a model that needs one. Default: none. */
  readonly key?: Key;
  readonly precision?: MixedPrecision;
  /** Batches that are looked at. Default: all there are. */
  readonly limit?: number;
  /** What the loss function is told. Default 0. */
  readonly step?: number;
}

/**
 * The weighted means, over all batches, of the loss and the metrics that the loss function gives. The model is in evaluation mode
 * meanwhile; nothing is recorded, and nothing is read before the end.
 * @returns numbers by name, `loss` first
 * @throws ValueError where there are no batches
 */
export async function evaluate<M extends Module, B>(
  model: M,
  lossOf: LossFunction<M, B>,
  data: AsyncIterable<B> | Iterable<B>,
  { weight = () => 1, key, precision, limit = Infinity, step = 0 }: EvaluateOptions<B> = {},
): Promise<{ readonly loss: number } & Readonly<Record<string, number>>> {
  const op = 'evaluate';
  if (limit !== Infinity) checkCount(op, 'limit', limit);
  const modes = model.modules().map((module) => [module, module.training] as const);
  const results: { readonly weight: number; readonly values: Readonly<Record<string, Tensor>> }[] = [];
  model.eval();
  try {
    for await (const batch of data) {
      const context = contextOf(step, false, key?.foldIn(results.length), precision);
      const values = inferenceMode(() => {
        const f = (m: M): Record<string, Tensor> => {
          const { loss, metrics } = parted(op, lossOf(m, batch, context));
          return keep({ loss: loss.detach(), ...detached(metrics) });
        };
        return precision ? precision.run(model, f) : f(model);
      });
      results.push({ weight: checkWeight(op, weight(batch)), values });
      if (results.length >= limit) break;
    }
  } finally {
    for (const [module, mode] of modes) module.training = mode;
  }
  if (results.length === 0) throw new ValueError(op, 'there are no batches');
  const total = results.reduce((sum, result) => sum + result.weight, 0);
  const means: Record<string, number> = {};
  for (const name of Object.keys(results[0]!.values)) {
    const values = await Promise.all(results.map((result) => result.values[name]!.item()));
    means[name] = values.reduce((sum, value, i) => sum + value * results[i]!.weight, 0) / total;
  }
  return means as { readonly loss: number } & Record<string, number>;
}
