/** Derivatives: sliding windows over axes, convolutions, and their transposes. */
import { ops, type Attrs } from '@infinigrad/tensor';
import { linear, ofInputs } from './rule.ts';

type List = readonly number[];
interface Sliding {
  readonly axes: List;
  readonly sizes: List;
  readonly steps: List;
  readonly dilations: List;
}
/** The attributes of all three ops of convolution. */
type Whole = Parameters<typeof ops.convolutionTranspose>[2] & Parameters<typeof ops.convolutionWeight>[2];
const whole = (attrs: Attrs): Whole => attrs as unknown as Whole;

export const windowing = {
  windows: linear((g, call) => {
    const { axes, steps, dilations } = call.attrs as unknown as Sliding;
    return g.overlapAdd(call.shapes[0]!, axes, steps, dilations);
  }),
  overlapAdd: linear((g, call) => {
    const { axes, sizes, steps, dilations } = call.attrs as unknown as Sliding;
    return g.windows(axes, sizes, steps, dilations);
  }),
  // ⟨g, conv(x, w)⟩ is linear in each of g, x and w: the derivative with respect to one is the op that it is dotted with.
  convolution: ofInputs([
    (g, call) => ops.convolutionTranspose(g, call.input(1), whole(call.attrs)),
    (g, call) => ops.convolutionWeight(call.input(0), g, whole(call.attrs)),
  ]),
  convolutionTranspose: ofInputs([
    (g, call) => ops.convolution(g, call.input(1), whole(call.attrs)),
    (g, call) => ops.convolutionWeight(g, call.input(0), whole(call.attrs)),
  ]),
  convolutionWeight: ofInputs([
    (g, call) => ops.convolutionTranspose(call.input(1), g, whole(call.attrs)),
    (g, call) => ops.convolution(call.input(0), g, whole(call.attrs)),
  ]),
};
