/** The measured recipes for passkey retrieval: every hyperparameter of a run, as plain data. */
import { ValueError } from '@infinigrad/tensor';
import type { InfiniTransformerOptions } from '../infini/config.ts';
import { passkeyVocabSize, type PasskeyLayout } from './task.ts';

/**
 * `published`: the paper's equations (5)–(11), memory in every layer.
 * `published-prefix`: the same equations with memory in the top layer, trained behind a long filler prefix.
 * `gated`: memory in the top layer, with our write gate.
 */
export type PasskeyVariant = 'published' | 'published-prefix' | 'gated';
export const passkeyVariants: readonly PasskeyVariant[] = ['published', 'published-prefix', 'gated'];

export interface PasskeyRecipe extends PasskeyLayout {
  readonly variant: PasskeyVariant;
  /** Decides weights, data and everything else. */
  readonly seed: number;
  readonly steps: number;
  readonly batchSize: number;
  /** The longest training sequence in segments; lengths are drawn from 2 … this. */
  readonly maxSegments: number;
  /** Fraction of the steps over which the longest length grows from 2 to maxSegments. */
  readonly curriculum: number;
  /** Probability that a training key lies in the query's own segment. */
  readonly ownSegment: number;
  /** Weight of all tokens that are not answers. */
  readonly otherWeight: number;

  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numLayers: number;
  readonly numHeads: number;

  readonly learningRate: number;
  readonly weightDecay: number;
  /** Learning rate of the write gate; no weight decay. */
  readonly gateLearningRate: number;
  /** Learning rate of β; no weight decay. */
  readonly betaLearningRate: number;
  readonly warmupSteps: number;
  /** The cosine ends at this fraction of the learning rates. */
  readonly finalFactor: number;
  readonly clipNorm: number;
  /** λ of the penalty mean softplus(a) on the write gate's pre-activation; it grows to this over the first fifth of the steps. */
  readonly gatePenalty: number;
  /** Longest filler prefix, in multiples of its 3-segment period; 0 for none. */
  readonly prefix: number;
}

const common: Omit<PasskeyRecipe, 'variant' | 'steps' | 'gatePenalty' | 'prefix'> = {
  seed: 0,
  batchSize: 32,
  segmentLength: 32,
  digits: 3,
  filler: 'cyclic',
  maxSegments: 4,
  curriculum: 0.4,
  ownSegment: 0.15,
  otherWeight: 0.1,
  hiddenSize: 64,
  intermediateSize: 168,
  numLayers: 2,
  numHeads: 2,
  learningRate: 3e-3,
  weightDecay: 0.01,
  gateLearningRate: 1e-2,
  betaLearningRate: 2e-2,
  warmupSteps: 50,
  finalFactor: 0.02,
  clipNorm: 1,
};

const variants: Readonly<Record<PasskeyVariant, Pick<PasskeyRecipe, 'steps' | 'gatePenalty' | 'prefix'>>> = {
  published: { steps: 700, gatePenalty: 0, prefix: 0 },
  'published-prefix': { steps: 700, gatePenalty: 0, prefix: 1e4 },
  gated: { steps: 600, gatePenalty: 0.2, prefix: 0 },
};

/** The recipe of a variant, with changes. @throws ValueError for numbers that make no run */
export function passkeyRecipe(
  variant: PasskeyVariant,
  overrides: Partial<PasskeyRecipe> = {},
): PasskeyRecipe {
  if (!passkeyVariants.includes(variant))
    throw new ValueError('passkeyRecipe', `there is no variant '${String(variant)}'`, {
      hint: `one of ${passkeyVariants.join(', ')}`,
    });
  const recipe: PasskeyRecipe = { ...common, ...variants[variant], ...overrides, variant };
  for (const name of [
    'steps',
    'batchSize',
    'segmentLength',
    'digits',
    'hiddenSize',
    'intermediateSize',
    'numLayers',
    'numHeads',
  ] as const)
    if (!Number.isInteger(recipe[name]) || recipe[name] < 1)
      throw new ValueError('passkeyRecipe', `${name} must be an integer ≥ 1, got ${recipe[name]}`);
  if (!Number.isInteger(recipe.maxSegments) || recipe.maxSegments < 2)
    throw new ValueError('passkeyRecipe', `maxSegments must be an integer ≥ 2, got ${recipe.maxSegments}`);
  for (const name of ['learningRate', 'gateLearningRate', 'betaLearningRate', 'clipNorm'] as const)
    if (typeof recipe[name] !== 'number' || !(recipe[name] > 0))
      throw new ValueError('passkeyRecipe', `${name} must be > 0, got ${recipe[name]}`);
  for (const name of [
    'seed',
    'curriculum',
    'ownSegment',
    'otherWeight',
    'weightDecay',
    'warmupSteps',
    'finalFactor',
    'gatePenalty',
    'prefix',
  ] as const)
    if (!Number.isFinite(recipe[name]) || recipe[name] < 0)
      throw new ValueError('passkeyRecipe', `${name} must be a number ≥ 0, got ${String(recipe[name])}`);
  if (!['cyclic', 'random'].includes(recipe.filler))
    throw new ValueError('passkeyRecipe', `filler must be cyclic or random, got '${String(recipe.filler)}'`);
  if (recipe.prefix > 0 && recipe.filler !== 'cyclic')
    throw new ValueError('passkeyRecipe', 'a scaled filler prefix is exact for cyclic filler only');
  return recipe;
}

/** The model that a recipe trains; `control`: the same without memory. */
export function passkeyModelOptions(recipe: PasskeyRecipe, control = false): InfiniTransformerOptions {
  const { variant, segmentLength, hiddenSize, intermediateSize, numLayers, numHeads } = recipe;
  const sizes = {
    vocabSize: passkeyVocabSize,
    segmentLength,
    hiddenSize,
    intermediateSize,
    numLayers,
    numHeads,
  };
  if (control) return { ...sizes, memoryLayers: [] };
  if (variant === 'published') return sizes;
  const top = { ...sizes, memoryLayers: [numLayers - 1] };
  return variant === 'gated'
    ? { ...top, writeGate: 'hard', writeGateMargin: 0.5, memoryEps: 1, memoryEpsMode: 'add' }
    : top;
}
