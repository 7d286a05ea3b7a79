/** The options of a compressive memory: defaults, and what is no memory. */
import { ValueError, type FloatDType, type Key } from '@infinigrad/tensor';
import { checkEps, checkSizes } from '../init.ts';
import { featureDim, type FeatureMap } from '../linear-attention/feature-maps.ts';

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

const choices = {
  update: ['linear', 'delta'],
  normalize: ['z', 'rmsNorm', 'none'],
  epsMode: ['clamp', 'add'],
  gate: ['none', 'perHead', 'perChannel', 'input'],
  firstSegment: ['gated', 'local'],
  initState: ['zero', 'learned'],
  writeGate: ['none', 'sigmoid', 'hard'],
} as const;

/** All options, but for the size of an input that nothing reads. */
export type ResolvedMemoryOptions = Required<Omit<CompressiveMemoryOptions, 'memoryDtype'>> & {
  readonly memoryDtype: FloatDType | null;
};

/** Fills in the defaults. @throws ValueError for sizes and options that make no memory */
export function memoryOptions(name: string, options: CompressiveMemoryOptions): ResolvedMemoryOptions {
  const all: ResolvedMemoryOptions = {
    valueDim: options.keyDim,
    update: 'linear',
    featureMap: 'elu1',
    normalize: 'z',
    eps: 1e-6,
    epsMode: 'clamp',
    normEps: 1e-6,
    gate: 'perHead',
    gateInit: 0,
    firstSegment: 'gated',
    detachEvery: null,
    initState: 'zero',
    decay: 1,
    writeGate: 'none',
    writeGateMargin: 0.5,
    inputDim: 1,
    memoryDtype: null,
    dtype: 'f32',
    ...options,
  };
  const {
    numHeads,
    keyDim,
    valueDim,
    segmentLength,
    inputDim,
    decay,
    writeGateMargin,
    gateInit,
    detachEvery,
  } = all;
  checkSizes(name, { numHeads, keyDim, valueDim, segmentLength, inputDim });
  for (const [what, known] of Object.entries(choices)) {
    const value = all[what as keyof typeof choices];
    if (!(known as readonly string[]).includes(value))
      throw new ValueError(name, `${what} must be one of ${known.join(', ')}, got '${value}'`);
  }
  featureDim(all.featureMap, keyDim);
  checkEps(name, all.eps);
  checkEps(name, all.normEps);
  if (!(decay > 0 && decay <= 1)) throw new ValueError(name, `decay must lie in (0, 1], got ${decay}`);
  if (!(writeGateMargin >= 0 && writeGateMargin < Infinity))
    throw new ValueError(name, `writeGateMargin must be a number ≥ 0, got ${writeGateMargin}`);
  if (!Number.isFinite(gateInit)) throw new ValueError(name, `gateInit must be a number, got ${gateInit}`);
  if (detachEvery !== null && !(Number.isInteger(detachEvery) && detachEvery >= 1))
    throw new ValueError(name, `detachEvery must be null or an integer ≥ 1, got ${detachEvery}`);
  if ((all.gate === 'input' || all.writeGate !== 'none') && options.inputDim === undefined)
    throw new ValueError(name, 'gates that read the input need its size', { hint: 'give inputDim' });
  return all;
}
