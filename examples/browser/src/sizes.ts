/** How large a model the page trains, as changes of the gated recipe. */
import { passkeyRecipe, type PasskeyRecipe } from '@infinigrad/zoo';
import type { Trial } from './messages.ts';

interface Size {
  readonly label: string;
  readonly steps: number;
  readonly samples: number;
  /** Lengths at which the trained model is tried, in training lengths: some of `multiples`. */
  readonly tried: readonly number[];
  readonly changes: Partial<PasskeyRecipe>;
}

export const multiples = [1, 4, 16] as const;

export const sizes = {
  tiny: {
    label: 'tiny: one layer, a look at the machinery',
    steps: 30,
    samples: 16,
    tried: [1],
    // Of few different shapes, so that a GPU needs few kernels.
    changes: {
      batchSize: 8,
      segmentLength: 8,
      digits: 2,
      maxSegments: 2,
      numLayers: 1,
      hiddenSize: 16,
      intermediateSize: 16,
      learningRate: 2e-2,
    },
  },
  small: {
    label: 'small: two digits, up to 64 tokens',
    steps: 200,
    samples: 32,
    tried: multiples,
    changes: {
      segmentLength: 16,
      digits: 2,
      hiddenSize: 48,
      intermediateSize: 128,
      learningRate: 8e-3,
      warmupSteps: 20,
    },
  },
  experiment: {
    label: 'the experiment: three digits, up to 128 tokens',
    steps: 600,
    samples: 32,
    tried: multiples,
    changes: {},
  },
} as const satisfies Record<string, Size>;

export type SizeName = keyof typeof sizes;

export function trialOf(size: SizeName, steps: number, seed: number): Trial {
  const { changes, samples, tried } = sizes[size];
  return { recipe: passkeyRecipe('gated', { ...changes, steps, seed }), multiples: tried, samples };
}
