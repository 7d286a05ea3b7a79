/** Activation functions, each in a form that neither overflows nor loses bits. */
import type { Expr } from '../ir.ts';
import * as ir from '../ir.ts';
import { nonzero } from './domains.ts';
import { unary, unaryWith } from './families.ts';
import type { Domain } from './record.ts';

const betweenThrees: Domain = { min: -5, max: 5, avoid: [-3, 3] };
/** x + 3 first: near -3 it is exact. */
const hardSigmoid = (x: Expr): Expr => ir.min(ir.max(ir.div(ir.add(x, 3), 6), 0), 1);
/** eˣ - 1 for x ≤ 0. */
const expm1Below = (x: Expr): Expr => ir.expm1(ir.min(x, 0));

/** λ and α of arXiv 1706.02515, eq. 14. */
export const seluScale = 1.0507009873554805;
export const seluAlpha = 1.6732632423543772;

export const activations = {
  relu2: unary({
    doc: 'max(x, 0)² (arXiv 2109.08668).',
    define: (x) => ir.mul(ir.max(x, 0), ir.max(x, 0)),
    domain: nonzero,
    flops: 2,
    examples: [{ inputs: [{ shape: [4], values: [-2, 0, 0.5, 3] }], output: [0, 0, 0.25, 9] }],
  }),
  logSigmoid: unary({
    doc: 'log(sigmoid(x)) = -log(1 + e⁻ˣ), without overflow.',
    define: (x) => ir.sub(ir.min(x, 0), ir.log1p(ir.exp(ir.neg(ir.abs(x))))),
    flops: 22,
  }),
  mish: unary({
    doc: 'x · tanh(softplus(x)) (arXiv 1908.08681).',
    // With t = e^-|x|, tanh(log(1 + eˣ)) is (1 + 2t) / (1 + 2t + 2t²) for x ≥ 0, and t(t + 2) / (t(t + 2) + 2) below,
    // where the root of t keeps bits that t itself loses below the normal range.
    define: (x) => {
      const root = ir.exp(ir.mul(ir.abs(x), -0.5));
      const t = ir.mul(root, root);
      const positive = ir.ge(x, 0);
      const above = ir.add(1, ir.mul(2, t));
      const sum = ir.add(t, 2);
      const upper = ir.select(positive, above, ir.mul(root, sum));
      const lower = ir.select(positive, ir.add(above, ir.mul(2, ir.mul(t, t))), ir.add(ir.mul(t, sum), 2));
      const front = ir.mul(x, ir.select(positive, 1, root));
      // A product of -Infinity and 0 has no value; its limit is 0.
      return ir.select(ir.eq(x, -Infinity), 0, ir.mul(front, ir.div(upper, lower)));
    },
    flops: 22,
  }),
  softsign: unary({
    doc: 'x / (1 + |x|); ±1 at ±Infinity.',
    define: (x) => {
      const held = ir.min(ir.max(x, -3e38), 3e38);
      return ir.div(held, ir.add(1, ir.abs(held)));
    },
    domain: nonzero,
    flops: 3,
  }),
  hardsigmoid: unary({
    doc: 'x/6 + 1/2 held between 0 and 1 (arXiv 1905.02244).',
    define: hardSigmoid,
    domain: betweenThrees,
    flops: 4,
  }),
  hardswish: unary({
    doc: 'x · hardsigmoid(x) (arXiv 1905.02244, section 5.2).',
    define: (x) => ir.select(ir.le(x, -3), 0, ir.mul(x, hardSigmoid(x))),
    domain: betweenThrees,
    flops: 5,
  }),
  selu: unary({
    doc: 'λ·x where x > 0, else λα(eˣ - 1), which keeps mean 0 and variance 1 (arXiv 1706.02515).',
    define: (x) => ir.mul(seluScale, ir.select(ir.gt(x, 0), x, ir.mul(seluAlpha, expm1Below(x)))),
    domain: nonzero,
    flops: 14,
  }),
  celu: unaryWith({
    name: 'alpha',
    preset: 1,
    doc: 'x where x > 0, else α(e^(x/α) - 1), whose slope is continuous for every α (arXiv 1704.07483); α is 1 unless told.',
    define: (x, alpha) => ir.select(ir.gt(x, 0), x, ir.mul(alpha, expm1Below(ir.div(x, alpha)))),
    wrong: (alpha) => (alpha > 0 && alpha < Infinity ? null : `needs alpha > 0, got ${alpha}`),
    bad: [0],
    draw: (draw): number => draw.pick([1, 0.5, 2]),
    domain: nonzero,
    flops: 12,
  }),
  leakyRelu: unaryWith({
    name: 'slope',
    preset: 0.01,
    doc: 'x where x > 0, else slope · x; the slope is 0.01 unless told, and that of the derivative at 0.',
    define: (x, slope) => ir.select(ir.gt(x, 0), x, ir.mul(slope, x)),
    wrong: (slope) => (Number.isFinite(slope) ? null : `needs a finite slope, got ${slope}`),
    bad: [Infinity],
    draw: (draw): number => draw.pick([0.01, 0.2, -1, 1.5]),
    domain: nonzero,
    flops: 12,
  }),
};
