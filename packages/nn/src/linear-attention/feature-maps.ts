/** Feature maps: what stands in for softmax's exponential in linear attention, φ(q)·φ(k) ≈ e^{q·k}. */
import { concat, ones, ValueError, type Tensor } from '@infinigrad/tensor';

const maps = {
  /** ELU + 1 (arXiv 2006.16236, eq. 7): positive. */
  elu1: { dim: (d: number) => d, apply: (x: Tensor) => x.elu().add(1) },
  relu: { dim: (d: number) => d, apply: (x: Tensor) => x.relu() },
  /** relu(x)² (arXiv 2109.08668). */
  squaredRelu: { dim: (d: number) => d, apply: (x: Tensor) => x.relu().square() },
  /** Softmax over the channels (arXiv 1812.01243). */
  softmax: { dim: (d: number) => d, apply: (x: Tensor) => x.softmax(-1) },
  /** eˣ, which overflows for large x. */
  exp: { dim: (d: number) => d, apply: (x: Tensor) => x.exp() },
  /** [softmax(x), softmax(-x)], what Hedgehog (arXiv 2402.04347) makes of a learned projection x. */
  hedgehog: {
    dim: (d: number) => 2 * d,
    apply: (x: Tensor) => concat([x.softmax(-1), x.neg().softmax(-1)], -1),
  },
  /** The deterministic parameter-free projection (arXiv 2102.11174, eq. 37) with ν = 1. */
  dpfp: { dim: (d: number) => 2 * d, apply: (x: Tensor) => dpfp(x, 1) },
  /** e^{q·k/√d} to second order, 1 + q·k/√d + (q·k)²/2d (arXiv 2402.18668): positive, of 1 + d + d² channels. */
  taylor: { dim: (d: number) => 1 + d + d * d, apply: taylor },
  identity: { dim: (d: number) => d, apply: (x: Tensor) => x },
} as const satisfies Record<string, FeatureMapDefinition>;

export type FeatureMapName = keyof typeof maps;

/** A feature map of one's own. */
export interface FeatureMapDefinition {
  /** Channels of φ(x) for x of d channels. */
  readonly dim: (d: number) => number;
  /** [..., d] → [..., dim(d)]. */
  readonly apply: (x: Tensor) => Tensor;
}

/**
 * φ by name; `{ name: 'dpfp', nu }` for more than one roll; or its definition. Those whose values are never negative can be
 * normalised by a sum of weights: all but `identity`.
 */
export type FeatureMap =
  | FeatureMapName
  | { readonly name: 'dpfp'; readonly nu: number }
  | FeatureMapDefinition;

/** The names there are. */
export const featureMapNames = Object.keys(maps) as readonly FeatureMapName[];

/**
 * φ(x): [..., d] → [..., featureDim(kind, d)].
 * @throws ValueError for a map that is not known
 */
export function featureMap(kind: FeatureMap, x: Tensor): Tensor {
  return definitionOf(kind).apply(x);
}

/** Channels of φ(x) for x of `headDim` channels. @throws ValueError for a map that is not known */
export function featureDim(kind: FeatureMap, headDim: number): number {
  return definitionOf(kind).dim(headDim);
}

function definitionOf(kind: FeatureMap): FeatureMapDefinition {
  if (typeof kind === 'string') {
    if (!Object.hasOwn(maps, kind))
      throw new ValueError('featureMap', `must be one of ${featureMapNames.join(', ')}, got '${kind}'`);
    return maps[kind];
  }
  if ('apply' in kind) return kind;
  const { nu } = kind;
  if (kind.name !== 'dpfp' || !Number.isInteger(nu) || nu < 1)
    throw new ValueError('featureMap', `dpfp needs an integer nu ≥ 1, got ${nu}`);
  return { dim: (d) => 2 * d * nu, apply: (x) => dpfp(x, nu) };
}

/** r ⊙ roll(r, i) for i = 1 … ν, with r = [relu(x), relu(-x)]. */
function dpfp(x: Tensor, nu: number): Tensor {
  const r = concat([x.relu(), x.neg().relu()], -1);
  const products = Array.from({ length: nu }, (_, i) => r.mul(r.roll(i + 1, -1)));
  return nu === 1 ? products[0]! : concat(products, -1);
}

function taylor(x: Tensor): Tensor {
  const d = x.shape.at(-1)!;
  const scaled = x.mul(d ** -0.25);
  const squares = scaled.unsqueeze(-1).mul(scaled.unsqueeze(-2).mul(Math.SQRT1_2));
  const lead = x.shape.slice(0, -1);
  return concat(
    [
      ones([...lead, 1], { dtype: scaled.dtype, backend: x.backend }),
      scaled,
      squares.reshape([...lead, d * d]),
    ],
    -1,
  );
}
