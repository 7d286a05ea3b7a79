/**
 * Derivatives of fused ops. A first derivative is a fused op again; where a derivative is to be differentiated in turn,
 * the ops that it is made of stand in for it (`byComposition`).
 */
import { ops, sizeOf, type Tensor } from '@infinigrad/tensor';
import {
  byComposition,
  fromOutput,
  notDifferentiable,
  ofInputs,
  sumTo,
  type DifferentiableRule,
  type InputRule,
  type RuleContext,
} from './rule.ts';

const number = (c: RuleContext, name: string): number => c.attrs[name] as number;

/** The gradients of all inputs come from one op, one after the other in one tensor: the i-th of them. */
const part =
  (all: (g: Tensor, c: RuleContext) => Tensor): InputRule =>
  (g, c, i) => {
    const packed = c.once(g, () => all(g, c));
    const start = c.shapes.slice(0, i).reduce((at, shape) => at + sizeOf(shape), 0);
    return packed.narrow(0, start, sizeOf(c.shapes[i]!)).reshape(c.shapes[i]!);
  };

const rmsNorm = part((g, c) => ops.rmsNormGrad(g, c.input(0), c.input(1), number(c, 'eps')));
const layerNorm = part((g, c) => ops.layerNormGrad(g, c.input(0), c.input(1), number(c, 'eps')));
const attention = part((g, c) => {
  const [q, k, v] = [c.input(0), c.input(1), c.input(2)];
  const mask = c.shapes.length > 3 ? c.input(3) : null;
  const attrs = { scale: number(c, 'scale'), causal: c.attrs['causal'] === true };
  return ops.attentionGrad(g, c.output(), q, k, v, mask, attrs);
});

/** Of rotary with respect to cosines or sines: the halves of g and x multiplied crosswise. */
const ofAngles = (pair: (g: readonly Tensor[], x: readonly Tensor[]) => Tensor): InputRule => {
  const halves = (x: Tensor): Tensor[] => x.split(x.shape.at(-1)! / 2, -1);
  return (g, c, i) => sumTo(pair(halves(g), halves(c.input(0))), c.shapes[i]!);
};

/** All that lies before the last axis as one. */
const rows = (x: Tensor): Tensor => x.reshape([sizeOf(x.shape.slice(0, -1)), x.shape.at(-1)!]);

export const fused = {
  linear: ofInputs(
    [
      (g, c) => rows(g).matmul(c.input(1)).reshape(c.shapes[0]!),
      (g, c) =>
        rows(g)
          .transpose()
          .matmul(rows(c.input(0))),
      (g) => rows(g).sum(0),
    ],
    [0, 1],
  ),
  softmaxGrad: byComposition,
  logSoftmaxGrad: byComposition,
  rmsNorm: ofInputs([rmsNorm, rmsNorm]),
  rmsNormGrad: byComposition,
  layerNorm: ofInputs([layerNorm, layerNorm, layerNorm], [0, 1]),
  layerNormGrad: byComposition,
  attention: {
    kind: 'differentiable',
    saves: { inputs: 'all', output: true },
    inputs: [attention, attention, attention, null],
  } satisfies DifferentiableRule as DifferentiableRule,
  attentionGrad: byComposition,
  // The transpose of a turn is the turn back.
  rotary: ofInputs([
    (g, c) => g.rotary(c.input(1), c.input(2).neg()),
    ofAngles(([g1, g2], [x1, x2]) => g1!.mul(x1!).add(g2!.mul(x2!))),
    ofAngles(([g1, g2], [x1, x2]) => g2!.mul(x1!).sub(g1!.mul(x2!))),
  ]),
  softmaxCrossEntropy: ofInputs([
    (g, c) => ops.softmaxCrossEntropyGrad(g, c.input(0), c.input(1), number(c, 'ignoreIndex')),
    null,
  ]),
  softmaxCrossEntropyGrad: byComposition,
  adamWStep: notDifferentiable('it is the update of a parameter'),
};

export const lines = {
  softmax: fromOutput((g, y, c) => ops.softmaxGrad(g, y, number(c, 'axis'))),
  logSoftmax: fromOutput((g, y, c) => ops.logSoftmaxGrad(g, y, number(c, 'axis'))),
};
