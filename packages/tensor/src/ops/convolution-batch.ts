/** Convolutions of a batch of examples, each with [N, C, ...] tensors of its own, as one convolution. */
import type { Tensor } from '../tensor.ts';
import { everyBatched, type Batch } from './batch.ts';

/** [B, N, C, ...] as [N, B · C, ...]: examples side by side in the channels. */
function intoChannels(x: Tensor): Tensor {
  const [size, n, channels, ...rest] = x.shape as [number, number, number, ...number[]];
  return x.moveAxis(0, 1).reshape([n, size * channels, ...rest]);
}

/** [N, B · C, ...] as [B, N, C, ...]. */
function outOfChannels(x: Tensor, size: number): Tensor {
  const [n, channels, ...rest] = x.shape as [number, number, ...number[]];
  return x.reshape([n, size, channels / size, ...rest]).moveAxis(1, 0);
}

/** The first two axes as one. */
const merged = (x: Tensor): Tensor => x.reshape([x.shape[0]! * x.shape[1]!, ...x.shape.slice(2)]);

/** With one weight for all, examples lie side by side in N; else each has its own groups of channels. */
export const ofWeight: Batch = (call, run) => {
  const { size, plan, batched } = call;
  if (size === 0) return null;
  const [x, weight] = everyBatched(call) as [Tensor, Tensor];
  if (!batched[1]) return run([merged(x), call.inputs[1]!], plan.attrs).reshape([size, ...plan.shape]);
  const groups = size * (plan.attrs['groups'] as number);
  return outOfChannels(run([intoChannels(x), merged(weight)], { ...plan.attrs, groups }), size);
};

/** The gradient of each example's weight, from groups of channels of its own. */
export const toWeight: Batch = (call, run) => {
  const { size, plan } = call;
  if (size === 0) return null;
  const [x, y] = everyBatched(call).map(intoChannels) as [Tensor, Tensor];
  const groups = size * (plan.attrs['groups'] as number);
  return run([x, y], { ...plan.attrs, groups }).reshape([size, ...plan.shape]);
};
