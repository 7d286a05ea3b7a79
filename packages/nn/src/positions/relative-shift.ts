/** Transformer-XL's relative positions (arXiv 1901.02860, section 3.3 and appendix B). */
import { ShapeError, zeros, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import { checkSizes, type InitStd } from '../init.ts';
import { Linear } from '../layers/linear.ts';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';
import type { ScorePositions } from './score-positions.ts';
import { sinusoidalPositions } from './sinusoidal.ts';

/**
 * Terms by query and distance, turned into terms by query and key. Column c of x belongs to distance keys - 1 - c (of the
 * query from the key), so that the last query, beside the last key, has its line already in order; every query before it
 * needs its line moved by one more to the left. What has no distance in x, keys after the query, becomes 0.
 * @param x [..., T_q, T_k], T_k ≥ T_q
 * @returns [..., T_q, T_k]: out[i][j] = x[i][j + T_q - 1 - i] for j ≤ i + T_k - T_q
 */
export function relativeShift(x: Tensor): Tensor {
  if (x.rank < 2) throw new ShapeError('relativeShift', 'needs [..., T_q, T_k]', { operands: [x] });
  const [queries, keys] = x.shape.slice(-2) as [number, number];
  if (queries > keys)
    throw new ShapeError('relativeShift', `${queries} queries for ${keys} keys`, {
      operands: [x],
      hint: 'the last query stands beside the last key',
    });
  // The last query's line is in order.
  if (queries === 1) return x;
  const lead = x.shape.slice(0, -2);
  // With one column before each line, lines read at the old width start ever one earlier.
  const padded = x.pad([...lead.map((): [number, number] => [0, 0]), [0, 0], [1, 0]]);
  const shifted = padded
    .reshape([...lead, keys + 1, queries])
    .narrow(-2, 1, keys)
    .reshape(x.shape);
  return shifted.tril(keys - queries);
}

export interface TransformerXLPositionsOptions {
  /** Decides the initial weights. */
  readonly key: Key;
  /** As in `Linear`, for the projection of distances. */
  readonly std?: InitStd;
  /** Default 10000. */
  readonly base?: number;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/**
 * Scores (q_i + u)·k_j + (q_i + v)·(W r_{i-j}), r sinusoidal (halves), u and v learned for each head. Distances count for
 * keys not after the query: meant for causal attention.
 */
export class TransformerXLPositions extends Module implements ScorePositions {
  readonly heads: number;
  readonly headDim: number;
  readonly base: number;
  /** u: [heads, headDim], zeros to start with. */
  readonly contentBias: Parameter;
  /** v: [heads, headDim], zeros to start with. */
  readonly positionBias: Parameter;
  /** W: [heads · headDim, dim]. */
  readonly rProj: Linear;

  /** @param dim of the sinusoidal vectors, even; the model's width in the paper */
  constructor(
    heads: number,
    headDim: number,
    dim: number,
    { key, std, base = 10000, dtype = 'f32' }: TransformerXLPositionsOptions,
  ) {
    super();
    checkSizes('TransformerXLPositions', { heads, headDim, dim });
    sinusoidalPositions(1, dim, { base });
    this.heads = heads;
    this.headDim = headDim;
    this.base = base;
    this.contentBias = new Parameter(zeros([heads, headDim], { dtype }));
    this.positionBias = new Parameter(zeros([heads, headDim], { dtype }));
    this.rProj = new Linear(dim, heads * headDim, {
      key,
      bias: false,
      dtype,
      ...(std !== undefined && { std }),
    });
  }

  queries(q: Tensor): Tensor {
    return q.add(this.contentBias.unsqueeze(1));
  }

  bias(q: Tensor, keys: number, scale: number): Tensor {
    const { heads, headDim } = this;
    const distances = Array.from({ length: keys }, (_, c) => keys - 1 - c);
    const r = sinusoidalPositions(distances, this.rProj.inFeatures, {
      base: this.base,
      layout: 'halves',
      dtype: q.dtype,
      backend: q.backend,
    });
    // [heads, headDim, keys]
    const projected = this.rProj.forward(r).reshape([keys, heads, headDim]).permute([1, 2, 0]);
    return relativeShift(q.add(this.positionBias.unsqueeze(1)).mul(scale).matmul(projected));
  }
}
