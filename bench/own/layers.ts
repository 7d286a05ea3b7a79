/**
 * What layers and the Trainer cost: the small GPT by ops alone with a loop of one's own, and of nn's layers under the Trainer,
 * in turn in one process, from the same weights on the same batches.
 */
import {
  AdamW,
  crossEntropy,
  Embedding,
  LayerNorm,
  Linear,
  MLP,
  Module,
  MultiHeadAttention,
  Parameter,
  Residual,
  Trainer,
} from '@infinigrad/nn';
import { fromData, Key, scope, type Tensor } from '@infinigrad/tensor';
import { say } from '../run/lines.ts';
import type { GptSizes } from '../workload/gpt.ts';
import type { GptWork, Work } from '../workload/folder.ts';
import { breathe, median, withCpu } from './sample.ts';
import { readTensor } from './tensors.ts';

/** Of nn's layers. */
class LayeredGpt extends Module {
  readonly tokens: Embedding;
  readonly positions: Embedding;
  readonly blocks: { readonly attention: Residual; readonly mlp: Residual }[];
  readonly norm: LayerNorm;
  readonly head: Linear;

  constructor({ layers, width, heads, inner, length, vocabulary }: GptSizes, key: Key) {
    super();
    const [tokens, positions, head, ...rest] = key.split(3 + 2 * layers) as [Key, Key, Key, ...Key[]];
    this.tokens = new Embedding(vocabulary, width, { key: tokens });
    this.positions = new Embedding(length, width, { key: positions });
    this.blocks = Array.from({ length: layers }, (_, i) => ({
      attention: new Residual(
        new MultiHeadAttention(width, { numHeads: heads, causal: true, key: rest[2 * i]! }),
        { norm: new LayerNorm(width) },
      ),
      mlp: new Residual(new MLP(width, inner, { activation: 'geluTanh', key: rest[2 * i + 1]! }), {
        norm: new LayerNorm(width),
      }),
    }));
    this.norm = new LayerNorm(width);
    this.head = new Linear(width, vocabulary, { key: head, bias: false });
  }

  forward(ids: Tensor): Tensor {
    let x = this.tokens.forward(ids).add(this.positions.weight);
    for (const { attention, mlp } of this.blocks) x = mlp.forward(attention.forward(x));
    return this.head.forward(this.norm.forward(x));
  }
}

type Weights = Readonly<Record<string, Tensor>>;

/** By ops alone, of weights under the names of the layered one. */
function logitsOf(
  w: Weights,
  { layers, width, heads, batch, length, vocabulary }: GptSizes,
  ids: Tensor,
): Tensor {
  const linear = (x: Tensor, name: string): Tensor => x.matmul(w[`${name}.weight`]!.transpose());
  const affine = (x: Tensor, name: string): Tensor => linear(x, name).add(w[`${name}.bias`]!);
  const norm = (x: Tensor, name: string): Tensor =>
    x.layerNorm(w[`${name}.weight`]!, w[`${name}.bias`]!, 1e-5);
  const split = (x: Tensor): Tensor => x.reshape([batch, length, heads, width / heads]).transpose(1, 2);
  const rows = [batch * length, width];
  let x = w['tokens.weight']!.indexSelect(0, ids.reshape([batch * length]))
    .reshape([batch, length, width])
    .add(w['positions.weight']!)
    .reshape(rows);
  for (let i = 0; i < layers; i++) {
    const at = `blocks.${i}.attention`;
    const normed = norm(x, `${at}.norm`);
    const [q, k, v] = ['q', 'k', 'v'].map((name) => split(affine(normed, `${at}.inner.${name}Proj`))) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const mixed = q.attention(k, v, { causal: true }).narrow(-1, 0, width / heads);
    x = x.add(affine(mixed.transpose(1, 2).reshape(rows), `${at}.inner.oProj`));
    const mlp = `blocks.${i}.mlp`;
    const hidden = affine(norm(x, `${mlp}.norm`), `${mlp}.inner.upProj`).geluTanh();
    x = x.add(affine(hidden, `${mlp}.inner.downProj`));
  }
  return linear(norm(x, 'norm'), 'head').reshape([batch, length, vocabulary]);
}

/** The weights that everybody starts from, under the names of the layered one. */
function stateOf(work: Work, { weights, layers, width }: GptWork): Weights {
  const given = new Map(
    weights.map(({ name, linear }) => {
      const value = readTensor(work, `small/${name}`);
      return [name, linear ? value.transpose() : value];
    }),
  );
  const state: Record<string, Tensor> = {};
  for (const name of ['tokens.weight', 'positions.weight', 'norm.weight', 'norm.bias', 'head.weight'])
    state[name] = given.get(name)!;
  for (let i = 0; i < layers; i++)
    for (const part of ['weight', 'bias']) {
      const of = (name: string): Tensor => given.get(`blocks.${i}.${name}.${part}`)!;
      const [attention, mlp] = [`blocks.${i}.attention`, `blocks.${i}.mlp`];
      ['q', 'k', 'v'].forEach((name, j) => {
        state[`${attention}.inner.${name}Proj.${part}`] = of('qkv').narrow(0, j * width, width);
      });
      state[`${attention}.inner.oProj.${part}`] = of('proj');
      state[`${attention}.norm.${part}`] = of('norm1');
      state[`${mlp}.norm.${part}`] = of('norm2');
      state[`${mlp}.inner.upProj.${part}`] = of('up');
      state[`${mlp}.inner.downProj.${part}`] = of('down');
    }
  return state;
}

export async function layers(work: Work): Promise<void> {
  const sizes = work.file.gpts['small']!;
  const { steps } = work.file.settings;
  const { learningRate, beta1, beta2, eps, weightDecay } = work.file.adamW;
  const settings = { learningRate, betas: [beta1, beta2], eps, weightDecay } as const;
  const model = new LayeredGpt(sizes, new Key(0));
  scope(() => model.loadStateDict(stateOf(work, sizes)));
  const own = Object.fromEntries([...model.namedParameters()].map(([name, p]) => [name, new Parameter(p)]));
  const [x, y] = [work.read('small/x'), work.read('small/y')];
  const size = sizes.batch * sizes.length;
  const batchOf = (step: number): [Tensor, Tensor] =>
    [x, y].map(({ data }) =>
      fromData(data.subarray(step * size, (step + 1) * size) as Int32Array, [sizes.batch, sizes.length]),
    ) as [Tensor, Tensor];
  const trainer = new Trainer({
    model,
    optimizer: new AdamW(model.parameters(), settings),
    data: batchOf,
    steps: steps.small,
    logEvery: 1,
    loss: (m, [ids, targets]) => crossEntropy(m.forward(ids), targets),
  });
  const layered: number[] = [];
  trainer.on('log', ({ values }) => void layered.push(values['loss']!));
  const optimizer = new AdamW(Object.values(own), settings);
  const plain: number[] = [];
  const run = trainer.run();
  const times: Record<'plain' | 'layered', number[]> = { plain: [], layered: [] };
  const { cpu } = await withCpu(async () => {
    for (let step = 0; step < steps.small; step++) {
      const ways = {
        plain: () =>
          scope(() => {
            const [ids, targets] = batchOf(step);
            const loss = optimizer.minimize(() => crossEntropy(logitsOf(own, sizes, ids), targets));
            plain.push(loss.itemSync());
          }),
        layered: () => run.next(),
      };
      for (const name of step % 2 === 0 ? (['plain', 'layered'] as const) : (['layered', 'plain'] as const)) {
        const before = performance.now();
        await ways[name]();
        times[name].push(performance.now() - before);
        await breathe();
      }
    }
    await run.next();
  });
  const timed = (name: 'plain' | 'layered'): number => median(times[name].slice(steps.untimed));
  say({ name: 'layers/by ops', value: timed('plain'), unit: 'ms', cpu });
  say({ name: 'layers/by layers, Trainer', value: timed('layered'), unit: 'ms', cpu });
  say({
    name: 'layers/more time by layers',
    value: (timed('layered') / timed('plain') - 1) * 100,
    unit: '%',
  });
  say({ name: 'layers/loss by ops', value: plain.at(-1)!, unit: 'nats' });
  say({ name: 'layers/loss by layers', value: layered.at(-1)!, unit: 'nats' });
}
