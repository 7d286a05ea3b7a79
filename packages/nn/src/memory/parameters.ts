/** The parameters of a compressive memory, and what they are for. */
import { full, zeros, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import { Linear } from '../layers/linear.ts';
import { RMSNorm } from '../layers/norm.ts';
import { featureDim, type FeatureMap } from '../linear-attention/feature-maps.ts';
import { Parameter } from '../parameter.ts';

/** What a memory learns; null where its options have no use for it. */
export interface MemoryParameters {
  /** β of eq. (10): [heads] or [heads, d_value]. */
  readonly beta: Parameter | null;
  /** The mixing gate, where it reads the input: inputDim → heads. */
  readonly gateProj: Linear | null;
  /** The write gate's pre-activation: inputDim → heads. */
  readonly writeGate: Linear | null;
  /** Over the values of a head, of reads that are not normalised by z. */
  readonly readNorm: RMSNorm | null;
  /** M_0: [heads, d_feature, d_value]. */
  readonly initialMatrix: Parameter | null;
  /** softplus of it is z_0: [heads, d_feature]. */
  readonly initialNormalizer: Parameter | null;
}

export interface MemoryParameterOptions {
  readonly numHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  /** Size of what input-dependent gates read. */
  readonly inputDim: number;
  readonly featureMap: FeatureMap;
  readonly gate: 'none' | 'perHead' | 'perChannel' | 'input';
  readonly gateInit: number;
  readonly writeGate: 'none' | 'sigmoid' | 'hard';
  readonly readNorm: boolean;
  readonly normEps: number;
  readonly initState: 'zero' | 'learned';
  /** Whether a learned state has a z_0 too: where reads are divided by z. */
  readonly learnNormalizer: boolean;
  /** For the mixing gate's projection and the write gate's. */
  readonly keys: readonly [Key, Key];
  readonly dtype: FloatDType;
}

export function memoryParameters(options: MemoryParameterOptions): MemoryParameters {
  const { numHeads, keyDim, valueDim, inputDim, gate, gateInit, keys, dtype, normEps } = options;
  const features = featureDim(options.featureMap, keyDim);
  const learned = options.initState === 'learned';
  const betaShape = gate === 'perHead' ? [numHeads] : [numHeads, valueDim];
  return {
    beta:
      gate === 'perHead' || gate === 'perChannel'
        ? new Parameter(full(betaShape, gateInit, { dtype }))
        : null,
    gateProj: gate === 'input' ? constantLinear(inputDim, numHeads, gateInit, keys[0], dtype) : null,
    writeGate: options.writeGate === 'none' ? null : constantLinear(inputDim, numHeads, 0, keys[1], dtype),
    readNorm: options.readNorm ? new RMSNorm(valueDim, { eps: normEps, dtype }) : null,
    initialMatrix: learned ? new Parameter(zeros([numHeads, features, valueDim], { dtype })) : null,
    initialNormalizer:
      learned && options.learnNormalizer ? new Parameter(zeros([numHeads, features], { dtype })) : null,
  };
}

/** A linear layer that starts as the constant `bias`. */
function constantLinear(inputs: number, outputs: number, bias: number, key: Key, dtype: FloatDType): Linear {
  const layer = new Linear(inputs, outputs, { key, std: 0, dtype });
  layer.bias!.assign(full([outputs], bias, { dtype }));
  return layer;
}

/**
 * w_t of the write gate from its pre-activation (no part of the paper): sigmoid(a), or `hard`:
 * clamp((1 + 2m) sigmoid(a) - m, 0, 1), which can be exactly 0 and 1.
 */
export function writeOpenness(a: Tensor, kind: 'sigmoid' | 'hard', margin: number): Tensor {
  const w = a.sigmoid();
  return kind === 'hard'
    ? w
        .mul(1 + 2 * margin)
        .sub(margin)
        .clip(0, 1)
    : w;
}
