/** One training step: gradients of one batch or of several parts, and an update. */
import { keep, scope, Tensor, ValueError, type Key } from '@infinigrad/tensor';
import { noGrad, stopGradient } from '@infinigrad/autograd';
import type { Module } from '../module.ts';
import type { Optimizer } from '../optim/optimizer.ts';
import type { MixedPrecision } from './precision.ts';

/** What a loss function knows beside the batch. */
export interface LossContext {
  /** Steps done before this one. */
  readonly step: number;
  /** Of this step and this part of its batch; for dropout. */
  readonly key: Key | undefined;
  /** False in an evaluation. */
  readonly training: boolean;
  /** With mixed precision, a floating tensor in its dtype; else the tensor itself. */
  readonly lower: (x: Tensor) => Tensor;
}

/** A loss with whatever else is to be reported. */
export interface LossWithMetrics {
  /** A single number. */
  readonly loss: Tensor;
  /** Single numbers, averaged like the loss. */
  readonly metrics?: Readonly<Record<string, Tensor>>;
  /** Whatever else is to be handed out, logits say: tensors in arrays and plain objects, without history. */
  readonly aux?: unknown;
}

/** Synchronous: it builds the graph, and reads nothing. */
export type LossFunction<M, B> = (model: M, batch: B, context: LossContext) => Tensor | LossWithMetrics;

export interface TrainStepOptions<B> {
  /** What a part counts for beside the others: its number of tokens, say. Default 1. */
  readonly weight?: (batch: B) => number;
  readonly key?: Key;
  readonly precision?: MixedPrecision;
}

export interface TrainStepResult {
  /** The weighted mean over all parts, without history. */
  readonly loss: Tensor;
  readonly metrics: Readonly<Record<string, Tensor>>;
  /** What the loss function handed out, part by part. */
  readonly aux: readonly unknown[];
  /** Of all parts together. */
  readonly weight: number;
  /** True where gradients of f16 overflowed: nothing was changed but the loss scale. */
  readonly skipped: boolean;
}

/**
 * One step of an optimizer. Several batches are parts of one: the gradient is that of the weighted mean of their losses, and only one
 * part's graph is in memory at a time. A scope: what is made inside is given back, but for what is returned. On a backend whose
 * elements cannot be read at once, nothing is read.
 * @param parts at least one
 * @throws NumericError where the loss or the norm of the gradients is not finite (as far as that can be read); parameters, buffers
 * and the optimizer are then as before, as after every other error
 */
export function trainStep<M extends Module, B>(
  model: M,
  optimizer: Optimizer<any>,
  lossOf: LossFunction<M, B>,
  parts: readonly B[],
  { weight = () => 1, key, precision }: TrainStepOptions<B> = {},
): TrainStepResult {
  const op = 'trainStep';
  if (parts.length === 0) throw new ValueError(op, 'needs at least one batch');
  const weights = parts.map((batch) => checkWeight(op, weight(batch)));
  const buffers = model.buffers().map((buffer) => [buffer, buffer.detach()] as const);
  const scale = precision?.scale ?? 1;
  try {
    return scope(() => {
      optimizer.zeroGrad();
      try {
        const losses: Tensor[] = [];
        const metrics: Readonly<Record<string, Tensor>>[] = [];
        const aux: unknown[] = [];
        parts.forEach((batch, i) => {
          const context = contextOf(optimizer.stepCount, true, partKey(key, i, parts.length), precision);
          const f = (m: M): Tensor => {
            const made = parted(op, lossOf(m, batch, context));
            metrics.push(keep(detached(made.metrics)));
            aux.push(keep(stopGradient(made.aux)));
            precision?.checkLoss(made.loss);
            return made.loss;
          };
          // Relative, so that a single part counts as it would without weights.
          const relative = (weights[i]! / weights[0]!) * scale;
          const loss = optimizer.accumulate(() => (precision ? precision.run(model, f) : f(model)), relative);
          losses.push(keep(loss));
        });
        const skipped = precision ? !precision.accept(optimizer) : false;
        if (!skipped) optimizer.step();
        return {
          loss: meanOf(losses, weights),
          metrics: meansOf(metrics, weights),
          aux,
          weight: weights.reduce((a, b) => a + b, 0),
          skipped,
        };
      } finally {
        optimizer.zeroGrad();
      }
    });
  } catch (error) {
    for (const [buffer, value] of buffers) buffer.assign(value);
    throw error;
  }
}

export function contextOf(
  step: number,
  training: boolean,
  key: Key | undefined,
  precision: MixedPrecision | undefined,
): LossContext {
  return { step, key, training, lower: (x) => (precision ? precision.lower(x) : x) };
}

function partKey(key: Key | undefined, part: number, parts: number): Key | undefined {
  return parts === 1 ? key : key?.foldIn(part);
}

/** @throws ValueError where a loss function does not return what it should */
export function parted(op: string, made: Tensor | LossWithMetrics): LossWithMetrics {
  if (made instanceof Tensor) return { loss: made };
  if (!((made as LossWithMetrics | undefined)?.loss instanceof Tensor))
    throw new ValueError(op, 'the loss function must return a tensor, or { loss, metrics }', {
      hint: made instanceof Promise ? 'it must not be asynchronous' : 'did it forget to return?',
    });
  return made;
}

export function detached(metrics: Readonly<Record<string, Tensor>> = {}): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(metrics).map(([name, x]) => [name, x.detach()]));
}

export function checkWeight(op: string, weight: number): number {
  if (!(weight > 0 && weight < Infinity))
    throw new ValueError(op, `the weight of a batch must be a number > 0, got ${weight}`);
  return weight;
}

function meanOf(values: readonly Tensor[], weights: readonly number[]): Tensor {
  if (values.length === 1) return values[0]!;
  const total = weights.reduce((a, b) => a + b, 0);
  return noGrad(() => values.map((x, i) => x.mul(weights[i]! / total)).reduce((a, b) => a.add(b)));
}

function meansOf(
  all: readonly Readonly<Record<string, Tensor>>[],
  weights: readonly number[],
): Record<string, Tensor> {
  const names = Object.keys(all[0]!);
  for (const other of all)
    if (Object.keys(other).join() !== names.join())
      throw new ValueError('trainStep', 'the parts of a batch have different metrics');
  return Object.fromEntries(
    names.map((name) => [
      name,
      meanOf(
        all.map((metrics) => metrics[name]!),
        weights,
      ),
    ]),
  );
}
