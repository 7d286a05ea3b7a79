/** What the recurrent layers share: projections into heads, short convolutions, norm and gate of the output, caches. */
import { ShapeError, ValueError, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import type { RecurrentCache } from '../attention/cache.ts';
import { checkSizes, type InitStd } from '../init.ts';
import { Linear } from '../layers/linear.ts';
import { RMSNorm } from '../layers/norm.ts';
import { Module } from '../module.ts';
import type { RecurrenceOptions, RecurrenceOutput, RecurrenceState } from './problem.ts';
import { ShortConvolution } from './short-convolution.ts';

export interface MixerOptions {
  readonly numHeads: number;
  /** Decides the initial weights. */
  readonly key: Key;
  /** Channels of all keys together, as a multiple of the layer's size. */
  readonly expandK?: number;
  /** Channels of all values together, as a multiple of the layer's size. */
  readonly expandV?: number;
  /** Kernel size of the convolutions over queries, keys and values; 0 for none. */
  readonly convSize?: number;
  /** Of the output norm. Default 1e-5. */
  readonly normEps?: number;
  /** As in `Linear`, for all projections. */
  readonly std?: InitStd;
  /** Tokens of a chunk, a power of two. Default 64. */
  readonly chunkSize?: number;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** What a layer has read: the recurrence's state, and the last inputs of its convolutions. */
export type MixerState = {
  readonly recurrent: RecurrenceState;
  /** Of queries, keys and values, where there are convolutions. */
  readonly convolutions: readonly Tensor[];
};

export interface MixerForward extends Pick<RecurrenceOptions, 'form' | 'mask' | 'documents'> {
  /** Where to go on from, and what the state is put into. */
  readonly cache?: RecurrentCache<MixerState>;
}

export interface MixerRead extends Omit<MixerForward, 'cache'> {
  /** As an earlier call returned it. Gradients flow into it. */
  readonly initialState?: MixerState | null;
  /** Tokens read before, for layers that know positions. Default 0. */
  readonly offset?: number;
}

/** What a kind of layer is made of; sizes by default as its authors have them. */
export interface MixerKind {
  readonly name: string;
  readonly expandK: number;
  readonly expandV: number;
  readonly convSize: number;
  readonly outputNorm: boolean;
  readonly outputGate: boolean;
}

/** Queries, keys and values by heads: [batch, heads, T, d_key or d_value]. */
export interface Heads {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
}

/**
 * A token mixer with a state of constant size: [batch, T, dim] → [batch, T, dim]. `forward` reads with a cache or without;
 * `read` takes a state and returns the next.
 */
export abstract class RecurrentMixer extends Module {
  readonly numHeads: number;
  /** d_key and d_value of one head. */
  readonly keyDim: number;
  readonly valueDim: number;
  readonly chunkSize: number;
  readonly qProj: Linear;
  readonly kProj: Linear;
  readonly vProj: Linear;
  readonly oProj: Linear;
  readonly qConv: ShortConvolution | null;
  readonly kConv: ShortConvolution | null;
  readonly vConv: ShortConvolution | null;
  /** Over the values of a head. */
  readonly oNorm: RMSNorm | null;
  /** silu of it multiplies the output. */
  readonly gProj: Linear | null;
  private readonly name: string;

  constructor(dim: number, options: MixerOptions, kind: MixerKind) {
    super();
    const {
      numHeads,
      key,
      expandK = kind.expandK,
      expandV = kind.expandV,
      convSize = kind.convSize,
      normEps = 1e-5,
      std,
      chunkSize = 64,
      dtype = 'f32',
    } = options;
    const { name } = kind;
    checkSizes(name, { dim, numHeads });
    const [keys, values] = [dim * expandK, dim * expandV];
    for (const [what, size] of [
      ['expandK', keys],
      ['expandV', values],
    ] as const)
      if (!Number.isInteger(size / numHeads) || size < 1)
        throw new ValueError(name, `dim · ${what} = ${size} is no multiple of numHeads ${numHeads}`);
    if (!Number.isInteger(convSize) || convSize < 0)
      throw new ValueError(name, `convSize must be an integer ≥ 0, got ${convSize}`);
    if (!Number.isInteger(Math.log2(chunkSize)))
      throw new ValueError(name, `chunkSize must be a power of two, got ${chunkSize}`);
    const [q, k, v, o, g, qc, kc, vc] = key.split(8) as [Key, Key, Key, Key, Key, Key, Key, Key];
    const linear = (inputs: number, outputs: number, own: Key): Linear =>
      new Linear(inputs, outputs, { key: own, bias: false, dtype, ...(std !== undefined && { std }) });
    const convolution = (channels: number, own: Key): ShortConvolution | null =>
      convSize === 0 ? null : new ShortConvolution(channels, { key: own, kernelSize: convSize, dtype });
    this.name = name;
    this.numHeads = numHeads;
    this.keyDim = keys / numHeads;
    this.valueDim = values / numHeads;
    this.chunkSize = chunkSize;
    this.qProj = linear(dim, keys, q);
    this.kProj = linear(dim, keys, k);
    this.vProj = linear(dim, values, v);
    this.oProj = linear(values, dim, o);
    this.qConv = convolution(keys, qc);
    this.kConv = convolution(keys, kc);
    this.vConv = convolution(values, vc);
    this.oNorm = kind.outputNorm ? new RMSNorm(values / numHeads, { eps: normEps, dtype }) : null;
    this.gProj = kind.outputGate ? linear(dim, values, g) : null;
  }

  /**
   * @param x [batch, T, dim]
   * @returns of x's shape
   * @throws ShapeError, DTypeError where x, mask, documents or the cache do not fit
   */
  forward(x: Tensor, { cache, ...options }: MixerForward = {}): Tensor {
    const initialState = cache?.state ?? null;
    const { output, state } = this.read(x, { ...options, initialState, offset: cache?.length ?? 0 });
    cache?.update(state, x.shape[1]!);
    return output;
  }

  /** The same as a function of the state. */
  read(x: Tensor, options: MixerRead = {}): { readonly output: Tensor; readonly state: MixerState } {
    const { numHeads, chunkSize, oNorm, gProj } = this;
    const dim = this.qProj.inFeatures;
    if (x.rank !== 3 || x.shape[2] !== dim || x.size === 0)
      throw new ShapeError(this.name, `needs [batch, T, ${dim}]`, { operands: [x] });
    const [batch, length] = x.shape as readonly [number, number, number];
    const { initialState, offset = 0, form, mask, documents } = options;
    const convolutions: Tensor[] = [];
    const projected = [
      [this.qProj, this.qConv],
      [this.kProj, this.kConv],
      [this.vProj, this.vConv],
    ] as const;
    const [q, k, v] = projected.map(([linear, convolution], i) => {
      let y = linear.forward(x);
      if (convolution) {
        const before = initialState?.convolutions[i] ?? null;
        const read = convolution.read(y, { initialState: before, mask, documents });
        convolutions.push(read.state);
        y = read.output;
      }
      return this.split(y);
    }) as [Tensor, Tensor, Tensor];
    const { output, state } = this.mix(
      x,
      { q, k, v },
      {
        chunkSize,
        mask,
        documents,
        initialState: initialState?.recurrent ?? null,
        ...(form !== undefined && { form }),
      },
      offset,
    );
    let y = output.permute([0, 2, 1, 3]);
    if (oNorm) y = oNorm.forward(y);
    y = y.reshape([batch, length, numHeads * this.valueDim]);
    if (gProj) y = gProj.forward(x).siluMul(y);
    return { output: this.oProj.forward(y), state: { recurrent: state, convolutions } };
  }

  /** The recurrence itself. */
  protected abstract mix(
    x: Tensor,
    heads: Heads,
    options: RecurrenceOptions,
    offset: number,
  ): RecurrenceOutput;

  /** [batch, T, heads · d] → [batch, heads, T, d]. */
  protected split(y: Tensor): Tensor {
    const [batch, length, size] = y.shape as readonly [number, number, number];
    return y.reshape([batch, length, this.numHeads, size / this.numHeads]).permute([0, 2, 1, 3]);
  }
}

/** [batch, T, heads] → [batch, heads, T]. */
export function perHead(y: Tensor): Tensor {
  return y.transpose();
}

/** Of length 1 along the last axis, but for the ε under the root that keeps zeros zeros. */
export function unitLength(x: Tensor): Tensor {
  return x.div(x.square().sum(-1, true).add(1e-6).sqrt());
}
