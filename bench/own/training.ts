/** A training step of a GPT: forward, cross-entropy, backward, AdamW. */
import { AdamW, crossEntropy } from '@infinigrad/nn';
import { fromData, Key, scope, type Tensor } from '@infinigrad/tensor';
import { Gpt } from '../gpt.ts';
import { say } from '../run/lines.ts';
import type { Work } from '../workload/folder.ts';
import { knownLosses, type GptName } from '../workload/gpt.ts';
import { breathe, median, withCpu } from './sample.ts';
import { readTensor } from './tensors.ts';

/** A GPT with the weights that everybody starts from, its optimizer and its batches. */
export class Training {
  readonly model: Gpt;
  readonly optimizer: AdamW;
  readonly #shape: readonly [number, number];
  readonly #batches: readonly (readonly [Int32Array, Int32Array])[];

  constructor(work: Work, name: GptName) {
    const sizes = work.file.gpts[name]!;
    const { learningRate, beta1, beta2, eps, weightDecay } = work.file.adamW;
    const model = new Gpt(sizes, new Key(0));
    scope(() => {
      const state = sizes.weights.map(({ name: weight, linear }) => {
        const value = readTensor(work, `${name}/${weight}`);
        return [weight, linear ? value.transpose() : value] as const;
      });
      model.loadStateDict(Object.fromEntries(state));
    });
    this.model = model;
    this.optimizer = new AdamW(model.parameters(), { learningRate, betas: [beta1, beta2], eps, weightDecay });
    this.#shape = [sizes.batch, sizes.length];
    const size = sizes.batch * sizes.length;
    const [x, y] = [work.read(`${name}/x`), work.read(`${name}/y`)];
    this.#batches = Array.from({ length: x.shape[0]! }, (_, step) => {
      const cut = ({ data }: typeof x): Int32Array =>
        data.subarray(step * size, (step + 1) * size) as Int32Array;
      return [cut(x), cut(y)];
    });
  }

  /** The loss on the batch of a step, counted from 0. */
  loss(step: number): Tensor {
    const [x, y] = this.#batches[step]!.map((ids): Tensor => fromData(ids, this.#shape)) as [Tensor, Tensor];
    return crossEntropy(this.model.forward(x), y);
  }

  /** One training step, counted from 0. */
  step(step: number): number {
    return scope(() => this.optimizer.minimize(() => this.loss(step)).itemSync());
  }
}

export async function training(name: GptName, work: Work): Promise<void> {
  const { steps: amounts } = work.file.settings;
  const steps = amounts[name];
  const { batch, length } = work.file.gpts[name]!;
  const run = new Training(work, name);
  const times: number[] = [];
  const losses: number[] = [];
  const { cpu } = await withCpu(async () => {
    for (let i = 0; i < steps; i++) {
      const before = performance.now();
      losses.push(run.step(i));
      times.push(performance.now() - before);
      await breathe();
    }
  });
  const ms = median(times.slice(Math.min(amounts.untimed, steps - 1)));
  const row = `gpt-${name}`;
  say({ name: `${row}/step`, value: ms, unit: 'ms', cpu });
  say({ name: `${row}/tokens`, value: ((batch * length) / ms) * 1e3, unit: 'tokens/s', cpu });
  say({ name: `${row}/first step`, value: times[0]!, unit: 'ms' });
  for (const at of Object.keys(knownLosses[name])
    .map(Number)
    .filter((at) => at <= steps))
    say({ name: `${row}/loss at ${at}`, value: losses[at - 1]!, unit: 'nats' });
}
