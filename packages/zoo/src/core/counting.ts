/** What models cost: floating-point operations of a token, and numbers that are kept of what was read. */
import { Linear, type Module } from '@infinigrad/nn';

/** What the costs of a model with attention depend on, beside its parameters. */
export interface AttentionShape {
  readonly layers: number;
  readonly heads: number;
  /** Heads of keys and values that are kept; 0 where a text is read at once, and nothing kept. */
  readonly kvHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  /** Width of what queries are multiplied with for each token seen besides its key: relative positions. Default 0. */
  readonly positionDim?: number;
  /** Numbers of an embedding table that serves as output head too. */
  readonly tiedHead: number;
}

export interface FlopsOptions {
  /** Tokens that each one sees. Default 0: attention's own products are left out. */
  readonly length?: number;
  /** Forward and backward, three times the forward pass. Default true. */
  readonly training?: boolean;
}

/**
 * 2 operations forward for each number of a matrix, and 2 · layers · heads · (keyDim + valueDim) for each token seen; 6 N + 12 L H Q T
 * in training, as PaLM counts (arXiv 2204.02311, appendix B). Additions of biases, norms and functions of single numbers count for
 * nothing; tokens that a mask hides count as seen.
 * @param matrices numbers in all matrices that tokens are multiplied with
 */
export function flopsPerToken(
  matrices: number,
  { layers, heads, keyDim, valueDim, positionDim = 0 }: Omit<AttentionShape, 'tiedHead' | 'kvHeads'>,
  { length = 0, training = true }: FlopsOptions = {},
): number {
  return (training ? 3 : 1) * 2 * (matrices + layers * heads * (keyDim + valueDim + positionDim) * length);
}

/** The numbers in the matrices of a model's linear layers, adapters among them. @param except layers that do not count */
export function matrixNumbers(model: Module, except: readonly (Module | null)[] = []): number {
  const layers = model.modules().filter((m) => m instanceof Linear && !except.includes(m));
  const matrices = new Set(layers.flatMap((m) => m.parameters()).filter(({ rank }) => rank > 1));
  return [...matrices].reduce((total, { size }) => total + size, 0);
}

/** Sizes in the formulas of the Infini-Transformer's Table 1 (arXiv 2404.07143 v2); those that a model has no use for are left out. */
export interface FootprintSizes {
  readonly layers: number;
  readonly heads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  /** N: tokens of a segment. */
  readonly segment: number;
}

/** Numbers that each kind of model keeps of what it has read: that table. */
export const footprints = {
  /** Keys and values of every token. */
  transformer: (
    { layers, heads, keyDim, valueDim }: Omit<FootprintSizes, 'segment'>,
    length: number,
  ): number => (keyDim + valueDim) * heads * length * layers,
  /** Those of the segment before (arXiv 1901.02860). */
  transformerXl: ({ layers, heads, keyDim, valueDim, segment }: FootprintSizes): number =>
    (keyDim + valueDim) * heads * segment * layers,
  /** c compressed vectors, and a segment (arXiv 1911.05507). */
  compressive: (
    { layers, segment }: Pick<FootprintSizes, 'layers' | 'segment'>,
    hiddenSize: number,
    compressed: number,
  ): number => hiddenSize * (compressed + segment) * layers,
  /** Keys and values of every token, of one layer (arXiv 2203.08913). */
  memorizing: (
    { heads, keyDim, valueDim }: Pick<FootprintSizes, 'heads' | 'keyDim' | 'valueDim'>,
    length: number,
  ): number => (keyDim + valueDim) * heads * length,
  /** p summary vectors, read and written (RMT, arXiv 2207.06881). */
  recurrentMemory: (
    { layers }: Pick<FootprintSizes, 'layers'>,
    hiddenSize: number,
    summaries: number,
  ): number => hiddenSize * summaries * layers * 2,
  /** p summary vectors of each of m steps and the present one (arXiv 2305.14788). */
  autoCompressor: (
    { layers }: Pick<FootprintSizes, 'layers'>,
    hiddenSize: number,
    summaries: number,
    steps: number,
  ): number => hiddenSize * summaries * (steps + 1) * layers,
  /** A matrix and a normaliser for each head and layer. */
  infini: ({ layers, heads, keyDim, valueDim }: Omit<FootprintSizes, 'segment'>): number =>
    keyDim * (valueDim + 1) * heads * layers,
} as const;
