/** What the tests of training share: a small model with everything that makes runs hard to repeat, and a backend that cannot be read at once. */
import {
  BatchNorm1d,
  crossEntropy,
  DataLoader,
  Dropout,
  Linear,
  Module,
  tensorDataset,
} from '@infinigrad/nn';
import {
  BackendError,
  getBackend,
  Key,
  registerBackend,
  type Backend,
  type Tensor,
} from '@infinigrad/tensor';

export type Batch = Record<'x' | 'y', Tensor>;

/** Dropout needs a key, batch norm has buffers. */
export class Network extends Module {
  readonly first = new Linear(4, 8, { key: new Key(1) });
  readonly norm = new BatchNorm1d(8);
  readonly drop: Dropout;
  readonly second = new Linear(8, 3, { key: new Key(2) });

  constructor(p = 0.25) {
    super();
    this.drop = new Dropout(p);
  }

  forward(x: Tensor, key?: Key): Tensor {
    return this.second.forward(this.drop.forward(this.norm.forward(this.first.forward(x)).relu(), key));
  }
}

export function samples(count = 23): Batch {
  const x = new Key(3).normal([count, 4]);
  return { x, y: x.argMax(-1).minimum(2) };
}

export const loaderOf = (batchSize = 5, count = 23): DataLoader<Batch, Batch> =>
  new DataLoader<Batch, Batch>(tensorDataset(samples(count)), { batchSize, shuffle: new Key(4) });

export const lossOf = (model: Network, { x, y }: Batch, { key }: { readonly key: Key | undefined }): Tensor =>
  crossEntropy(model.forward(x, key), y);

export const valuesOf = (model: Module): number[][] =>
  Object.values(model.stateDict()).map((x) => Array.from(x.dataSync()));

/** The js backend, but whoever wants to read has to wait. */
export function laterBackend(): Backend {
  const js = getBackend('js');
  const own: Partial<Backend> = {
    name: 'later',
    synchronous: false,
    fuses: false,
    download: async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 0));
      return js.downloadSync(...args);
    },
    downloadSync: () => {
      throw new BackendError('data', 'the later backend cannot be read at once');
    },
  };
  const backend = new Proxy(js, {
    get: (_, name) => {
      if (name in own) return own[name as keyof Backend];
      const value: unknown = Reflect.get(js, name, js);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(js) : value;
    },
    set: (_, name, value) => Reflect.set(own, name, value),
  });
  registerBackend(backend);
  return backend;
}
