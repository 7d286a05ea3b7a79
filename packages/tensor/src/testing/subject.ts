/** What a law is about: an op of the table, or a function of your own. */
import { apply } from '../apply.ts';
import type { Attrs, Draw, InputSpec, Sample } from '../ops/record.ts';
import { recordOf, type OpName } from '../ops/table.ts';
import type { Tensor } from '../tensor.ts';

/** A function of tensors and the ways to call it. */
export interface Subject {
  /** What failures call it. */
  readonly name: string;
  readonly run: (inputs: readonly Tensor[], attrs: Attrs) => Tensor;
  /** Draws one call: the shapes, dtypes and domains of the inputs, and attributes (plain data) that `run` gets as well. */
  readonly sample: (draw: Draw) => Sample;
}

/** An op by its name, or a subject. */
export type Lawful = OpName | Subject;

/**
 * A function of your own as the subject of laws.
 * @param sample draws the shape and domain of each input: `(draw) => [{ shape: draw.shape(), domain: domains.real }]`
 */
export function subject(
  name: string,
  f: (...inputs: Tensor[]) => Tensor,
  sample: (draw: Draw) => readonly InputSpec[],
): Subject {
  return { name, run: (inputs) => f(...inputs), sample: (draw) => ({ inputs: sample(draw) }) };
}

/** An op of the table as a subject; subjects as they are. */
export function subjectOf(what: Lawful): Subject {
  if (typeof what !== 'string') return what;
  return {
    name: what,
    run: (inputs, attrs) => apply(what, inputs, attrs),
    sample: (draw) => recordOf(what).sample(draw),
  };
}
