/**
 * The compressive memory of Infini-attention, by the model's configuration: the rules themselves are nn's (arXiv 2404.07143 v2;
 * equation numbers are that version's).
 */
import {
  retrieveMemory,
  walkMemory,
  type MemoryRules,
  type MemoryState,
  type MemoryWalk,
} from '@infinigrad/nn';
import { featureDim } from '@infinigrad/nn';
import type { Tensor } from '@infinigrad/tensor';
import { flopsPerToken, type FlopsOptions } from '../core/counting.ts';
import type { InfiniTransformerConfig } from './config.ts';

export { featureDim, featureMap, memoryBytes, type MemoryState } from '@infinigrad/nn';

type MemoryOptions = Pick<
  InfiniTransformerConfig,
  | 'memoryUpdate'
  | 'featureMap'
  | 'memoryNormalization'
  | 'memoryEps'
  | 'memoryEpsMode'
  | 'memoryDecay'
  | 'detachEvery'
>;

/** The rules that a configuration names. States are walked segment by segment: checkpoints were trained so, to the bit. */
export function memoryRules(options: MemoryOptions): MemoryRules {
  return {
    update: options.memoryUpdate,
    normalize: options.memoryNormalization === 'z',
    eps: options.memoryEps,
    epsMode: options.memoryEpsMode,
    decay: options.memoryDecay,
    detachEvery: options.detachEvery,
    prefixSums: false,
  };
}

/** Eq. (7), see `retrieveMemory`. */
export function retrieve(
  options: MemoryOptions,
  queries: Tensor,
  matrix: Tensor,
  normalizer: Tensor,
): Tensor {
  return retrieveMemory(memoryRules(options), queries, matrix, normalizer);
}

/** Eq. (8) and (9): the state before each segment and after the last, see `walkMemory`. */
export function walkSegments(
  options: MemoryOptions,
  keys: Tensor,
  plainKeys: Tensor,
  values: Tensor,
  initial: MemoryState,
): MemoryWalk {
  return walkMemory(memoryRules(options), keys, plainKeys, values, initial);
}

type CostOptions = Pick<
  InfiniTransformerConfig,
  'memoryUpdate' | 'featureMap' | 'memoryNormalization' | 'memoryLayers' | 'segmentLength' | 'headDim'
>;

/**
 * Operations of a token: those of its matrices, of attention within the segment, and of reading from and writing to the memories,
 * whatever the length.
 * @param matrices numbers in them
 */
export function infiniFlops(
  config: CostOptions,
  { matrices, layers, heads }: { readonly matrices: number; readonly layers: number; readonly heads: number },
  { length = 0, training }: FlopsOptions,
): number {
  const { headDim, segmentLength } = config;
  const features = featureDim(config.featureMap, headDim);
  const read = features * (headDim + (config.memoryNormalization === 'z' ? 1 : 0));
  const written = features * headDim + (config.memoryUpdate === 'delta' ? read : 0);
  const remembered = new Set(config.memoryLayers).size * heads * (read + written);
  return flopsPerToken(
    matrices + remembered,
    { layers, heads, keyDim: headDim, valueDim: headDim },
    { length: Math.min(length, segmentLength), ...(training !== undefined && { training }) },
  );
}
