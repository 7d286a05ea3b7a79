/** Gradient transforms: what stands between a gradient and what is added to a parameter, in named steps. */
import { ValueError, type DType, type Shape, type Tensor } from '@infinigrad/tensor';
import type { StateNumbers, StateSlots, StateTensors } from '../states.ts';

/** What a transform knows of the parameter and of the step. */
export interface TransformContext {
  /** The parameter's value before the step, in the dtype that is computed with. */
  readonly parameter: Tensor;
  /** Updates this parameter has had, counting this one. */
  readonly steps: number;
  /** Of the parameter's group, schedule included. */
  readonly learningRate: number;
  /** The transform's own, by the names in its `slots`. */
  readonly state: StateTensors;
  readonly numbers: StateNumbers;
  /** What its `whole` made of the updates of all parameters. */
  readonly factor: Tensor | null;
}

export interface Transformed {
  readonly update: Tensor;
  /** The state to keep, by the names in `slots`; what is left out stays as it is. */
  readonly state?: StateTensors;
  readonly numbers?: StateNumbers;
}

/**
 * One step of a chain. It gets the gradient, or what the transform before it made of it, in f32 (f64 for parameters of f64); what
 * the last one gives is added to the parameter. State is per parameter.
 */
export interface GradientTransform {
  readonly name: string;
  /** What it keeps of a parameter between updates. Default: nothing. */
  slots?(parameter: { readonly shape: Shape; readonly dtype: DType }): StateSlots;
  /** A number (of rank 0) made of the updates of all parameters together, for transforms that look at them all. */
  whole?(updates: readonly Tensor[]): Tensor;
  apply(update: Tensor, context: TransformContext): Transformed;
}

/** Transforms one after the other. */
export type Chain = readonly GradientTransform[];

/**
 * Transforms in their order; chains among them are taken apart.
 * @throws ValueError for what is neither a transform nor a chain, or none at all
 */
export function chain(...parts: readonly (GradientTransform | Chain)[]): Chain {
  const all = parts.flat();
  if (all.length === 0) throw new ValueError('chain', 'needs at least one transform');
  for (const part of all)
    if (typeof (part as GradientTransform | undefined)?.apply !== 'function')
      throw new ValueError('chain', 'takes transforms and chains of them');
  return all;
}

/** Names of what an optimizer keeps itself. */
const taken: readonly string[] = ['step', 'slow', 'master'];

/** The names under which a chain keeps what its transforms keep: their own; with a number behind where one comes again. */
export function slotNames(
  transforms: Chain,
  slotsOf: (transform: GradientTransform) => StateSlots,
): { readonly own: string; readonly name: string; readonly at: number }[] {
  const seen = new Map<string, number>();
  return transforms.flatMap((transform, at) =>
    Object.keys(slotsOf(transform)).map((own) => {
      if (taken.includes(own))
        throw new ValueError('chain', `${transform.name} keeps something as '${own}'`, {
          hint: `these names are taken: ${taken.join(', ')}`,
        });
      const count = (seen.get(own) ?? 0) + 1;
      seen.set(own, count);
      return { own, name: count === 1 ? own : `${own}.${count}`, at };
    }),
  );
}
