/** The GPTs that everybody trains: sizes, initial weights, and the losses that must come out. */
import { symmetric } from './numbers.ts';

export interface GptSizes {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly inner: number;
  /** Positions, T. */
  readonly length: number;
  readonly batch: number;
  readonly vocabulary: number;
}

export const gptNames = ['small', 'large'] as const;
export type GptName = (typeof gptNames)[number];

export const gptSizes: Readonly<Record<GptName, GptSizes>> = {
  small: { layers: 4, width: 128, heads: 4, inner: 512, length: 128, batch: 8, vocabulary: 256 },
  large: { layers: 6, width: 256, heads: 4, inner: 1024, length: 256, batch: 4, vocabulary: 4096 },
};

export const adamW = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 };

/** The loss at a step, counted from 1. PyTorch's figures; jax-js and TensorFlow.js agree to the last digit. */
export const knownLosses: Readonly<Record<GptName, Readonly<Record<number, number>>>> = {
  small: { 1: 5.6487, 10: 3.7164, 100: 2.9758 },
  large: { 1: 8.4791 },
};

export interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  /** A linear layer's weights, [inputs, outputs]. */
  readonly linear: boolean;
  readonly data: Float32Array;
}

/** All parameters in one fixed order. Linear layers and embeddings take the seeds 100, 101, … in that order. */
export function initialWeights({ layers, width, inner, length, vocabulary }: GptSizes): Weight[] {
  const weights: Weight[] = [];
  let seed = 100;
  const matrix = (name: string, shape: readonly [number, number], bound: number, linear: boolean): void => {
    weights.push({ name, shape, linear, data: symmetric(seed++, shape[0] * shape[1], bound) });
  };
  const vector = (name: string, size: number, value: number): void => {
    weights.push({ name, shape: [size], linear: false, data: new Float32Array(size).fill(value) });
  };
  const norm = (name: string): void => {
    vector(`${name}.weight`, width, 1);
    vector(`${name}.bias`, width, 0);
  };
  const linear = (name: string, inputs: number, outputs: number): void =>
    matrix(`${name}.weight`, [inputs, outputs], 1 / Math.sqrt(inputs), true);
  const affine = (name: string, inputs: number, outputs: number): void => {
    linear(name, inputs, outputs);
    vector(`${name}.bias`, outputs, 0);
  };
  matrix('tokens.weight', [vocabulary, width], 0.05, false);
  matrix('positions.weight', [length, width], 0.05, false);
  for (let i = 0; i < layers; i++) {
    norm(`blocks.${i}.norm1`);
    affine(`blocks.${i}.qkv`, width, 3 * width);
    affine(`blocks.${i}.proj`, width, width);
    norm(`blocks.${i}.norm2`);
    affine(`blocks.${i}.up`, width, inner);
    affine(`blocks.${i}.down`, inner, width);
  }
  norm('norm');
  linear('head', width, vocabulary);
  return weights;
}
