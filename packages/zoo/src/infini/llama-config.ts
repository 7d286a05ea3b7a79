/** Configuration of a LLaMA with Infini-attention: LLaMA's, and the options of the memory. */
import { flag, integer, listOf, nullable, number, oneOf, type Check } from '../core/checks.ts';
import { configSchema } from '../core/config.ts';
import { checkLlama, llamaFields, type LlamaConfig } from '../llama/config.ts';
import type { InfiniTransformerConfig } from './config.ts';

/** How a LLaMA remembers what lies before the present segment. */
export interface MemoryConfig {
  /** N: tokens of a segment. Attention does not look beyond it. Default 2048. */
  readonly segmentLength: number;
  /** Layers with a memory. Default all. */
  readonly memoryLayers: readonly number[];
  /** Eq. (8) or (9). Default linear. */
  readonly memoryUpdate: 'linear' | 'delta';
  /** σ. Default elu1. */
  readonly featureMap: InfiniTransformerConfig['featureMap'];
  /** Reads are divided by σ(Q)z, or normed. Default z. */
  readonly memoryNormalization: 'z' | 'rmsNorm';
  /** Default 1e-6. */
  readonly memoryEps: number;
  /** Default clamp. */
  readonly memoryEpsMode: 'clamp' | 'add';
  /** What mixes reads with local attention, eq. (10). Default perHead. */
  readonly gate: 'perHead' | 'perChannel' | 'input';
  /** Of β. Default 0: half and half. */
  readonly gateInit: number;
  /** Queries and keys of the memory are turned by their positions too. Default false. */
  readonly positionOnMemory: boolean;
  /** `local`: what the checkpoint made of one segment stays as it is, to the bit. `gated`: mixed with a read of zeros. Default local. */
  readonly firstSegment: 'gated' | 'local';
  /** Gradients through the memory are cut after every so many segments. Default null: never. */
  readonly detachEvery: number | null;
  /** Default zero. */
  readonly memoryInit: 'zero' | 'learned';
  /** γ in (0, 1]. Default 1. */
  readonly memoryDecay: number;
  /** Our extension. Default none. */
  readonly writeGate: 'none' | 'sigmoid' | 'hard';
  /** Default 0.5. */
  readonly writeGateMargin: number;
}

export interface InfiniLlamaConfig extends LlamaConfig, MemoryConfig {}

const decay: Check = (value) => (number(0, 1)(value) === null && value !== 0 ? null : 'a number in (0, 1]');

export const infiniLlamaSchema = configSchema<InfiniLlamaConfig>(
  'InfiniLlamaConfig',
  'infini_llama',
  {
    ...llamaFields,
    segmentLength: { key: 'segment_length', check: integer(), default: 2048 },
    memoryLayers: {
      key: 'memory_layers',
      check: listOf(integer(0)),
      default: (before) => Array.from({ length: before['numHiddenLayers'] as number }, (_, i) => i),
    },
    memoryUpdate: { key: 'memory_update', check: oneOf('linear', 'delta'), default: 'linear' },
    featureMap: { key: 'feature_map', check: oneOf('elu1', 'relu', 'softmax', 'dpfp'), default: 'elu1' },
    memoryNormalization: { key: 'memory_normalization', check: oneOf('z', 'rmsNorm'), default: 'z' },
    memoryEps: { key: 'memory_eps', check: number(0), default: 1e-6 },
    memoryEpsMode: { key: 'memory_eps_mode', check: oneOf('clamp', 'add'), default: 'clamp' },
    gate: { key: 'gate', check: oneOf('perHead', 'perChannel', 'input'), default: 'perHead' },
    gateInit: { key: 'gate_init', check: number(), default: 0 },
    positionOnMemory: { key: 'position_on_memory', check: flag, default: false },
    firstSegment: { key: 'first_segment', check: oneOf('gated', 'local'), default: 'local' },
    detachEvery: { key: 'detach_every', check: nullable(integer()), default: null },
    memoryInit: { key: 'memory_init', check: oneOf('zero', 'learned'), default: 'zero' },
    memoryDecay: { key: 'memory_decay', check: decay, default: 1 },
    writeGate: { key: 'write_gate', check: oneOf('none', 'sigmoid', 'hard'), default: 'none' },
    writeGateMargin: { key: 'write_gate_margin', check: number(0), default: 0.5 },
  },
  (config, fail) => {
    checkLlama(config, fail);
    const layer = config.memoryLayers.find((i) => i >= config.numHiddenLayers);
    if (layer !== undefined) fail(`memoryLayers names layer ${layer} of ${config.numHiddenLayers}`);
    if (config.attentionDropout > 0)
      fail('attention with a memory drops no weights: attentionDropout must be 0');
  },
);
