/** What an optimizer does to a parameter, in one pass over its elements. */
import type { DType } from '../dtype.ts';
import { ShapeError, ValueError } from '../errors.ts';
import { sameShape, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { positive, real } from './domains.ts';
import { floats, refused } from './families.ts';
import type { Attrs, FusedRecord } from './record.ts';

/** The numbers of one AdamW step. */
export interface AdamWStep {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Steps this parameter has had, counting this one. */
  readonly step: number;
  /** Factor of the gradient (clipping). */
  readonly gradientScale: number;
}

const names = ['learningRate', 'beta1', 'beta2', 'eps', 'weightDecay', 'step', 'gradientScale'] as const;

/**
 * The step as factors, so that each element takes few operations:
 *   m ← β₁ m + a g,  v ← β₂ v + b g²,  θ ← decay θ - rate m / (√v + e)
 * with bias corrections m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ) multiplied out by √(1 - β₂ᵗ).
 */
export function adamWFactors(
  attrs: Attrs,
): Readonly<Record<'beta1' | 'beta2' | 'a' | 'b' | 'decay' | 'rate' | 'e', number>> {
  const {
    learningRate,
    beta1,
    beta2,
    eps,
    weightDecay,
    step,
    gradientScale: c,
  } = attrs as unknown as AdamWStep;
  const root = Math.sqrt(1 - beta2 ** step);
  return {
    beta1,
    beta2,
    a: (1 - beta1) * c,
    b: (1 - beta2) * c * c,
    decay: 1 - learningRate * weightDecay,
    rate: (learningRate * root) / (1 - beta1 ** step),
    e: eps * root,
  };
}

const adamWStep: FusedRecord<
  [parameter: Tensor, mean: Tensor, meanSquare: Tensor, g: Tensor, step: AdamWStep]
> & {
  readonly free: true;
} = {
  kind: 'fused',
  free: true,
  doc: 'One AdamW update (arXiv 1711.05101): the new parameter, mean and mean square of the gradient, stacked: [3, ...].',
  promote: 'float',
  accepts: [floats],
  call: (parameter, mean, meanSquare, g, step) => ({
    inputs: [parameter, mean, meanSquare, g],
    attrs: { ...step } as Attrs,
  }),
  infer: (inputs, attrs, op) => {
    const [first] = inputs;
    if (inputs.some(({ shape }) => !sameShape(shape, first!.shape)))
      throw new ShapeError(op, 'parameter, moments and gradient must have one shape', { operands: inputs });
    for (const name of names)
      if (!Number.isFinite(attrs[name]))
        throw new ValueError(op, `${name} must be finite, got ${String(attrs[name])}`);
    return { shape: [3, ...first!.shape], dtype: first!.dtype as DType, attrs };
  },
  compose: ([parameter, mean, meanSquare, g], attrs, { concat }) => {
    const { beta1, beta2, a, b, decay, rate, e } = adamWFactors(attrs);
    const m = mean!.mul(beta1).add(g!.mul(a));
    const v = meanSquare!.mul(beta2).add(g!.square().mul(b));
    const theta = parameter!.mul(decay).sub(m.div(v.sqrt().add(e)).mul(rate));
    return concat(
      [theta, m, v].map((x) => x.unsqueeze(0)),
      0,
    );
  },
  sample: (draw) => {
    const shape = draw.shape();
    const attrs = {
      learningRate: 0.1,
      beta1: 0.9,
      beta2: 0.99,
      eps: 1e-3,
      weightDecay: draw.pick([0, 0.1]),
      step: draw.int(1, 5),
      gradientScale: draw.pick([1, 0.5]),
    };
    return { inputs: [real, real, positive, real].map((domain) => ({ shape, domain })), attrs };
  },
  errors: [
    {
      inputs: [{ shape: [2] }, { shape: [2] }, { shape: [3] }, { shape: [2] }],
      attrs: {},
      error: 'ShapeError',
      says: 'one shape',
    },
    {
      inputs: [{ shape: [2] }, { shape: [2] }, { shape: [2] }, { shape: [2] }],
      attrs: { learningRate: NaN },
      error: 'ValueError',
      says: 'learningRate must be finite',
    },
    ...refused(floats, (dtype) => [{ shape: [2], dtype }, { shape: [2] }, { shape: [2] }, { shape: [2] }]),
  ],
  flops: (_, plan) => 5 * sizeOf(plan.shape),
};

export const updates = { adamWStep };
