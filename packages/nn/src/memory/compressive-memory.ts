/** The compressive memory of Infini-attention as a layer of its own. */
import {
  DTypeError,
  full,
  isFloat,
  sameShape,
  ShapeError,
  ValueError,
  type FloatDType,
  type Key,
  type Tensor,
} from '@infinigrad/tensor';
import type { RecurrentCache } from '../attention/cache.ts';
import { checkEps, checkSizes } from '../init.ts';
import type { Linear } from '../layers/linear.ts';
import type { RMSNorm } from '../layers/norm.ts';
import { featureDim, type FeatureMap } from '../linear-attention/feature-maps.ts';
import { Module } from '../module.ts';
import type { Parameter } from '../parameter.ts';
import { memoryParameters } from './parameters.ts';
import type { MemoryState } from './rules.ts';
import { throughMemory, type MemorySettings } from './segments.ts';

export interface CompressiveMemoryOptions {
  readonly numHeads: number;
  /** d_key of a head. */
  readonly keyDim: number;
  /** d_value of a head. Default keyDim. */
  readonly valueDim?: number;
  /** Tokens of a segment, N: the memory is updated once a segment, and no token reads its own segment. */
  readonly segmentLength: number;
  /** Decides the initial weights. */
  readonly key: Key;
  /** Eq. (8) `linear` or eq. (9) `delta`. Default `linear`. */
  readonly update?: 'linear' | 'delta';
  /** σ. Default `elu1`. */
  readonly featureMap?: FeatureMap;
  /** How a read is scaled: by σ(Q)z as in eq. (7); by an RMSNorm per head; not at all. Default `z`. */
  readonly normalize?: 'z' | 'rmsNorm' | 'none';
  /** Keeps σ(Q)z away from 0. Default 1e-6. */
  readonly eps?: number;
  /** `clamp`: the denominator is at least eps. `add`: eps is added to it. Default `clamp`. */
  readonly epsMode?: 'clamp' | 'add';
  /** ε of the RMSNorm. Default 1e-6. */
  readonly normEps?: number;
  /**
   * What β of eq. (10) depends on, sigmoid(β) being the weight of the memory beside local attention: a head, a head and
   * channel, or the input; `none` for a memory that is only read. Default `perHead`.
   */
  readonly gate?: 'none' | 'perHead' | 'perChannel' | 'input';
  /** Initial β. Default 0. */
  readonly gateInit?: number;
  /** With an empty memory: `gated` mixes in a read of zeros, `local` lets local attention through unchanged. Default `gated`. */
  readonly firstSegment?: 'gated' | 'local';
  /** Cut gradients through the memory after every so many segments; null never. Default null. */
  readonly detachEvery?: number | null;
  /** Start from nothing, or from a learned state. Default `zero`. */
  readonly initState?: 'zero' | 'learned';
  /** M and z are multiplied by this before each update (retention). Default 1. */
  readonly decay?: number;
  /** A gate w_t per head and token on what is written, no part of the paper: see `writeOpenness`. Default `none`. */
  readonly writeGate?: 'none' | 'sigmoid' | 'hard';
  /** m of the hard write gate. Default 0.5. */
  readonly writeGateMargin?: number;
  /** Size of the input that gates read, where they do. */
  readonly inputDim?: number;
  /** What M and z are kept and computed in. Default: the values' own dtype, f32 where that is of 16 bits. */
  readonly memoryDtype?: FloatDType;
  /** Of the parameters. Default f32. */
  readonly dtype?: FloatDType;
}

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

const choices = {
  update: ['linear', 'delta'],
  normalize: ['z', 'rmsNorm', 'none'],
  epsMode: ['clamp', 'add'],
  gate: ['none', 'perHead', 'perChannel', 'input'],
  firstSegment: ['gated', 'local'],
  initState: ['zero', 'learned'],
  writeGate: ['none', 'sigmoid', 'hard'],
} as const;

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
    const name = 'CompressiveMemory';
    const { numHeads, keyDim, valueDim = keyDim, segmentLength, key, dtype = 'f32' } = options;
    const {
      update = 'linear',
      featureMap: kind = 'elu1',
      normalize = 'z',
      eps = 1e-6,
      epsMode = 'clamp',
    } = options;
    const {
      normEps = 1e-6,
      gate = 'perHead',
      gateInit = 0,
      firstSegment = 'gated',
      detachEvery = null,
    } = options;
    const {
      initState = 'zero',
      decay = 1,
      writeGate = 'none',
      writeGateMargin = 0.5,
      memoryDtype = null,
    } = options;
    checkSizes(name, { numHeads, keyDim, valueDim, segmentLength });
    const chosen = { update, normalize, epsMode, gate, firstSegment, initState, writeGate };
    for (const [what, known] of Object.entries(choices)) {
      const value = chosen[what as keyof typeof choices];
      if (!(known as readonly string[]).includes(value))
        throw new ValueError(name, `${what} must be one of ${known.join(', ')}, got '${value}'`);
    }
    featureDim(kind, keyDim);
    checkEps(name, eps);
    checkEps(name, normEps);
    if (!(decay > 0 && decay <= 1)) throw new ValueError(name, `decay must lie in (0, 1], got ${decay}`);
    if (!(writeGateMargin >= 0 && writeGateMargin < Infinity))
      throw new ValueError(name, `writeGateMargin must be a number ≥ 0, got ${writeGateMargin}`);
    if (!Number.isFinite(gateInit)) throw new ValueError(name, `gateInit must be a number, got ${gateInit}`);
    if (detachEvery !== null && !(Number.isInteger(detachEvery) && detachEvery >= 1))
      throw new ValueError(name, `detachEvery must be null or an integer ≥ 1, got ${detachEvery}`);
    const readsInput = gate === 'input' || writeGate !== 'none';
    if (readsInput && options.inputDim === undefined)
      throw new ValueError(name, 'gates that read the input need its size', { hint: 'give inputDim' });
    const { inputDim = 1 } = options;
    checkSizes(name, { inputDim });
    this.numHeads = numHeads;
    this.keyDim = keyDim;
    this.valueDim = valueDim;
    this.segmentLength = segmentLength;
    this.settings = {
      update,
      featureMap: kind,
      normalize: normalize === 'z',
      eps,
      epsMode,
      decay,
      detachEvery,
      prefixSums: true,
      writeGate,
      writeGateMargin,
      firstSegment,
      memoryDtype,
    };
    const made = memoryParameters({
      numHeads,
      keyDim,
      valueDim,
      inputDim,
      gate,
      gateInit,
      writeGate,
      normEps,
      initState,
      learnNormalizer: normalize === 'z',
      dtype,
      featureMap: kind,
      readNorm: normalize === 'rmsNorm',
      keys: key.split(2) as [Key, Key],
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
