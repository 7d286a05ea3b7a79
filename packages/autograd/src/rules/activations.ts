/** Derivatives of activation functions. */
import type { Tensor } from '@infinigrad/tensor';
import { fromBoth, fromInput, ofInputs } from './rule.ts';

/** λ and α of arXiv 1706.02515, eq. 14. */
const seluScale = 1.0507009873554805;
const seluAlpha = 1.6732632423543772;

export const activations = {
  // 2 max(x, 0)
  relu2: fromInput((g, x) => g.mul(x.relu().mul(2))),
  logSigmoid: fromInput((g, x) => g.mul(x.neg().sigmoid())),
  // t + x (1 - t²) sigmoid(x) with t = tanh(softplus(x))
  mish: fromInput((g, x) => {
    const t = x.softplus().tanh();
    return g.mul(t.add(x.mul(t.square().neg().add(1)).mul(x.sigmoid())));
  }),
  // 1 / (1 + |x|)²
  softsign: fromInput((g, x) => g.mul(x.abs().add(1).reciprocal().square())),
  hardsigmoid: fromInput((g, x) =>
    x
      .abs()
      .lt(3)
      .where(g.mul(1 / 6), 0),
  ),
  // 0 below -3, 1 above 3, x/3 + 1/2 between
  hardswish: fromInput((g, x) => g.mul(x.div(3).add(0.5).mul(inside(x)).add(x.ge(3).cast(x.dtype)))),
  // λ for x > 0, else λα eˣ = y + λα
  selu: fromBoth((g, x, y) => g.mul(x.gt(0).where(seluScale, y.add(seluScale * seluAlpha)))),
  // 1 for x > 0, else e^(x/α)
  celu: ofInputs([
    (g, c) => {
      const x = c.input(0);
      return x.gt(0).where(
        g,
        g.mul(
          x
            .clip(-Infinity, 0)
            .div(c.attrs['alpha'] as number)
            .exp(),
        ),
      );
    },
  ]),
  leakyRelu: ofInputs([
    (g, c) =>
      c
        .input(0)
        .gt(0)
        .where(g, g.mul(c.attrs['slope'] as number)),
  ]),
};

const inside = (x: Tensor): Tensor => x.abs().lt(3).cast(x.dtype);
