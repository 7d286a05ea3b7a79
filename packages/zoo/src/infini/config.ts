/** The Infini-Transformer's configuration: shapes, and every option of the compressive memory. */
import { ValueError } from '@infinigrad/tensor';
import type { ConfigSchema } from '../core/config.ts';

/** Sizes and options. Those without a default must be given. */
export interface InfiniTransformerOptions {
  /** Number of tokens in the vocabulary. */
  readonly vocabSize: number;
  /** Width of the residual stream, d_model. */
  readonly hiddenSize: number;
  readonly numLayers: number;
  /** Query heads. */
  readonly numHeads: number;
  /** Key-value heads; each serves numHeads / numKvHeads neighbouring query heads. Default numHeads. */
  readonly numKvHeads?: number;
  /** d_key = d_value of one head. Default hiddenSize / numHeads. */
  readonly headDim?: number;
  /** Width of the SwiGLU layer. Default 8/3 hiddenSize, rounded up to a multiple of 8. */
  readonly intermediateSize?: number;
  /** Tokens in a segment, N: local attention sees no further, and the memory is updated once a segment. */
  readonly segmentLength: number;
  /** Base of the rotary position embedding on local attention. Default 10000. */
  readonly ropeTheta?: number;
  /** Default 1e-6. */
  readonly rmsNormEps?: number;
  /** Use the embedding as output head too. Default false. */
  readonly tieWordEmbeddings?: boolean;

  /** Layers with a compressive memory, counted from 0. Default: all, as in the paper. [] is the local-only baseline. */
  readonly memoryLayers?: readonly number[];
  /** Eq. (8) `linear` or eq. (9) `delta`. Default `linear`. */
  readonly memoryUpdate?: 'linear' | 'delta';
  /** σ: `elu1` is the paper's ELU + 1; `dpfp` is the deterministic parameter-free projection with ν = 1 (arXiv 2102.11174). Default `elu1`. */
  readonly featureMap?: 'elu1' | 'relu' | 'softmax' | 'dpfp';
  /** How a read is scaled: by σ(Q)z as in eq. (7), or not at all but through an RMSNorm per head. Default `z`. */
  readonly memoryNormalization?: 'z' | 'rmsNorm';
  /** Keeps σ(Q)z away from 0. Default 1e-6. */
  readonly memoryEps?: number;
  /** `clamp`: the denominator is at least eps. `add`: eps is added to it. Default `clamp`. */
  readonly memoryEpsMode?: 'clamp' | 'add';
  /** What β of eq. (10) depends on: one number a head (the paper's), a head and channel, or the input. Default `perHead`. */
  readonly gate?: 'perHead' | 'perChannel' | 'input';
  /** Initial β; sigmoid(β) is the weight of the memory. Default 0. */
  readonly gateInit?: number;
  /** Rotate the memory's keys and queries too. The paper does not. Default false. */
  readonly positionOnMemory?: boolean;
  /** With an empty memory: `gated` mixes in a read of zeros, `local` lets local attention through unchanged. Default `gated`. */
  readonly firstSegment?: 'gated' | 'local';
  /** Cut gradients through the memory after every so many segments; null never. Default null. */
  readonly detachEvery?: number | null;
  /** Start from nothing, or from a learned state. Default `zero`. */
  readonly memoryInit?: 'zero' | 'learned';
  /** M and z are multiplied by this before each update (retention). Default 1. */
  readonly memoryDecay?: number;
  /**
   * Our extension, not in the paper: a gate w_t per head and token on what is written, M += Σ w_t σ(k_t)ᵀ v_t.
   * `sigmoid`: w = sigmoid(a); `hard`: w = clamp((1 + 2m) sigmoid(a) - m, 0, 1), which can be exactly 0 and 1. Default `none`.
   */
  readonly writeGate?: 'none' | 'sigmoid' | 'hard';
  /** m of the hard write gate. Default 0.5. */
  readonly writeGateMargin?: number;
}

/** The same with all defaults filled in; plain data. */
export type InfiniTransformerConfig = Required<InfiniTransformerOptions>;

const choices = {
  memoryUpdate: ['linear', 'delta'],
  featureMap: ['elu1', 'relu', 'softmax', 'dpfp'],
  memoryNormalization: ['z', 'rmsNorm'],
  memoryEpsMode: ['clamp', 'add'],
  gate: ['perHead', 'perChannel', 'input'],
  firstSegment: ['gated', 'local'],
  memoryInit: ['zero', 'learned'],
  writeGate: ['none', 'sigmoid', 'hard'],
} as const;

/** More layers than anybody builds: a larger number is a damaged file. */
const mostLayers = 65536;
const numbers = [
  'ropeTheta',
  'rmsNormEps',
  'memoryEps',
  'gateInit',
  'memoryDecay',
  'writeGateMargin',
] as const;
const flags = ['tieWordEmbeddings', 'positionOnMemory'] as const;

/** Fills in the defaults. @throws ValueError for sizes and options that make no model */
export function infiniTransformerConfig(options: InfiniTransformerOptions): InfiniTransformerConfig {
  const fail = (problem: string): never => {
    throw new ValueError('InfiniTransformer', problem);
  };
  const { hiddenSize, numHeads, numLayers } = options;
  if (!Number.isInteger(numLayers) || numLayers < 1 || numLayers > mostLayers)
    fail(`numLayers must be an integer from 1 to ${mostLayers}, got ${numLayers}`);
  const config: InfiniTransformerConfig = {
    numKvHeads: numHeads,
    headDim: hiddenSize / numHeads,
    intermediateSize: Math.ceil((hiddenSize * 8) / 3 / 8) * 8,
    ropeTheta: 10000,
    rmsNormEps: 1e-6,
    tieWordEmbeddings: false,
    memoryLayers: Array.from({ length: numLayers }, (_, i) => i),
    memoryUpdate: 'linear',
    featureMap: 'elu1',
    memoryNormalization: 'z',
    memoryEps: 1e-6,
    memoryEpsMode: 'clamp',
    gate: 'perHead',
    gateInit: 0,
    positionOnMemory: false,
    firstSegment: 'gated',
    detachEvery: null,
    memoryInit: 'zero',
    memoryDecay: 1,
    writeGate: 'none',
    writeGateMargin: 0.5,
    ...options,
  };
  const sizes = [
    'vocabSize',
    'hiddenSize',
    'numHeads',
    'numKvHeads',
    'headDim',
    'intermediateSize',
    'segmentLength',
  ] as const;
  for (const name of sizes)
    if (!Number.isInteger(config[name]) || config[name] < 1)
      fail(`${name} must be an integer ≥ 1, got ${config[name]}`);
  if (config.headDim % 2 !== 0) fail(`headDim must be even for rotary positions, got ${config.headDim}`);
  if (numHeads % config.numKvHeads !== 0)
    fail(`numHeads ${numHeads} is not a multiple of numKvHeads ${config.numKvHeads}`);
  for (const name of numbers)
    if (!Number.isFinite(config[name])) fail(`${name} must be a finite number, got ${String(config[name])}`);
  for (const name of flags)
    if (typeof config[name] !== 'boolean') fail(`${name} must be true or false, got ${String(config[name])}`);
  if (!(config.ropeTheta > 0)) fail(`ropeTheta must be > 0, got ${config.ropeTheta}`);
  if (!(config.rmsNormEps >= 0)) fail(`rmsNormEps must be ≥ 0, got ${config.rmsNormEps}`);
  if (!Array.isArray(config.memoryLayers))
    fail(`memoryLayers must be a list of layers, got ${String(config.memoryLayers)}`);
  for (const layer of config.memoryLayers)
    if (!Number.isInteger(layer) || layer < 0 || layer >= numLayers)
      fail(`memoryLayers names layer ${layer} of ${numLayers}`);
  for (const [name, known] of Object.entries(choices)) {
    const value = config[name as keyof typeof choices];
    if (!(known as readonly string[]).includes(value))
      fail(`${name} must be one of ${known.join(', ')}, got '${value}'`);
  }
  const { detachEvery, memoryDecay, memoryEps, writeGateMargin } = config;
  if (detachEvery !== null && !(Number.isInteger(detachEvery) && detachEvery >= 1))
    fail(`detachEvery must be null or an integer ≥ 1, got ${detachEvery}`);
  if (!(memoryDecay > 0 && memoryDecay <= 1)) fail(`memoryDecay must lie in (0, 1], got ${memoryDecay}`);
  if (!(memoryEps >= 0)) fail(`memoryEps must be ≥ 0, got ${memoryEps}`);
  if (!(writeGateMargin >= 0)) fail(`writeGateMargin must be ≥ 0, got ${writeGateMargin}`);
  return config;
}

const modelType = 'infini_transformer';
/** Keys that Hugging Face spells differently. */
const spelled: Readonly<Record<string, string>> = {
  numLayers: 'num_hidden_layers',
  numHeads: 'num_attention_heads',
  numKvHeads: 'num_key_value_heads',
};
const snake = (name: string): string => spelled[name] ?? name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/** The content of config.json, in Hugging Face's spelling. */
export function configToJson(config: InfiniTransformerConfig): Record<string, unknown> {
  const entries = Object.entries(config).map(([name, value]) => [snake(name), value as unknown]);
  return {
    model_type: modelType,
    architectures: ['InfiniTransformer'],
    ...(Object.fromEntries(entries) as Record<string, unknown>),
  };
}

/** The configuration that a config.json holds. @throws ValueError where it is of another model or incomplete, or has values of wrong types */
export function configFromJson(json: unknown): InfiniTransformerConfig {
  const fail = (problem: string): never => {
    throw new ValueError('InfiniTransformer', problem);
  };
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return fail('not a JSON object');
  const given = json as Readonly<Record<string, unknown>>;
  if (given['model_type'] !== modelType)
    fail(`config.json is of model type '${String(given['model_type'])}', not '${modelType}'`);
  const options: Record<string, unknown> = {};
  for (const [name, sample] of Object.entries(sampleConfig)) {
    const key = snake(name);
    if (!Object.hasOwn(given, key)) continue;
    const value = given[key];
    if (!sameType(sample, value))
      fail(`${key} is ${JSON.stringify(value)}, where ${JSON.stringify(sample)} would be a value`);
    options[name] = value;
  }
  for (const name of ['vocabSize', 'hiddenSize', 'numLayers', 'numHeads', 'segmentLength'])
    if (typeof options[name] !== 'number') fail(`config.json lacks ${snake(name)}`);
  return infiniTransformerConfig(options as unknown as InfiniTransformerOptions);
}

/** One value of the right type for each member. */
const sampleConfig = infiniTransformerConfig({
  vocabSize: 1,
  hiddenSize: 2,
  numLayers: 1,
  numHeads: 1,
  segmentLength: 1,
});

function sameType(sample: unknown, value: unknown): boolean {
  // detach_every: null or a number
  if (sample === null) return value === null || typeof value === 'number';
  if (Array.isArray(sample))
    return Array.isArray(value) && value.every((item) => typeof item === typeof sample[0]);
  return typeof value === typeof sample;
}

/** The three functions as one, as all families have them. */
export const infiniSchema: ConfigSchema<InfiniTransformerConfig> = {
  modelType,
  make: (options) => infiniTransformerConfig(options as InfiniTransformerOptions),
  toJson: configToJson,
  fromJson: configFromJson,
};
