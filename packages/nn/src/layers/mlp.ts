/** Feed-forward layers: with a function between two linear maps, and gated (arXiv 2002.05202). */
import type { FloatDType, Key, Tensor } from '@infinigrad/tensor';
import type { InitStd } from '../init.ts';
import { Module } from '../module.ts';
import { activationOf, type ActivationFunction } from './activations.ts';
import { Dropout } from './dropout.ts';
import { Linear } from './linear.ts';

export interface MLPOptions {
  /** Decides the initial weights. */
  readonly key: Key;
  /** Between the two maps. Default gelu. */
  readonly activation?: ActivationFunction;
  /** Default true. */
  readonly bias?: boolean;
  /** Size of the result. Default: that of the input. */
  readonly outDim?: number;
  /** Probability of dropout after the activation. Default 0. */
  readonly dropout?: number;
  /** As in `Linear`, for all its layers. */
  readonly std?: InitStd;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** down(activation(up x)). */
export class MLP extends Module {
  readonly takesKey = true as const;
  readonly upProj: Linear;
  readonly downProj: Linear;
  readonly dropout: Dropout | null;
  readonly activation: ActivationFunction;

  /** @throws ValueError for sizes that are none, and an activation that is not known */
  constructor(dim: number, hiddenDim: number, options: MLPOptions) {
    super();
    const { key, activation = 'gelu', bias = true, outDim = dim, dropout = 0, std, dtype = 'f32' } = options;
    activationOf('MLP', activation);
    const [up, down] = key.split(2) as [Key, Key];
    const shared = { bias, dtype, ...(std !== undefined && { std }) };
    this.upProj = new Linear(dim, hiddenDim, { key: up, ...shared });
    this.downProj = new Linear(hiddenDim, outDim, { key: down, ...shared });
    this.dropout = dropout === 0 ? null : new Dropout(dropout);
    this.activation = activation;
  }

  /** [..., dim] → [..., outDim]. @param key for dropout */
  forward(x: Tensor, key?: Key): Tensor {
    const hidden = activationOf('MLP', this.activation)(this.upProj.forward(x));
    return this.downProj.forward(this.dropout ? this.dropout.forward(hidden, key) : hidden);
  }
}

/** down(max(up x, 0)²) without biases unless told (arXiv 2109.08668). */
export class ReLU2MLP extends MLP {
  constructor(dim: number, hiddenDim: number, options: Omit<MLPOptions, 'activation'>) {
    super(dim, hiddenDim, { bias: false, ...options, activation: 'relu2' });
  }
}

export interface GatedMLPOptions extends MLPOptions {
  /** Of the gate. Default sigmoid (GLU). */
  readonly activation?: ActivationFunction;
  /** Default false. */
  readonly bias?: boolean;
}

/** down(activation(gate x) · up x). */
export class GatedMLP extends Module {
  readonly takesKey = true as const;
  readonly gateProj: Linear;
  readonly upProj: Linear;
  readonly downProj: Linear;
  readonly dropout: Dropout | null;
  readonly activation: ActivationFunction;

  /** @throws ValueError for sizes that are none, and an activation that is not known */
  constructor(dim: number, hiddenDim: number, options: GatedMLPOptions) {
    super();
    const {
      key,
      activation = 'sigmoid',
      bias = false,
      outDim = dim,
      dropout = 0,
      std,
      dtype = 'f32',
    } = options;
    activationOf('GatedMLP', activation);
    const [gate, up, down] = key.split(3) as [Key, Key, Key];
    const shared = { bias, dtype, ...(std !== undefined && { std }) };
    this.gateProj = new Linear(dim, hiddenDim, { key: gate, ...shared });
    this.upProj = new Linear(dim, hiddenDim, { key: up, ...shared });
    this.downProj = new Linear(hiddenDim, outDim, { key: down, ...shared });
    this.dropout = dropout === 0 ? null : new Dropout(dropout);
    this.activation = activation;
  }

  /** [..., dim] → [..., outDim]. @param key for dropout */
  forward(x: Tensor, key?: Key): Tensor {
    const [gate, up] = [this.gateProj.forward(x), this.upProj.forward(x)];
    const hidden =
      this.activation === 'silu' ? gate.siluMul(up) : activationOf('GatedMLP', this.activation)(gate).mul(up);
    return this.downProj.forward(this.dropout ? this.dropout.forward(hidden, key) : hidden);
  }
}

/** `GatedMLP` with gelu. */
export class GEGLU extends GatedMLP {
  constructor(dim: number, hiddenDim: number, options: Omit<GatedMLPOptions, 'activation'>) {
    super(dim, hiddenDim, { ...options, activation: 'gelu' });
  }
}

/** `GatedMLP` with relu. */
export class ReGLU extends GatedMLP {
  constructor(dim: number, hiddenDim: number, options: Omit<GatedMLPOptions, 'activation'>) {
    super(dim, hiddenDim, { ...options, activation: 'relu' });
  }
}
