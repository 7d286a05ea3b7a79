/** A small run that is killed and goes on: dropout, a schedule, shuffled data, momentum, an evaluation and the best model are in it. */
import {
  AdamW,
  crossEntropy,
  DataLoader,
  Dropout,
  Linear,
  Module,
  tensorDataset,
  Trainer,
  warmupCosine,
  type CheckpointStore,
} from '@infinigrad/nn';
import { Key, type Tensor } from '@infinigrad/tensor';

class Network extends Module {
  readonly first = new Linear(4, 8, { key: new Key(1) });
  readonly drop = new Dropout(0.25);
  readonly second = new Linear(8, 3, { key: new Key(2) });
  forward(x: Tensor, key?: Key): Tensor {
    return this.second.forward(this.drop.forward(this.first.forward(x).relu(), key));
  }
}

type Batch = Record<'x' | 'y', Tensor>;

export const steps = 30;

export function makeTrainer(checkpoints?: CheckpointStore): Trainer<Network, Batch> {
  const model = new Network();
  const x = new Key(3).normal([37, 4]);
  const dataset = tensorDataset({ x, y: x.argMax(-1).minimum(2) });
  return new Trainer<Network, Batch>({
    model,
    optimizer: new AdamW(model.parameters(), {
      learningRate: 0.01,
      maxGradNorm: 1,
      schedule: warmupCosine({ warmupSteps: 10, totalSteps: steps }),
    }),
    loss: (m, batch, { key }) => crossEntropy(m.forward(batch.x, key), batch.y),
    data: new DataLoader<Batch>(dataset, { batchSize: 4, shuffle: new Key(4) }),
    accumulate: 2,
    steps,
    key: new Key(5),
    evaluation: { data: new DataLoader<Batch>(dataset, { batchSize: 37 }), every: 7 },
    keepBest: true,
    ...(checkpoints && { checkpoints, saveEvery: 1 }),
    run: { name: 'killed' },
  });
}
