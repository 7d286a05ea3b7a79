/** The family by name: how each is called, and its definition written out number by number. */
import {
  deltaRule,
  featureMap,
  gatedDeltaRule,
  gatedLinearAttention,
  linearAttention,
  retention,
  retentionDecays,
  type RecurrenceOptions,
  type RecurrenceOutput,
  type RecurrenceState,
} from '@infinigrad/nn';
import { isFloat, Key, type FloatDType, type Tensor } from '@infinigrad/tensor';
import { expect } from 'vitest';
import { numbers } from '../support.ts';

export interface Sizes {
  readonly batch: number;
  readonly heads: number;
  readonly length: number;
  readonly dk: number;
  readonly dv: number;
}

export interface Arguments {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly gate?: Tensor;
  readonly beta?: Tensor;
}

export interface Rule {
  /** q, k, v, and gates where there are any, in their ranges. */
  readonly draw: (key: Key, sizes: Sizes) => Arguments;
  readonly call: (args: Arguments, options: RecurrenceOptions) => RecurrenceOutput;
  /** log α of a token, or of each of its channels. */
  readonly decay: (gate: number[] | null, head: number, heads: number) => number | number[];
  readonly normalized: boolean;
}

const draw = (key: Key, { batch, heads, length, dk, dv }: Sizes) => {
  const [q, k, v, g, b] = key.split(5) as [Key, Key, Key, Key, Key];
  const lead = [batch, heads, length];
  const normal = (one: Key, ...shape: number[]): Tensor => one.normal(shape, { dtype: 'f64' });
  const unit = (x: Tensor): Tensor => x.div(x.square().sum(-1, true).sqrt());
  return {
    q: normal(q, ...lead, dk),
    k: normal(k, ...lead, dk),
    unitK: unit(normal(k, ...lead, dk)),
    v: normal(v, ...lead, dv),
    /** Logarithms of sigmoids: from almost 0 to far below. */
    gates: normal(g, ...lead, dk)
      .mul(3)
      .logSigmoid(),
    gate: normal(g, ...lead)
      .mul(3)
      .logSigmoid(),
    beta: normal(b, ...lead).sigmoid(),
  };
};

const none = (): number => 0;

export const rules: Readonly<Record<string, Rule>> = {
  'linear attention': {
    draw: (key, sizes) => {
      const { q, k, v } = draw(key, sizes);
      return { q: featureMap('elu1', q), k: featureMap('elu1', k), v };
    },
    call: ({ q, k, v }, options) => linearAttention(q, k, v, options),
    decay: none,
    normalized: true,
  },
  'without a normaliser': {
    draw: (key, sizes) => {
      const { q, k, v } = draw(key, sizes);
      return { q, k, v };
    },
    call: ({ q, k, v }, options) => linearAttention(q, k, v, { ...options, normalize: false }),
    decay: none,
    normalized: false,
  },
  retention: {
    draw: (key, sizes) => {
      const { q, k, v } = draw(key, sizes);
      return { q, k, v };
    },
    call: ({ q, k, v }, options) => retention(q, k, v, options),
    decay: (_, head, heads) => Math.log(retentionDecays(heads)[head]!),
    normalized: false,
  },
  'gated linear attention': {
    draw: (key, sizes) => {
      const { q, k, v, gates } = draw(key, sizes);
      return { q, k, v, gate: gates };
    },
    call: ({ q, k, v, gate }, options) => gatedLinearAttention(q, k, v, gate!, options),
    decay: (gate) => gate!,
    normalized: false,
  },
  'gated linear attention, one gate a token': {
    draw: (key, sizes) => {
      const { q, k, v, gate } = draw(key, sizes);
      return { q, k, v, gate };
    },
    call: ({ q, k, v, gate }, options) => gatedLinearAttention(q, k, v, gate!, options),
    decay: (gate) => gate![0]!,
    normalized: false,
  },
  'delta rule': {
    draw: (key, sizes) => {
      const { q, unitK, v, beta } = draw(key, sizes);
      return { q, k: unitK, v, beta };
    },
    call: ({ q, k, v, beta }, options) => deltaRule(q, k, v, beta!, options),
    decay: none,
    normalized: false,
  },
  'gated delta rule': {
    draw: (key, sizes) => {
      const { q, unitK, v, beta, gate } = draw(key, sizes);
      return { q, k: unitK, v, beta, gate };
    },
    call: ({ q, k, v, beta, gate }, options) => gatedDeltaRule(q, k, v, beta!, gate!, options),
    decay: (gate) => gate![0]!,
    normalized: false,
  },
};

export interface WrittenOut {
  readonly output: number[];
  readonly matrix: number[];
  readonly normalizer: number[];
}

/** Token by token, with loops over numbers. */
export function writtenOut(
  rule: Rule,
  { q, k, v, gate, beta }: Arguments,
  {
    initialState,
    mask,
    documents,
    scale,
  }: Pick<RecurrenceOptions, 'initialState' | 'mask' | 'documents' | 'scale'> = {},
): WrittenOut {
  const [batch, heads, length, dk] = q.shape as readonly [number, number, number, number];
  const dv = v.shape[3]!;
  const [qs, ks, vs] = [q, k, v].map(numbers) as [number[], number[], number[]];
  const gates = gate && numbers(gate);
  const perToken = gate?.rank === 4 ? dk : 1;
  const betas = beta && numbers(beta);
  const present = mask && numbers(mask);
  const ids = documents && numbers(documents);
  const factor = rule.normalized ? 1 : (scale ?? dk ** -0.5);
  const output: number[] = [];
  const matrices: number[] = [];
  const normalizers: number[] = [];
  const starts = initialState && numbers(initialState.matrix);
  const zs = initialState?.normalizer && numbers(initialState.normalizer);
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < heads; h++) {
      const at = b * heads + h;
      const s = Array.from({ length: dk }, (_, i) =>
        Array.from({ length: dv }, (_, j) => starts?.[(at * dk + i) * dv + j] ?? 0),
      );
      const z = Array.from({ length: dk }, (_, i) => zs?.[at * dk + i] ?? 0);
      let last: number | null = null;
      for (let t = 0; t < length; t++) {
        if (present && present[b * length + t] === 0) {
          for (let j = 0; j < dv; j++) output.push(0);
          continue;
        }
        const row = at * length + t;
        const id = ids ? ids[b * length + t]! : 0;
        if (last !== null && id !== last) {
          s.forEach((line) => line.fill(0));
          z.fill(0);
        }
        last = id;
        const alpha = rule.decay(gates ? gates.slice(row * perToken, (row + 1) * perToken) : null, h, heads);
        const key = ks.slice(row * dk, (row + 1) * dk);
        s.forEach((line, i) => {
          const kept = Math.exp(typeof alpha === 'number' ? alpha : alpha[i]!);
          line.forEach((value, j) => (line[j] = value * kept));
        });
        const value = vs.slice(row * dv, (row + 1) * dv);
        const written = betas
          ? value.map((x, j) => betas[row]! * (x - key.reduce((sum, a, i) => sum + a * s[i]![j]!, 0)))
          : value;
        s.forEach((line, i) => line.forEach((x, j) => (line[j] = x + key[i]! * written[j]!)));
        z.forEach((x, i) => (z[i] = x + key[i]!));
        const query = qs.slice(row * dk, (row + 1) * dk);
        const weight = rule.normalized ? query.reduce((sum, a, i) => sum + a * z[i]!, 0) : 1;
        for (let j = 0; j < dv; j++)
          output.push((factor * query.reduce((sum, a, i) => sum + a * s[i]![j]!, 0)) / weight);
      }
      matrices.push(...s.flat());
      normalizers.push(...z);
    }
  return { output, matrix: matrices, normalizer: normalizers };
}

/** A state that something has been written to. */
export function someState(rule: Rule, key: Key, { batch, heads, dk, dv }: Sizes): RecurrenceState {
  const dtype = 'f64' as const;
  return {
    matrix: key.normal([batch, heads, dk, dv], { dtype }),
    ...(rule.normalized && {
      normalizer: key.foldIn(1).uniform([batch, heads, dk], { min: 1, max: 3, dtype }),
    }),
  };
}

/** All in another dtype. */
export function cast<T>(x: T, dtype: FloatDType): T {
  const walk = (at: unknown): unknown => {
    if (at === null || typeof at !== 'object') return at;
    if ('cast' in at) return isFloat((at as Tensor).dtype) ? (at as Tensor).cast(dtype) : at;
    return Object.fromEntries(Object.entries(at).map(([key, value]) => [key, walk(value)]));
  };
  return walk(x) as T;
}

export const forms = ['recurrent', 'chunkwise', 'parallel'] as const;

/** The largest difference, relative to the largest of the expected numbers (at least 1). A NaN is as far as can be. */
export function distance(actual: readonly number[], expected: readonly number[]): number {
  expect(actual.length).toBe(expected.length);
  let [worst, largest] = [0, 1];
  actual.forEach((x, i) => {
    const difference = Math.abs(x - expected[i]!);
    worst = difference <= worst ? worst : difference;
    largest = Math.max(largest, Math.abs(expected[i]!));
  });
  return Number.isNaN(worst) ? Infinity : worst / largest;
}

/** Tensors by name, as gradient functions take them: what is optional is not there. */
export type Tensors = Readonly<Record<string, Tensor>>;
