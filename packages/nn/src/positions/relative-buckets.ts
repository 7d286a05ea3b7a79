/** T5's relative positions: a learned number for each head and bucket of distances (arXiv 1910.10683, section 2.1). */
import { fromData, ValueError, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import { checkSizes } from '../init.ts';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';
import type { ScorePositions } from './score-positions.ts';

export interface BucketOptions {
  /** Half of the buckets for keys after the query; else those all share bucket 0. Default true. */
  readonly bidirectional?: boolean | undefined;
  /** Default 32. */
  readonly numBuckets?: number | undefined;
  /** Distances from here on share a bucket. Default 128. */
  readonly maxDistance?: number | undefined;
}

/**
 * The bucket of a key by its distance from the query, key position less query position: near ones have buckets of their
 * own, further ones share them, ever more on a logarithmic scale. The logarithm is taken in f32 as the reference does:
 * borders lie on whole distances.
 */
export function relativeBucket(
  distance: number,
  { bidirectional = true, numBuckets = 32, maxDistance = 128 }: BucketOptions = {},
): number {
  const buckets = bidirectional ? Math.floor(numBuckets / 2) : numBuckets;
  const start = bidirectional && distance > 0 ? buckets : 0;
  const far = bidirectional ? Math.abs(distance) : Math.max(0, -distance);
  const exact = Math.floor(buckets / 2);
  if (far < exact) return start + far;
  const f32 = Math.fround;
  const part = f32(f32(Math.log(f32(far / exact))) / f32(Math.log(maxDistance / exact)));
  return start + Math.min(buckets - 1, exact + Math.trunc(f32(part * (buckets - exact))));
}

export interface RelativePositionBiasOptions extends BucketOptions {
  /** Decides the initial numbers. */
  readonly key: Key;
  /** Standard deviation of the initial normal values. Default 0.02. */
  readonly std?: number;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

/** Adds a learned number to each score, by head and bucket. One may serve several layers, as in T5. */
export class RelativePositionBias extends Module implements ScorePositions {
  readonly heads: number;
  readonly bidirectional: boolean;
  readonly numBuckets: number;
  readonly maxDistance: number;
  /** [numBuckets, heads]. */
  readonly weight: Parameter;

  /** @throws ValueError for buckets that leave no room for the logarithmic ones */
  constructor(
    heads: number,
    {
      key,
      bidirectional = true,
      numBuckets = 32,
      maxDistance = 128,
      std = 0.02,
      dtype = 'f32',
    }: RelativePositionBiasOptions,
  ) {
    super();
    checkSizes('RelativePositionBias', { heads, numBuckets, maxDistance });
    const exact = Math.floor((bidirectional ? numBuckets / 2 : numBuckets) / 2);
    if (exact < 1 || maxDistance <= exact)
      throw new ValueError(
        'RelativePositionBias',
        `needs more than ${bidirectional ? 3 : 1} buckets and a maxDistance above a ${bidirectional ? 'quarter' : 'half'} of them, got ${numBuckets} and ${maxDistance}`,
      );
    this.heads = heads;
    this.bidirectional = bidirectional;
    this.numBuckets = numBuckets;
    this.maxDistance = maxDistance;
    this.weight = new Parameter(key.normal([numBuckets, heads], { std, dtype }));
  }

  /** [heads, queries, keys], the last query beside the last key. */
  forward(queries: number, keys: number): Tensor {
    const first = keys - queries;
    // By distance, from the last query's first key to the first query's last one; each line is a window of them.
    const buckets = new Int32Array(queries * keys);
    const byDistance = Array.from({ length: queries + keys - 1 }, (_, n) =>
      relativeBucket(n - keys + 1, this),
    );
    for (let i = 0; i < queries; i++)
      for (let j = 0; j < keys; j++) buckets[i * keys + j] = byDistance[j - i - first + keys - 1]!;
    const index = fromData(buckets, [queries, keys], { backend: this.weight.backend });
    return this.weight.indexSelect(0, index).permute([2, 0, 1]);
  }

  bias(q: Tensor, keys: number): Tensor {
    return this.forward(q.shape.at(-2)!, keys);
  }
}
