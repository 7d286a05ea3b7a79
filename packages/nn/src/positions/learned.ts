/** Learned positions: a vector for each place. */
import { IndexError, Tensor, type FloatDType, type Key } from '@infinigrad/tensor';
import { checkSizes } from '../init.ts';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';
import { checkPositions, knownPositions, positionIds, type Positions } from './positions.ts';

export interface LearnedPositionsOptions {
  /** Decides the initial vectors. */
  readonly key: Key;
  /** Standard deviation of the initial normal values. Default 0.02. */
  readonly std?: number;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** Adds a learned vector to each token by its position (BERT, GPT-2). */
export class LearnedPositions extends Module {
  readonly maxLength: number;
  readonly dim: number;
  /** [maxLength, dim]. */
  readonly weight: Parameter;

  constructor(maxLength: number, dim: number, { key, std = 0.02, dtype = 'f32' }: LearnedPositionsOptions) {
    super();
    checkSizes('LearnedPositions', { maxLength, dim });
    this.maxLength = maxLength;
    this.dim = dim;
    this.weight = new Parameter(key.normal([maxLength, dim], { std, dtype }));
  }

  /**
   * The vectors alone: [T, dim], or [batch, T, dim] where positions are of each row.
   * @throws IndexError for positions from maxLength on
   */
  at(length: number, positions: Positions = 0): Tensor {
    const tensor = positions instanceof Tensor;
    checkPositions('LearnedPositions', positions, length, tensor ? positions.shape[0]! : batchOf(positions));
    // Of a tensor the op itself looks at the places.
    for (const position of tensor ? [] : knownPositions(positions, length)!.numbers)
      if (position >= this.maxLength)
        throw new IndexError('LearnedPositions', `there are ${this.maxLength} positions, got ${position}`);
    if (typeof positions === 'number') return this.weight.narrow(0, positions, length);
    return this.weight.indexSelect(0, positionIds(positions, length, this.weight.backend));
  }

  /** x [..., T, dim], or [batch, T, dim] where positions are of each row, with the vectors added. */
  forward(x: Tensor, positions: Positions = 0): Tensor {
    return x.add(this.at(x.shape.at(-2) ?? 0, positions));
  }
}

const batchOf = (starts: number | readonly number[]): number | null =>
  typeof starts === 'number' ? null : starts.length;
