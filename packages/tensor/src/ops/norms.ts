/** Normalisation over the last axis, with gradients that need one pass. */
import type { DType } from '../dtype.ts';
import { ShapeError, ValueError, type OperandInfo } from '../errors.ts';
import { sameShape, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { leadingOfFirst } from './batch.ts';
import { real, unit } from './domains.ts';
import { anyDType, floats, refused } from './families.ts';
import type { Attrs, Draw, ErrorCase, FusedRecord, Sample } from './record.ts';

type Infos = readonly OperandInfo[];

/** x [..., d]; each further one [d]. */
function checkNorm(op: string, operands: Infos, attrs: Attrs): { readonly eps: number } {
  const d = operands[0]!.shape.at(-1);
  if (d === undefined) throw new ShapeError(op, 'needs at least one axis', { operands });
  for (let i = 1; i < operands.length; i++) {
    const { shape } = operands[i]!;
    if (shape.length !== 1 || shape[0] !== d)
      throw new ShapeError(op, `weight and bias must have shape [${d}]`, { operands });
  }
  const eps = attrs['eps'] as number;
  if (!(eps >= 0 && eps < Infinity)) throw new ValueError(op, `eps must be a number ≥ 0, got ${eps}`);
  return { eps };
}

const dtypeOf = (inputs: Infos): DType => inputs[0]!.dtype as DType;

function sampleNorm(draw: Draw, vectors: number): Sample {
  const shape = draw.shape({ minRank: 1 });
  const inputs = [
    { shape, domain: real },
    ...Array.from({ length: vectors }, () => ({ shape: [shape.at(-1)!], domain: real })),
  ];
  return { inputs, attrs: { eps: draw.pick([0.1, 0.5]) } };
}

/** Gradient and weight are small: their products are rounded before they cancel out. */
function sampleGradient(draw: Draw): Sample {
  const shape = draw.shape({ minRank: 1 });
  const inputs = [
    { shape, domain: unit },
    { shape, domain: real },
    { shape: [shape.at(-1)!], domain: unit },
  ];
  return { inputs, attrs: { eps: draw.pick([0.1, 0.5]) } };
}

const normErrors: readonly ErrorCase[] = [
  { inputs: [{ shape: [2, 3] }, { shape: [2] }], attrs: { eps: 0 }, error: 'ShapeError', says: 'shape [3]' },
  { inputs: [{ shape: [] }, { shape: [1] }], attrs: { eps: 0 }, error: 'ShapeError', says: 'one axis' },
  { inputs: [{ shape: [3] }, { shape: [3] }], attrs: { eps: -1 }, error: 'ValueError', says: 'eps must be' },
];
const gradErrors: readonly ErrorCase[] = [
  {
    inputs: [{ shape: [2, 2] }, { shape: [2, 3] }, { shape: [3] }],
    attrs: { eps: 0 },
    error: 'ShapeError',
    says: 'gradient and input',
  },
];

function checkGradient(op: string, inputs: Infos): void {
  const [g, x] = inputs;
  if (!sameShape(g!.shape, x!.shape))
    throw new ShapeError(op, 'gradient and input must have one shape', { operands: inputs });
}

/** 1 / √(mean x² + eps). */
const inverseRms = (x: Tensor, eps: number): Tensor => x.square().mean(-1, true).add(eps).rsqrt();
/** x with the mean of its lines taken away, and 1 / √(variance + eps). */
function standardised(x: Tensor, eps: number): { centred: Tensor; scale: Tensor } {
  const centred = x.sub(x.mean(-1, true));
  return { centred, scale: inverseRms(centred, eps) };
}

const rmsNorm: FusedRecord<[x: Tensor, weight: Tensor, eps?: number]> = {
  kind: 'fused',
  doc: 'x / √(mean x² + eps) · weight over the last axis (arXiv 1910.07467, eq. 4); eps is 1e-6 unless told.',
  promote: 'float',
  accepts: [anyDType],
  call: (x, weight, eps = 1e-6) => ({ inputs: [x, weight], attrs: { eps } }),
  infer: (inputs, attrs, op) => ({
    attrs: checkNorm(op, inputs, attrs),
    shape: inputs[0]!.shape,
    dtype: dtypeOf(inputs),
  }),
  compose: ([x, weight], { eps }) => x!.mul(inverseRms(x!, eps as number)).mul(weight!),
  batch: leadingOfFirst,
  sample: (draw) => sampleNorm(draw, 1),
  errors: normErrors,
  flops: (_, plan) => 4 * sizeOf(plan.shape),
};

const rmsNormGrad: FusedRecord<[g: Tensor, x: Tensor, weight: Tensor, eps: number]> & {
  readonly free: true;
} = {
  kind: 'fused',
  free: true,
  doc: 'Gradients of rmsNorm, one after the other: of x, then of the weight; from g, the gradient of its result.',
  promote: 'float',
  accepts: [floats],
  call: (g, x, weight, eps) => ({ inputs: [g, x, weight], attrs: { eps } }),
  infer: (inputs, attrs, op) => {
    checkGradient(op, inputs);
    const checked = checkNorm(op, inputs.slice(1), attrs);
    return {
      attrs: checked,
      shape: [sizeOf(inputs[1]!.shape) + inputs[2]!.shape[0]!],
      dtype: dtypeOf(inputs),
    };
  },
  // With r = 1 / √(mean x² + eps) and h = g · weight:  dx = r h - r³ x mean(h x),  dweight = Σ g x r
  compose: ([g, x, weight], { eps }, { concat }) => {
    const r = inverseRms(x!, eps as number);
    const h = g!.mul(weight!);
    const pull = h.mul(x!).mean(-1, true).mul(r.mul(r).mul(r));
    const dx = h.mul(r).sub(x!.mul(pull));
    return concat([dx.flatten(), g!.mul(x!).mul(r).sumTo(weight!.shape)], 0);
  },
  sample: sampleGradient,
  errors: [
    ...gradErrors,
    ...refused(floats, (dtype) => [{ shape: [2], dtype }, { shape: [2] }, { shape: [2] }]),
  ],
  flops: ([g]) => 10 * sizeOf(g!.shape),
};

const layerNorm: FusedRecord<[x: Tensor, weight: Tensor, bias?: Tensor | null, eps?: number]> = {
  kind: 'fused',
  doc: '(x - mean) / √(variance + eps) · weight + bias over the last axis, with the variance of the population (arXiv 1607.06450); eps is 1e-5 unless told.',
  promote: 'float',
  accepts: [anyDType],
  call: (x, weight, bias = null, eps = 1e-5) => ({
    inputs: bias ? [x, weight, bias] : [x, weight],
    attrs: { eps },
  }),
  infer: (inputs, attrs, op) => ({
    attrs: checkNorm(op, inputs, attrs),
    shape: inputs[0]!.shape,
    dtype: dtypeOf(inputs),
  }),
  compose: ([x, weight, bias], { eps }) => {
    const { centred, scale } = standardised(x!, eps as number);
    const y = centred.mul(scale).mul(weight!);
    return bias ? y.add(bias) : y;
  },
  batch: leadingOfFirst,
  sample: (draw) => sampleNorm(draw, draw.int(1, 2)),
  errors: normErrors,
  flops: (_, plan) => 7 * sizeOf(plan.shape),
};

const layerNormGrad: FusedRecord<[g: Tensor, x: Tensor, weight: Tensor, eps: number]> & {
  readonly free: true;
} = {
  kind: 'fused',
  free: true,
  doc: 'Gradients of layerNorm, one after the other: of x, of the weight, of the bias; from g, the gradient of its result.',
  promote: 'float',
  accepts: [floats],
  call: (g, x, weight, eps) => ({ inputs: [g, x, weight], attrs: { eps } }),
  infer: (inputs, attrs, op) => {
    checkGradient(op, inputs);
    const checked = checkNorm(op, inputs.slice(1), attrs);
    const size = sizeOf(inputs[1]!.shape) + 2 * inputs[2]!.shape[0]!;
    return { attrs: checked, shape: [size], dtype: dtypeOf(inputs) };
  },
  // With n = (x - mean) r, r = 1 / √(variance + eps) and h = g · weight:
  //   dx = r (h - mean h - n mean(h n)),  dweight = Σ g n,  dbias = Σ g
  compose: ([g, x, weight], { eps }, { concat }) => {
    const { centred, scale } = standardised(x!, eps as number);
    const n = centred.mul(scale);
    const h = g!.mul(weight!);
    const dx = h
      .sub(h.mean(-1, true))
      .sub(n.mul(h.mul(n).mean(-1, true)))
      .mul(scale);
    const { shape } = weight!;
    return concat([dx.flatten(), g!.mul(n).sumTo(shape), g!.sumTo(shape)], 0);
  },
  sample: sampleGradient,
  errors: [
    ...gradErrors,
    ...refused(floats, (dtype) => [{ shape: [2], dtype }, { shape: [2] }, { shape: [2] }]),
  ],
  flops: ([g]) => 14 * sizeOf(g!.shape),
};

export const norms = { rmsNorm, rmsNormGrad, layerNorm, layerNormGrad };
