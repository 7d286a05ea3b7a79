/** Single ops, forward and with their gradients. */
import { vjp } from '@infinigrad/autograd';
import { causalAttention } from '@infinigrad/nn';
import { onesLike, scope, type Tensor } from '@infinigrad/tensor';
import { say } from '../run/lines.ts';
import type { Work } from '../workload/folder.ts';
import type { MicroCase, MicroOp, SingleOp } from '../workload/micro.ts';
import { timeOf } from './sample.ts';
import { readTensor } from './tensors.ts';

const gelu = (x: Tensor): Tensor => x.mul(1.1).add(0.1).geluTanh().mul(0.7);

const singles: Readonly<Record<SingleOp, (x: Tensor) => Tensor>> = {
  exp: (x) => x.exp(),
  log1p: (x) => x.log1p(),
  tanh: (x) => x.tanh(),
  sigmoid: (x) => x.sigmoid(),
  relu: (x) => x.relu(),
  silu: (x) => x.silu(),
  gelu: (x) => x.gelu(),
  geluTanh: (x) => x.geluTanh(),
  'add to itself': (x) => x.add(x),
  'add a row': (x) => x.add(x.narrow(0, 0, 1)),
  'sum of all': (x) => x.sum(),
  'sum of rows': (x) => x.sum(-1),
  'sum of columns': (x) => x.sum(0),
  'max of rows': (x) => x.max(-1),
  logSoftmax: (x) => x.logSoftmax(-1),
  copy: (x) => x.clone(),
  'transposed copy': (x) => x.transpose().clone(),
};

const forward: Readonly<Record<Exclude<MicroOp, 'single'>, (...x: Tensor[]) => Tensor>> = {
  matmul: (a, b) => a!.matmul(b!),
  gelu: (x) => scope(() => gelu(x!), { fuse: true }),
  geluSteps: (x) => gelu(x!),
  add: (a, b) => a!.add(b!),
  softmax: (x) => x!.softmax(-1),
  layerNorm: (x, weight, bias) => x!.layerNorm(weight!, bias, 1e-5),
  rmsNorm: (x, weight) => x!.rmsNorm(weight!, 1e-6),
  embedding: (table, index) => table!.indexSelect(0, index!),
  attention: (q, k, v) => causalAttention(q!, k!, v!),
};

/** The result, or the gradients of the inputs; to be called in a scope. */
function runner(
  work: Work,
  { op, single, inputs, transposed, gradient }: MicroCase,
): () => readonly Tensor[] {
  const tensors = inputs.map((name, i) => {
    const x = readTensor(work, name);
    return transposed?.[i] ? x.transpose() : x;
  });
  const f: (...x: Tensor[]) => Tensor = op === 'single' ? (x) => singles[single!](x!) : forward[op];
  if (!gradient) return () => [f(...tensors)];
  const upstream = gradient.upstream === null ? null : readTensor(work, gradient.upstream);
  return () => {
    const { value, pullback } = vjp(f, ...tensors);
    return pullback(upstream ?? onesLike(value));
  };
}

/** A number for all peers to agree on: the sum of the result, or of the first gradient's magnitudes. */
function checkOf(results: readonly Tensor[], gradient: boolean): number {
  const data = results[0]!.dataSync();
  let sum = 0;
  for (const value of data) sum += gradient ? Math.abs(value) : value;
  return sum;
}

export async function micro(benchmark: string, work: Work): Promise<void> {
  const { settings, cases } = work.file;
  for (const one of cases[benchmark] ?? []) {
    const { name, gradient, flops, micro: fine } = one;
    const run = runner(work, one);
    const check = scope(() => checkOf(run(), gradient !== undefined));
    const call = (): void => scope(() => void run());
    const { ms, cpu } = await timeOf(call, settings.sampling);
    if (flops === undefined)
      say({ name, ...(fine ? { value: ms * 1e3, unit: 'µs' } : { value: ms, unit: 'ms' }), cpu, check });
    else say({ name, value: flops / ms / 1e6, unit: 'GFLOP/s', cpu, check });
  }
}
