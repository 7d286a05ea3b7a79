/** The compressive memory of Infini-attention as a layer of its own. */
import {
  DTypeError,
  full,
  isFloat,
  sameShape,
  ShapeError,
  ValueError,
  type Key,
  type Tensor,
} from '@infinigrad/tensor';
import type { RecurrentCache } from '../attention/cache.ts';
import type { Linear } from '../layers/linear.ts';
import type { RMSNorm } from '../layers/norm.ts';
import { featureDim } from '../linear-attention/feature-maps.ts';
import { Module } from '../module.ts';
import type { Parameter } from '../parameter.ts';
import { memoryOptions, type CompressiveMemoryOptions } from './options.ts';
import { memoryParameters } from './parameters.ts';
import type { MemoryState } from './rules.ts';
import { throughMemory, type MemorySettings } from './segments.ts';

export interface CompressiveMemoryRead {
  /** M and z that an earlier call returned, of whole segments. Gradients flow into it. Default: as `initState` says. */
  readonly initialState?: MemoryState | null;
  /** What local attention gives, [batch, heads, T, d_value]; mixed with what is read. Without, the read alone is returned. */
  readonly local?: Tensor;
  /** [batch, T, inputDim]: what the gates read, where they do. */
  readonly x?: Tensor;
  /** bool [batch, T], false for padding: such tokens write nothing, and what is returned for them means nothing. */
  readonly mask?: Tensor | undefined;
}

export interface CompressiveMemoryOutput {
  /** [batch, heads, T, d_value]. */
  readonly output: Tensor;
  readonly state: MemoryState;
  /** a_t of the write gate, [batch, heads, T], where there is one: for penalties on writing. */
  readonly writeLogits: Tensor | null;
}

/**
 * An associative matrix M and a normaliser z for each head, of constant size: read with σ(q)M / σ(q)z, written once a segment
 * (arXiv 2404.07143 v2, eq. 7 to 10). Keys and queries carry no positions in the paper; what is given here is used as it is.
 */
export class CompressiveMemory extends Module {
  readonly numHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly segmentLength: number;
  readonly settings: MemorySettings;
  readonly beta: Parameter | null;
  readonly gateProj: Linear | null;
  readonly writeGate: Linear | null;
  readonly readNorm: RMSNorm | null;
  readonly initialMatrix: Parameter | null;
  readonly initialNormalizer: Parameter | null;

  /** @throws ValueError for sizes and options that make no memory */
  constructor(options: CompressiveMemoryOptions) {
    super();
    const all = memoryOptions('CompressiveMemory', options);
    this.numHeads = all.numHeads;
    this.keyDim = all.keyDim;
    this.valueDim = all.valueDim;
    this.segmentLength = all.segmentLength;
    this.settings = {
      update: all.update,
      featureMap: all.featureMap,
      normalize: all.normalize === 'z',
      eps: all.eps,
      epsMode: all.epsMode,
      decay: all.decay,
      detachEvery: all.detachEvery,
      prefixSums: true,
      writeGate: all.writeGate,
      writeGateMargin: all.writeGateMargin,
      firstSegment: all.firstSegment,
      memoryDtype: all.memoryDtype,
    };
    const made = memoryParameters({
      ...all,
      learnNormalizer: all.normalize === 'z',
      readNorm: all.normalize === 'rmsNorm',
      keys: all.key.split(2) as [Key, Key],
    });
    this.beta = made.beta;
    this.gateProj = made.gateProj;
    this.writeGate = made.writeGate;
    this.readNorm = made.readNorm;
    this.initialMatrix = made.initialMatrix;
    this.initialNormalizer = made.initialNormalizer;
  }

  /**
   * Reads before each segment and writes after it; returns what `read` calls its output.
   * @param q [batch, heads, T, keyDim], T any number of segments, the last one possibly short
   * @param k of q's shape
   * @param v [batch, heads, T, valueDim]
   * @throws ValueError where the cache stands within a segment
   */
  forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    {
      cache,
      ...options
    }: Omit<CompressiveMemoryRead, 'initialState'> & { readonly cache?: RecurrentCache<MemoryState> } = {},
  ): Tensor {
    if (cache && cache.length % this.segmentLength !== 0)
      throw new ValueError(
        'CompressiveMemory',
        `the cache stands at ${cache.length} tokens, within a segment of ${this.segmentLength}`,
        {
          hint: 'only the last call may end with a part of a segment',
        },
      );
    const { output, state } = this.read(q, k, v, { ...options, initialState: cache?.state ?? null });
    cache?.update(state, q.shape[2]!);
    return output;
  }

  /**
   * The same as a function of the state.
   * @throws ShapeError, DTypeError, ValueError where arguments do not fit or are missing
   */
  read(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    { initialState = null, local, x, mask }: CompressiveMemoryRead = {},
  ): CompressiveMemoryOutput {
    this.check(q, k, v, { initialState, ...(local && { local }), ...(x && { x }), mask });
    const { segmentLength, settings } = this;
    const [batch, heads, length] = v.shape as readonly [number, number, number];
    const segments = Math.ceil(length / segmentLength);
    const filling = segments * segmentLength - length;
    const filled = (y: Tensor, axis: number): Tensor =>
      filling === 0 ? y : y.pad(y.shape.map((_, i): [number, number] => [0, i === axis ? filling : 0]));
    const split = (y: Tensor): Tensor =>
      filled(y, 2).reshape([batch, heads, segments, segmentLength, y.shape[3]!]);
    const present = mask ?? (filling > 0 ? full([batch, length], true, { backend: q.backend }) : null);
    // Where, not a product: whatever stands in padding stays out.
    const real = (y: Tensor): Tensor => (mask ? mask.reshape([batch, 1, length, 1]).where(y, 0) : y);
    const made = throughMemory(settings, this, {
      queries: split(q),
      keys: split(real(k)),
      values: split(real(v)),
      local: local ? split(local) : null,
      x: x ? filled(mask ? mask.unsqueeze(-1).where(x, 0) : x, 1) : null,
      present: present ? filled(present, 1) : null,
      state: initialState,
    });
    const output = made.output.reshape([batch, heads, segments * segmentLength, this.valueDim]);
    const { writeLogits } = made;
    return {
      output: filling === 0 ? output : output.narrow(2, 0, length),
      state: made.state,
      writeLogits: writeLogits && writeLogits.narrow(1, 0, length).transpose(),
    };
  }

  private check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    { initialState, local, x, mask }: CompressiveMemoryRead,
  ): void {
    const name = 'CompressiveMemory';
    const { numHeads, keyDim, valueDim, settings } = this;
    const [batch, , length] = q.shape as readonly [number, number, number];
    const lead = [batch, numHeads, length];
    const fits = (y: Tensor, shape: readonly number[]): boolean => sameShape(y.shape, shape);
    if (
      q.rank !== 4 ||
      q.size === 0 ||
      ![q, k].every((y) => fits(y, [...lead, keyDim])) ||
      !fits(v, [...lead, valueDim])
    )
      throw new ShapeError(
        name,
        `needs q and k [batch, ${numHeads}, T, ${keyDim}] and v [batch, ${numHeads}, T, ${valueDim}]`,
        {
          operands: [q, k, v],
        },
      );
    if (![q, k, v].every((y) => isFloat(y.dtype)))
      throw new DTypeError(name, 'needs floating-point tensors', { operands: [q, k, v] });
    if (local && !fits(local, v.shape))
      throw new ShapeError(name, "what is mixed with must have the values' shape", { operands: [v, local] });
    if (local && !this.beta && !this.gateProj)
      throw new ValueError(name, "gate 'none' mixes with nothing", { hint: 'leave local out' });
    if (mask && !fits(mask, [batch, length]))
      throw new ShapeError(name, `the mask must be [${batch}, ${length}]`, { operands: [q, mask] });
    if (mask && mask.dtype !== 'bool')
      throw new DTypeError(name, 'the mask must be bool', { operands: [mask] });
    const reader = this.writeGate ?? (local ? this.gateProj : null);
    if (reader && !x) throw new ValueError(name, 'the gates need the input', { hint: 'give x' });
    if (reader && x && !fits(x, [batch, length, reader.inFeatures]))
      throw new ShapeError(name, `x must be [${batch}, ${length}, ${reader.inFeatures}]`, {
        operands: [q, x],
      });
    const features = featureDim(settings.featureMap, keyDim);
    const state = [batch, numHeads, features, valueDim];
    if (
      initialState &&
      !(fits(initialState.matrix, state) && fits(initialState.normalizer, state.slice(0, 3)))
    )
      throw new ShapeError(
        name,
        `the state must be [${state.join(', ')}] and [${state.slice(0, 3).join(', ')}]`,
        {
          operands: [initialState.matrix, initialState.normalizer],
        },
      );
  }
}
