/** Sizes of Transformer-XLs by name. */
import type { TransformerXLOptions } from './config.ts';

/** `new TransformerXL(transformerXLPresets['transformer-xl-tiny'], key)`. */
export const transformerXLPresets = {
  /** Ours, for trying things out, over bytes. */
  'transformer-xl-tiny': {
    vocabSize: 256,
    hiddenSize: 64,
    numLayers: 2,
    numHeads: 4,
    segmentLength: 32,
    tieWordEmbeddings: true,
  },
} as const satisfies Readonly<Record<string, TransformerXLOptions>>;
