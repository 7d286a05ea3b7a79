/**
 * The rules of a compressive memory (Infini-attention: Munkhdalai, Faruqui, Gopal, "Leave No Context Behind", arXiv 2404.07143
 * v2; equation numbers are that version's): an associative matrix M and a normaliser z per head, read by linear attention and
 * written once a segment.
 */
import { bytesPerElement, concat, type Tensor } from '@infinigrad/tensor';
import { partsOf } from '../linear-attention/parts.ts';

/** The state of one layer's memory. Its size does not depend on how much has been read. */
export type MemoryState = {
  /** M: [batch, heads, d_feature, d_value]. */
  readonly matrix: Tensor;
  /** z: [batch, heads, d_feature]. */
  readonly normalizer: Tensor;
};

export interface MemoryRules {
  /** Eq. (8) `linear` or eq. (9) `delta`. */
  readonly update: 'linear' | 'delta';
  /** Whether a read is divided by σ(Q)z, eq. (7), or left as it is. */
  readonly normalize: boolean;
  /** Keeps σ(Q)z away from 0. */
  readonly eps: number;
  /** `clamp`: the denominator is at least eps. `add`: eps is added to it. */
  readonly epsMode: 'clamp' | 'add';
  /** M and z are multiplied by this before each update (retention). */
  readonly decay: number;
  /** Cut gradients through the memory after every so many segments; null never. */
  readonly detachEvery: number | null;
  /**
   * Make all states of the linear rule at once, as running sums, where neither decay nor detachEvery forbids it. The sums are
   * rounded less than those of a walk from segment to segment, so the last bits differ.
   */
  readonly prefixSums: boolean;
}

/**
 * Eq. (7): A_mem = σ(Q) M / (σ(Q) z). Queries [..., n, d_feature], matrix [..., d_feature, d_value],
 * normaliser [..., d_feature] → [..., n, d_value]. Not normalised: σ(Q) M as it is.
 */
export function retrieveMemory(
  rules: Pick<MemoryRules, 'normalize' | 'eps' | 'epsMode'>,
  queries: Tensor,
  matrix: Tensor,
  normalizer: Tensor,
): Tensor {
  const read = queries.matmul(matrix);
  if (!rules.normalize) return read;
  const weight = queries.matmul(normalizer.unsqueeze(-1));
  const { eps } = rules;
  return read.div(rules.epsMode === 'add' ? weight.add(eps) : weight.maximum(eps));
}

/** The state before each segment, [batch, heads, segments, …], and after the last. */
export interface MemoryWalk {
  readonly matrices: Tensor;
  readonly normalizers: Tensor;
  readonly last: MemoryState;
}

/**
 * Walks the segments: the state before each one, and the state after the last.
 * @param keys σ(K), times the write gate and the padding mask: [batch, heads, segments, n, d_feature]
 * @param plainKeys σ(K) as it is, which eq. (9) reads with
 * @param values V: [batch, heads, segments, n, d_value]
 * @returns matrices [batch, heads, segments, d_feature, d_value] and normalisers [batch, heads, segments, d_feature]
 */
export function walkMemory(
  rules: MemoryRules,
  keys: Tensor,
  plainKeys: Tensor,
  values: Tensor,
  initial: MemoryState,
): MemoryWalk {
  const { update, decay, detachEvery } = rules;
  const segments = keys.shape[2]!;
  const transposed = keys.transpose();
  const written = update === 'linear' ? transposed.matmul(values) : null;
  const added = keys.sum(-2);
  if (written && rules.prefixSums && decay === 1 && detachEvery === null)
    return summed(written, added, initial, segments);
  const parts = (x: Tensor): Tensor[] => partsOf(x, 2).map((part) => part.squeeze(2));
  const each = written
    ? { written: parts(written) }
    : { transposed: parts(transposed), values: parts(values), plainKeys: parts(plainKeys) };
  const addedEach = parts(added);
  const before: MemoryState[] = [];
  let state = initial;
  for (let s = 0; s < segments; s++) {
    before.push(state);
    const { matrix, normalizer } = state;
    // Eq. (8): M += σ(K)ᵀ V. Eq. (9): M += σ(K)ᵀ (V - σ(K) M / (σ(K) z)). Both: z += Σ σ(K_t).
    const increment = each.written
      ? each.written[s]!
      : each.transposed[s]!.matmul(
          each.values[s]!.sub(retrieveMemory(rules, each.plainKeys[s]!, matrix, normalizer)),
        );
    const decayed = (x: Tensor): Tensor => (decay === 1 ? x : x.mul(decay));
    state = {
      matrix: decayed(matrix).add(increment),
      normalizer: decayed(normalizer).add(addedEach[s]!),
    };
    if (detachEvery !== null && (s + 1) % detachEvery === 0)
      state = { matrix: state.matrix.detach(), normalizer: state.normalizer.detach() };
  }
  const line = (pick: (m: MemoryState) => Tensor): Tensor =>
    segments === 1
      ? pick(before[0]!).unsqueeze(2)
      : concat(
          before.map((m) => pick(m).unsqueeze(2)),
          2,
        );
  return { matrices: line((m) => m.matrix), normalizers: line((m) => m.normalizer), last: state };
}

/** Where nothing is forgotten and nothing corrected, states are sums of what the segments write. */
function summed(written: Tensor, added: Tensor, initial: MemoryState, segments: number): MemoryWalk {
  const sums = (first: Tensor, rest: Tensor): Tensor => concat([first.unsqueeze(2), rest], 2).cumsum(2);
  const matrices = sums(initial.matrix, written);
  const normalizers = sums(initial.normalizer, added);
  return {
    matrices: matrices.narrow(2, 0, segments),
    normalizers: normalizers.narrow(2, 0, segments),
    last: { matrix: matrices.select(2, segments), normalizer: normalizers.select(2, segments) },
  };
}

/** The bytes that memories take, all layers together: constant, whatever has been read. */
export function memoryBytes(memories: readonly (MemoryState | null)[]): number {
  const bytes = (x: Tensor): number => x.size * bytesPerElement(x.dtype);
  return memories.reduce((total, m) => total + (m ? bytes(m.matrix) + bytes(m.normalizer) : 0), 0);
}
