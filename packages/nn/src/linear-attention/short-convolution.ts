/** The short causal convolution in front of recurrent mixers: each channel sees its last few values. */
import {
  arange,
  concat,
  ShapeError,
  zeros,
  type FloatDType,
  type Key,
  type Tensor,
} from '@infinigrad/tensor';
import type { RecurrentCache } from '../attention/cache.ts';
import { checkSizes, initialWeight, type InitStd } from '../init.ts';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';
import { bordersOf } from './problem.ts';

export interface ShortConvolutionOptions {
  /** Decides the initial weights. */
  readonly key: Key;
  /** Tokens that an output depends on: its own and those before. Default 4. */
  readonly kernelSize?: number;
  /** Default false. */
  readonly bias?: boolean;
  /** What follows. Default `silu`. */
  readonly activation?: 'silu' | 'none';
  /** Standard deviation of the weights. Default: uniform within ±1/√kernelSize. */
  readonly std?: InitStd;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

export interface ShortConvolutionRead {
  /** The inputs before the first one here, [batch, kernelSize - 1, channels]. Default zeros. */
  readonly initialState?: Tensor | null;
  /** bool [batch, T], false for padding: counts as zeros, and does not enter the state. */
  readonly mask?: Tensor | undefined;
  /** Integers [batch, T]: nothing is seen across a change of the number. */
  readonly documents?: Tensor | undefined;
}

/** A causal convolution of each channel by itself (`conv1d` with groups, padded on the left), over [batch, T, channels]. */
export class ShortConvolution extends Module {
  readonly channels: number;
  readonly kernelSize: number;
  readonly activation: 'silu' | 'none';
  /** [channels, 1, kernelSize]; the last one meets the token itself. */
  readonly weight: Parameter;
  /** [channels]. */
  readonly bias: Parameter | null;

  constructor(channels: number, options: ShortConvolutionOptions) {
    super();
    const { key, kernelSize = 4, bias = false, activation = 'silu', std, dtype = 'f32' } = options;
    checkSizes('ShortConvolution', { channels, kernelSize });
    this.channels = channels;
    this.kernelSize = kernelSize;
    this.activation = activation;
    this.weight = new Parameter(initialWeight(key, [channels, 1, kernelSize], kernelSize, std, dtype));
    this.bias = bias ? new Parameter(zeros([channels], { dtype })) : null;
  }

  /**
   * [batch, T, channels] → [batch, T, channels], going on from the cache where there is one.
   * @throws ShapeError for other sizes
   */
  forward(
    x: Tensor,
    {
      cache,
      ...options
    }: Omit<ShortConvolutionRead, 'initialState'> & { readonly cache?: RecurrentCache<Tensor> } = {},
  ): Tensor {
    const { output, state } = this.read(x, { ...options, initialState: cache?.state ?? null });
    cache?.update(state, x.shape[1]!);
    return output;
  }

  /** The same as a function of the state; gradients flow through it. */
  read(
    x: Tensor,
    { initialState, mask, documents }: ShortConvolutionRead = {},
  ): { readonly output: Tensor; readonly state: Tensor } {
    const { channels, kernelSize, weight, bias, activation } = this;
    if (x.rank !== 3 || x.shape[2] !== channels)
      throw new ShapeError('ShortConvolution', `needs [batch, T, ${channels}]`, { operands: [x] });
    const [batch, length] = x.shape as readonly [number, number, number];
    const past = kernelSize - 1;
    const { backend } = x;
    if (initialState && initialState.shape.join() !== [batch, past, channels].join())
      throw new ShapeError('ShortConvolution', `the state must be [${batch}, ${past}, ${channels}]`, {
        operands: [x, initialState],
      });
    const real = mask ? mask.unsqueeze(-1).where(x, 0) : x;
    const before = initialState ?? zeros([batch, past, channels], { dtype: x.dtype as FloatDType, backend });
    const all = past > 0 ? concat([before, real], 1) : real;
    // Borders of documents before and at each token; the state belongs to the first one's.
    const run = documents && bordersOf(documents, mask).reshape([batch, length, 1]).cast('i32').cumsum(1);
    const runs =
      run &&
      run.pad([
        [0, 0],
        [past, 0],
        [0, 0],
      ]);
    let y: Tensor | null = bias;
    for (let j = 0; j < kernelSize; j++) {
      const shifted = all.narrow(1, j, length);
      const seen = runs && j < past ? runs.narrow(1, j, length).eq(run).where(shifted, 0) : shifted;
      const term = seen.mul(weight.select(1, 0).select(-1, j));
      y = y ? y.add(term) : term;
    }
    let state = all.narrow(1, length, past);
    if (past > 0 && (mask || runs)) {
      // The last real tokens of each row.
      const last = mask
        ? mask.where(arange(length, { dtype: 'i32', backend }), -1).max(-1, true)
        : arange(length - 1, length, 1, { dtype: 'i32', backend }).expand([batch, 1]);
      const places = last.add(arange(1, past + 1, 1, { dtype: 'i32', backend })).unsqueeze(-1);
      state = all.takeAlongAxis(places, 1);
      if (runs)
        state = runs
          .takeAlongAxis(places, 1)
          .eq(runs.takeAlongAxis(last.add(past).unsqueeze(-1), 1))
          .where(state, 0);
    }
    return { output: activation === 'silu' ? y!.silu() : y!, state };
  }
}
