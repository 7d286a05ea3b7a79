/** Special functions and further elementwise ops. */
import type { DType } from '../dtype.ts';
import { ValueError } from '../errors.ts';
import type { Expr } from '../ir.ts';
import * as ir from '../ir.ts';
import { broadcastShapes, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { activations } from './activations.ts';
import { bitwise } from './bitwise.ts';
import { real, unit } from './domains.ts';
import { anyDType, binary, unary, unaryWith } from './families.ts';
import { furtherFunctions } from './further.ts';
import type { Domain, ElementwiseRecord, ErrorCase, Operand } from './record.ts';

const flops = 60;
const aroundHalf: Domain = { min: 0.1, max: 0.9 };
const parameter: Domain = { min: 0.4, max: 4 };

const errorFunctions = {
  erfc: unary({
    doc: '1 - erf(x), with all its bits where it is small.',
    define: ir.erfc,
    flops,
  }),
  erfcx: unary({
    doc: 'e^(x²) · erfc(x), which neither overflows nor vanishes for large x.',
    define: ir.erfcx,
    domain: { min: -2, max: 3 },
    flops,
  }),
  erfinv: unary({
    doc: 'The inverse of erf, between -1 and 1; ±Infinity at the ends, NaN outside.',
    define: ir.erfinv,
    domain: unit,
    flops,
  }),
  ndtr: unary({
    doc: 'The normal distribution function Φ(x), the area under the standard normal density up to x.',
    define: ir.ndtr,
    flops,
  }),
  ndtri: unary({
    doc: 'The inverse of Φ (the probit), between 0 and 1; ±Infinity at the ends, NaN outside.',
    define: ir.ndtri,
    domain: aroundHalf,
    flops,
  }),
  logNdtr: unary({
    doc: 'log Φ(x), without underflow.',
    define: ir.logNdtr,
    flops,
  }),
};

interface OrderedOptions {
  readonly doc: string;
  readonly define: (order: number, x: Expr) => Expr;
  readonly domain: Domain;
  /** The order may be left out: 0. */
  readonly highest: number;
}

/** What is wrong with an order; null where it is right. */
const wrongOrder = (order: number): string | null =>
  Number.isInteger(order) && order >= 0 ? null : `needs a whole order ≥ 0, got ${order}`;
const wrongOrders = [-1, 0.5];

/** y = f(order, x), element by element, in floating point. */
const ordered = ({
  define,
  highest,
  ...options
}: OrderedOptions): ElementwiseRecord<[x: Tensor, order?: number]> & { readonly shapes: 'same' } =>
  unaryWith({
    ...options,
    name: 'order',
    preset: 0,
    define: (x, order) => define(order, x),
    wrong: wrongOrder,
    bad: wrongOrders,
    draw: (draw) => draw.int(0, highest),
    flops,
  });

const gammainc: ElementwiseRecord<[a: Operand, x: Operand, order?: number]> = {
  kind: 'elementwise',
  doc:
    'The regularised lower incomplete gamma function P(a, x) = ∫₀ˣ tᵃ⁻¹ e⁻ᵗ dt / Γ(a), for a, x ≥ 0; ' +
    'of order n, its n-th derivative with respect to a.',
  promote: 'float',
  accepts: [anyDType],
  call: (a, x, order = 0) => ({ inputs: [a, x], attrs: { order } }),
  infer: (inputs, attrs, op) => {
    const order = attrs['order'] as number;
    const problem = wrongOrder(order);
    if (problem !== null) throw new ValueError(op, problem, { operands: [inputs[0]!] });
    return { shape: broadcastShapes(op, inputs), dtype: inputs[0]!.dtype as DType, attrs: { order } };
  },
  define: ([a, x], _, attrs) => ir.gammainc(attrs['order'] as number, a!, x!),
  sample: (draw) => {
    const [a, x] = draw.broadcastable(2);
    return {
      inputs: [
        { shape: a!, domain: parameter },
        { shape: x!, domain: { min: 0.5, max: 6 } },
      ],
      attrs: { order: draw.int(0, 2) },
    };
  },
  errors: [
    {
      inputs: [{ shape: [2, 3] }, { shape: [4] }],
      attrs: { order: 0 },
      error: 'ShapeError',
      says: 'do not broadcast',
    },
    ...wrongOrders.map((order): ErrorCase => ({
      inputs: [{ shape: [2] }, { shape: [2] }],
      attrs: { order },
      error: 'ValueError',
      says: wrongOrder(order)!,
    })),
  ],
  flops: (_, plan) => 4 * flops * sizeOf(plan.shape),
};

const gammas = {
  lgamma: unary({
    doc: 'log |Γ(x)|; Infinity at 0 and the negative whole numbers.',
    define: ir.lgamma,
    domain: parameter,
    flops,
  }),
  digamma: unary({
    doc: 'ψ(x), the derivative of log Γ(x); at ±0 ∓Infinity, at the negative whole numbers NaN.',
    define: ir.digamma,
    domain: parameter,
    flops,
  }),
  polygamma: ordered({
    doc: 'The derivative of ψ(x) of the given order (0: ψ itself).',
    define: ir.polygamma,
    domain: { min: 0.8, max: 4 },
    highest: 3,
  }),
  gammainc,
  gammaincc: binary({
    doc: 'The regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x), with all its bits where it is small.',
    define: ir.gammaincc,
    promote: 'float',
    domains: [parameter, { min: 0.5, max: 6 }],
    flops: 4 * flops,
  }),
};

const besselFunctions = {
  besselI: ordered({
    doc: 'The modified Bessel function of the first kind I_n(x) of whole order n.',
    define: ir.besselI,
    domain: real,
    highest: 3,
  }),
  besselIe: ordered({
    doc: 'e^-|x| · I_n(x): the modified Bessel function, exponentially scaled.',
    define: ir.besselIe,
    // |x| has a kink at 0.
    domain: { min: -3, max: 3, avoid: [-0.1, 0, 0.1] },
    highest: 3,
  }),
  sinc: ordered({
    doc: 'sin(πx) / (πx), 1 at 0; of order n, its n-th derivative.',
    define: ir.sinc,
    domain: real,
    highest: 2,
  }),
};

export const specials = {
  ...errorFunctions,
  ...gammas,
  ...besselFunctions,
  ...furtherFunctions,
  ...activations,
  ...bitwise,
};
