/** The benchmarks there are. */
import { memoryWays } from './own/ways.ts';

export interface BenchmarkInfo {
  readonly title: string;
  readonly about: string;
  /** Parts measured in processes of their own; one of the benchmark's name unless told. */
  readonly parts?: readonly string[];
  /** What the peers are asked for, where that differs from the parts. */
  readonly peerParts?: readonly string[];
  /** Only the framework itself is measured. */
  readonly alone?: true;
}

export const benchmarks = {
  matmul: { title: 'Matrix products', about: 'f32, transposed operands as views.' },
  batched: { title: 'Batched matrix products', about: '[32, 128, 64] · [32, 64, 128].' },
  elementwise: {
    title: 'Elementwise',
    about:
      'geluTanh(1.1 x + 0.1) · 0.7 on 1,048,576 elements: by ours as one pass (a fusing scope) and op by op, by jax-js under `jit`.',
  },
  softmax: { title: 'Softmax', about: 'Over the last axis.' },
  norms: { title: 'Norms', about: 'Over the last axis; gradients of input, weight and bias.' },
  embedding: { title: 'Embedding', about: 'Rows of a table; the gradient is dense, of the table’s size.' },
  attention: {
    title: 'Causal attention',
    about: 'batch × heads × T × head size; gradients of queries, keys and values.',
  },
  'gpt-small': {
    title: 'Training step of a small GPT',
    about:
      '4 layers of width 128, 4 heads, 128 positions, batch 8, vocabulary 256: 875,264 parameters. Forward, cross-entropy, backward, AdamW. Weights and batches are the same for all, so the losses must be.',
  },
  'gpt-large': {
    title: 'Training step of a larger GPT',
    about: '6 layers of width 256, 4 heads, 256 positions, batch 4, vocabulary 4,096. Otherwise as above.',
  },
  layers: {
    title: 'What layers cost',
    about:
      'A training step of the small GPT, by ops alone with a loop of one’s own, and of nn’s layers (MultiHeadAttention, MLP, Residual) under the Trainer, in turn in one process.',
    alone: true,
  },
  infini: {
    title: 'Infini-Transformer',
    about:
      'The passkey recipe with the write gate, 102,340 parameters: training, and the evaluation that streams through long sequences with the memory as the only state.',
    alone: true,
  },
  decode: {
    title: 'Greedy decoding',
    about:
      'One sequence of 127 tokens with the small GPT and nn’s caches of keys and values: in a process that has just started, and after thirty times.',
  },
  cold: {
    title: 'Cold start',
    about:
      'Wall time of a process that imports the built package and multiplies two 64 × 64 matrices, and the parts of it as seen from inside.',
  },
  memory: {
    title: 'Memory',
    about:
      'Resident memory while the small GPT trains. `before`: the program with weights and batches loaded, which here includes the TypeScript loader.',
    parts: memoryWays.map((way) => `memory:${way}`),
    peerParts: ['memory'],
  },
} as const satisfies Record<string, BenchmarkInfo>;

export type BenchmarkName = keyof typeof benchmarks;
export const benchmarkNames = Object.keys(benchmarks) as BenchmarkName[];

export function infoOf(name: BenchmarkName): BenchmarkInfo {
  return benchmarks[name];
}
