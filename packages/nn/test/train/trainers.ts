/** A trainer of the small model, where it saves, and states without what is a handle. */
import {
  AdamW,
  Trainer,
  warmupCosine,
  type CheckpointStore,
  type TrainerEvents,
  type TrainerOptions,
  type TrainerState,
} from '@infinigrad/nn';
import { Key } from '@infinigrad/tensor';
import { loaderOf, lossOf, Network, type Batch } from './support.ts';

export type Options = Partial<TrainerOptions<Network, Batch>>;

export function make(options: Options = {}): Trainer<Network, Batch> {
  const model = options.model ?? new Network();
  return new Trainer<Network, Batch>({
    model,
    optimizer: new AdamW(model.parameters(), {
      learningRate: 0.02,
      maxGradNorm: 1,
      schedule: warmupCosine({ warmupSteps: 3, totalSteps: 40 }),
    }),
    loss: lossOf,
    data: loaderOf(),
    key: new Key(5),
    ...(options.epochs === undefined && { steps: 12 }),
    ...options,
  });
}

/** A state without what is a handle. */
export const seen = ({ tensors, meta }: TrainerState): unknown => ({
  meta,
  tensors: Object.entries(tensors).map(([name, x]) => [name, x.dtype, x.shape, [...x.dataSync()]]),
});
/** A state as a file would hold it. */
export const saved = ({ tensors, meta }: TrainerState): TrainerState => ({
  tensors,
  meta: JSON.parse(JSON.stringify(meta)) as TrainerState['meta'],
});

/** Everything a trainer tells, as words. */
export function listen(trainer: Trainer<Network, Batch>): string[] {
  const said: string[] = [];
  const types = ['start', 'step', 'log', 'evaluate', 'epoch', 'save', 'stop', 'error'] as const;
  for (const type of types)
    trainer.on(type, (event: TrainerEvents[typeof type]) => {
      said.push(`${type} ${'step' in event ? event.step : ''}${'reason' in event ? ` ${event.reason}` : ''}`);
    });
  return said;
}

export const store = (): CheckpointStore & { saved: [TrainerState, number | undefined][] } => {
  const list: [TrainerState, number | undefined][] = [];
  return {
    saved: list,
    save: async (state, { value }) => void list.push([saved(state), value]),
    latest: async () => list.at(-1)?.[0] ?? null,
  };
};
