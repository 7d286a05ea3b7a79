/** Adam and its kin: running means of the gradient and of its square. */
import type { Tensor } from '@infinigrad/tensor';
import { passing, times } from '../wide.ts';
import { checkFraction, checkNotNegative } from './momentum.ts';
import type { GradientTransform, TransformContext } from './transform.ts';

export interface AdamScaling {
  /** Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Default 1e-8. */
  readonly eps?: number;
}

/** The two means after a gradient. */
interface Means {
  readonly moment: Tensor;
  readonly secondMoment: Tensor;
}

type Slots = NonNullable<GradientTransform['slots']>;

const slots: Slots = (slot) => ({ moment: slot, secondMoment: slot });

function checked(op: string, { betas = [0.9, 0.999], eps = 1e-8 }: AdamScaling): [number, number, number] {
  checkFraction(op, 'β₁', betas[0]);
  checkFraction(op, 'β₂', betas[1]);
  checkNotNegative(op, 'eps', eps);
  return [...betas, eps];
}

function means(g: Tensor, { state }: TransformContext, beta1: number, beta2: number): Means {
  const moment = state['moment']!.mul(beta1).add(g.mul(1 - beta1));
  const secondMoment = state['secondMoment']!.mul(beta2).add(g.square().mul(1 - beta2));
  return { moment, secondMoment };
}

/** a m / (√v + eps), with v corrected for its start at 0. */
function scaled(m: Tensor, a: number, v: Tensor, eps: number, beta2: number, steps: number): Tensor {
  const root = Math.sqrt(1 - beta2 ** steps);
  return times(m, a * root).div(v.sqrt().add(passing(eps * root, m)));
}

export interface AmsgradOption {
  /** Divide by the largest that the second moment has been (arXiv 1904.09237). Default false. */
  readonly amsgrad?: boolean;
}

/** Adam (arXiv 1412.6980, Algorithm 1): m̂ / (√v̂ + eps). */
export function scaleByAdam({
  amsgrad = false,
  ...options
}: AdamScaling & AmsgradOption = {}): GradientTransform {
  const [beta1, beta2, eps] = checked('scaleByAdam', options);
  return {
    name: 'scaleByAdam',
    slots: (slot) => ({ ...slots(slot), ...(amsgrad && { maxSecondMoment: slot }) }),
    apply: (g, context) => {
      const { steps, state } = context;
      const { moment, secondMoment } = means(g, context, beta1, beta2);
      const most = amsgrad ? state['maxSecondMoment']!.maximum(secondMoment) : secondMoment;
      return {
        update: scaled(moment, 1 / (1 - beta1 ** steps), most, eps, beta2, steps),
        state: { moment, secondMoment, ...(amsgrad && { maxSecondMoment: most }) },
      };
    },
  };
}

export interface NAdamScaling extends AdamScaling {
  /** How soon momentum reaches β₁. Default 0.004. */
  readonly momentumDecay?: number;
}

/** NAdam: Adam with Nesterov's momentum (Dozat 2016), with PyTorch's schedule μₜ = β₁ (1 - ½ 0.96^(t·momentumDecay)). */
export function scaleByNAdam({ momentumDecay = 0.004, ...options }: NAdamScaling = {}): GradientTransform {
  const [beta1, beta2, eps] = checked('scaleByNAdam', options);
  checkNotNegative('scaleByNAdam', 'momentumDecay', momentumDecay);
  const mu = (step: number): number => beta1 * (1 - 0.5 * 0.96 ** (step * momentumDecay));
  return {
    name: 'scaleByNAdam',
    // The product of all μ so far.
    slots: (slot) => ({ ...slots(slot), muProduct: 1 }),
    apply: (g, context) => {
      const { steps, numbers } = context;
      const { moment, secondMoment } = means(g, context, beta1, beta2);
      const muProduct = numbers['muProduct']! * mu(steps);
      const ahead = mu(steps + 1);
      const direction = times(g, (1 - mu(steps)) / (1 - muProduct)).add(
        times(moment, ahead / (1 - muProduct * ahead)),
      );
      return {
        update: scaled(direction, 1, secondMoment, eps, beta2, steps),
        state: { moment, secondMoment },
        numbers: { muProduct },
      };
    },
  };
}

/** RAdam (arXiv 1908.03265, Algorithm 2): Adam, rectified; momentum alone while the variance is not known. As in PyTorch, eps is added to the uncorrected root. */
export function scaleByRAdam(options: AdamScaling = {}): GradientTransform {
  const [beta1, beta2, eps] = checked('scaleByRAdam', options);
  const longest = 2 / (1 - beta2) - 1;
  return {
    name: 'scaleByRAdam',
    slots,
    apply: (g, context) => {
      const { steps } = context;
      const { moment, secondMoment } = means(g, context, beta1, beta2);
      const rest = 1 - beta2 ** steps;
      const length = longest - (2 * steps * beta2 ** steps) / rest;
      const mean = 1 / (1 - beta1 ** steps);
      if (length <= 5) return { update: times(moment, mean), state: { moment, secondMoment } };
      const rectified = Math.sqrt(
        ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length),
      );
      const update = times(moment, mean * rectified * Math.sqrt(rest)).div(secondMoment.sqrt().add(eps));
      return { update, state: { moment, secondMoment } };
    },
  };
}

/** Adamax (arXiv 1412.6980, Algorithm 2): m̂ / u with u ← max(β₂ u, |g| + eps). */
export function scaleByAdamax(options: AdamScaling = {}): GradientTransform {
  const [beta1, beta2, eps] = checked('scaleByAdamax', options);
  return {
    name: 'scaleByAdamax',
    slots: (slot) => ({ moment: slot, infinityNorm: slot }),
    apply: (g, { steps, state }) => {
      const moment = state['moment']!.mul(beta1).add(g.mul(1 - beta1));
      const infinityNorm = state['infinityNorm']!.mul(beta2).maximum(g.abs().add(eps));
      return {
        update: times(moment, 1 / (1 - beta1 ** steps)).div(infinityNorm),
        state: { moment, infinityNorm },
      };
    },
  };
}
