/**
 * The compressive memory of Infini-attention (Munkhdalai, Faruqui, Gopal, "Leave No Context Behind", arXiv 2404.07143
 * v2; equation numbers are that version's): an associative matrix M and a normaliser z per head, read by linear
 * attention and written once a segment.
 */
import { bytesPerElement, concat, ops, type Tensor } from '@infinigrad/tensor';
import type { InfiniTransformerConfig } from './config.ts';

/** The state of one layer's memory. Its size does not depend on how much has been read. */
export interface MemoryState {
  /** M: [batch, heads, d_feature, d_value]. */
  readonly matrix: Tensor;
  /** z: [batch, heads, d_feature]. */
  readonly normalizer: Tensor;
}

type MemoryOptions = Pick<
  InfiniTransformerConfig,
  | 'memoryUpdate'
  | 'featureMap'
  | 'memoryNormalization'
  | 'memoryEps'
  | 'memoryEpsMode'
  | 'memoryDecay'
  | 'detachEvery'
>;

/** σ of eq. (7): [..., d] → [..., d_feature], nonnegative. */
export function featureMap(kind: MemoryOptions['featureMap'], x: Tensor): Tensor {
  if (kind === 'elu1') return x.elu().add(1);
  if (kind === 'relu') return x.relu();
  if (kind === 'softmax') return x.softmax(-1);
  // DPFP with ν = 1: r ⊙ roll(r, 1) with r = [relu(x), relu(-x)]  (arXiv 2102.11174, eq. 37)
  const r = concat([x.relu(), x.neg().relu()], -1);
  const n = r.shape.at(-1)!;
  return r.mul(concat([r.narrow(-1, n - 1, 1), r.narrow(-1, 0, n - 1)], -1));
}

/** d_feature for keys of size `headDim`. */
export function featureDim(kind: MemoryOptions['featureMap'], headDim: number): number {
  return kind === 'dpfp' ? 2 * headDim : headDim;
}

/**
 * Eq. (7): A_mem = σ(Q) M / (σ(Q) z). Queries [..., n, d_feature], matrix [..., d_feature, d_value],
 * normaliser [..., d_feature] → [..., n, d_value]. Without `z` normalisation: σ(Q) M as it is.
 */
export function retrieve(
  options: MemoryOptions,
  queries: Tensor,
  matrix: Tensor,
  normalizer: Tensor,
): Tensor {
  const read = queries.matmul(matrix);
  if (options.memoryNormalization === 'rmsNorm') return read;
  const weight = queries.matmul(normalizer.unsqueeze(-1));
  const { memoryEps } = options;
  return read.div(options.memoryEpsMode === 'add' ? weight.add(memoryEps) : weight.maximum(memoryEps));
}

/**
 * Walks the segments: the state before each one, and the state after the last.
 * @param keys σ(K), times the write gate and the padding mask: [batch, heads, segments, n, d_feature]
 * @param values V: [batch, heads, segments, n, d_value]
 * @param plainKeys σ(K) as it is, which eq. (9) reads with
 * @returns matrices [batch, heads, segments, d_feature, d_value] and normalisers [batch, heads, segments, d_feature]
 */
export function walkSegments(
  options: MemoryOptions,
  keys: Tensor,
  plainKeys: Tensor,
  values: Tensor,
  initial: MemoryState,
): { matrices: Tensor; normalizers: Tensor; last: MemoryState } {
  const { memoryUpdate, memoryDecay, detachEvery } = options;
  const segments = keys.shape[2]!;
  const transposed = keys.transpose();
  const written = memoryUpdate === 'linear' ? transposed.matmul(values) : null;
  const added = keys.sum(-2);
  const before: MemoryState[] = [];
  let state = initial;
  for (let s = 0; s < segments; s++) {
    before.push(state);
    const { matrix, normalizer } = state;
    // Eq. (8): M += σ(K)ᵀ V. Eq. (9): M += σ(K)ᵀ (V - σ(K) M / (σ(K) z)). Both: z += Σ σ(K_t).
    const increment = written
      ? written.select(2, s)
      : transposed
          .select(2, s)
          .matmul(values.select(2, s).sub(retrieve(options, plainKeys.select(2, s), matrix, normalizer)));
    const decayed = (x: Tensor): Tensor => (memoryDecay === 1 ? x : x.mul(memoryDecay));
    state = {
      matrix: decayed(matrix).add(increment),
      normalizer: decayed(normalizer).add(added.select(2, s)),
    };
    if (detachEvery !== null && (s + 1) % detachEvery === 0)
      state = { matrix: state.matrix.detach(), normalizer: state.normalizer.detach() };
  }
  const line = (pick: (m: MemoryState) => Tensor): Tensor =>
    segments === 1
      ? pick(before[0]!).unsqueeze(2)
      : ops.concat(
          before.map((m) => pick(m).unsqueeze(2)),
          2,
        );
  return { matrices: line((m) => m.matrix), normalizers: line((m) => m.normalizer), last: state };
}

/** The bytes that a model's memory takes, all layers together: constant, whatever has been read. */
export function memoryBytes(memories: readonly (MemoryState | null)[]): number {
  const bytes = (x: Tensor): number => x.size * bytesPerElement(x.dtype);
  return memories.reduce((total, m) => total + (m ? bytes(m.matrix) + bytes(m.normalizer) : 0), 0);
}
