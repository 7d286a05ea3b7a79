/** Sizes of models with memories by name. */
import { llamaPresets } from '../llama/config.ts';
import type { InfiniTransformerOptions } from './config.ts';
import type { InfiniLlamaOptions } from './llama.ts';

/** `new InfiniTransformer(infiniPresets['infini-tiny'], key)`. */
export const infiniPresets = {
  /** Ours, for trying things out, over bytes. */
  'infini-tiny': {
    vocabSize: 256,
    hiddenSize: 64,
    numLayers: 2,
    numHeads: 2,
    segmentLength: 32,
    tieWordEmbeddings: true,
  },
  /** Of the paper's experiments with language models, but that its feed-forward layer is gated here. */
  'infini-paper': {
    vocabSize: 32000,
    hiddenSize: 1024,
    numLayers: 12,
    numHeads: 8,
    headDim: 128,
    intermediateSize: 4096,
    segmentLength: 2048,
  },
} as const satisfies Readonly<Record<string, InfiniTransformerOptions>>;

/** `new InfiniLlamaForCausalLM(infiniLlamaPresets['infini-llama-tiny'], key)`; of a LLaMA that is there, `InfiniLlamaForCausalLM.from`. */
export const infiniLlamaPresets = {
  'infini-llama-tiny': { ...llamaPresets['llama-tiny'], segmentLength: 32 },
} as const satisfies Readonly<Record<string, InfiniLlamaOptions>>;
