/** Special functions and further elementwise functions made of table ops. */
import { isFloat } from '../dtype.ts';
import { DTypeError, ShapeError, ValueError } from '../errors.ts';
import type { Operand } from '../ops/record.ts';
import { broadcastShapes } from '../shape.ts';
import { Tensor } from '../tensor.ts';

/** The largest finite number of each floating-point dtype. */
const largest: Readonly<Record<string, number>> = {
  f16: 65504,
  bf16: 3.3895313892515355e38,
  f32: 3.4028234663852886e38,
  f64: Number.MAX_VALUE,
};

const floating = (x: Tensor): Tensor => (isFloat(x.dtype) ? x : x.cast('f32'));

/** Refuses operands that do not broadcast, in the name of the whole. */
function checkBroadcast(op: string, operands: readonly Operand[]): void {
  broadcastShapes(
    op,
    operands.filter((x): x is Tensor => x instanceof Tensor),
  );
}

export const specialMethods = {
  /** The modified Bessel function of the first kind of order 0. */
  i0: (x: Tensor): Tensor => x.besselI(0),

  /** e^-|x| · i0(x). */
  i0e: (x: Tensor): Tensor => x.besselIe(0),

  /** The modified Bessel function of the first kind of order 1. */
  i1: (x: Tensor): Tensor => x.besselI(1),

  /** e^-|x| · i1(x). */
  i1e: (x: Tensor): Tensor => x.besselIe(1),

  /**
   * log Γ_p(x), the multivariate gamma function: p(p - 1)/4 · log π + Σ log Γ(x - j/2) over j = 0 … p - 1, for x > (p - 1)/2.
   * @throws ValueError where p is no whole number ≥ 1
   */
  multigammaln: (x: Tensor, p: number): Tensor => {
    if (!Number.isInteger(p) || p < 1)
      throw new ValueError('multigammaln', `needs a whole p ≥ 1, got ${p}`, { operands: [x] });
    let sum = x.lgamma();
    for (let j = 1; j < p; j++) sum = sum.add(x.sub(j / 2).lgamma());
    return sum.add(((p * (p - 1)) / 4) * Math.log(Math.PI));
  },

  /** log₂(2ˣ + 2ʸ), without overflow. */
  logAddExp2: (x: Tensor, other: Operand): Tensor => {
    checkBroadcast('logAddExp2', [x, other]);
    const scaled = other instanceof Tensor ? other.mul(Math.LN2) : Number(other) * Math.LN2;
    return x.mul(Math.LN2).logAddExp(scaled).div(Math.LN2);
  },

  /** x with NaN and the infinities replaced: by 0 and the largest numbers of either sign unless told. Gradients flow where x stays. */
  nanToNum: (
    x: Tensor,
    { nan = 0, posinf, neginf }: { nan?: number; posinf?: number; neginf?: number } = {},
  ): Tensor => {
    if (!isFloat(x.dtype)) return x;
    const top = largest[x.dtype]!;
    const held = x.eq(Infinity).where(posinf ?? top, x.eq(-Infinity).where(neginf ?? -top, x));
    return x.isNaN().where(nan, held);
  },

  /** |x| with the sign of `other`, that of a zero too. The sign carries no gradient. */
  copySign: (x: Tensor, other: Operand): Tensor => {
    checkBroadcast('copySign', [x, other]);
    const size = floating(x).abs();
    if (!(other instanceof Tensor)) {
      const y = Number(other);
      return y < 0 || Object.is(y, -0) ? size.neg() : size;
    }
    return other.lt(0).logicalOr(other.reciprocal().lt(0)).where(size.neg(), size);
  },

  /** 0 where x < 0, 1 where x > 0, and `values` where x is 0. A step: x has no gradient. */
  heaviside: (x: Tensor, values: Operand): Tensor => {
    checkBroadcast('heaviside', [x, values]);
    return x.eq(0).where(values, x.gt(0).cast(x.dtype));
  },

  /** x + weight · (end - x), so written that it gives x at weight 0 and end at weight 1. All three broadcast. */
  lerp: (x: Tensor, end: Tensor, weight: Operand): Tensor => {
    checkBroadcast('lerp', [x, end, weight]);
    const step = end.sub(x);
    if (!(weight instanceof Tensor)) {
      const w = Number(weight);
      return Math.abs(w) < 0.5 ? x.add(step.mul(w)) : end.sub(step.mul(1 - w));
    }
    const nearer = weight.abs().lt(0.5);
    return nearer.where(x.add(step.mul(weight)), end.sub(step.mul(weight.neg().add(1))));
  },

  /** x held between `min` and `max` (-1 and 1 unless told). @throws ValueError where min is not ≤ max */
  hardtanh: (x: Tensor, min = -1, max = 1): Tensor => {
    if (x.dtype === 'bool') throw new DTypeError('hardtanh', 'does not accept bool', { operands: [x] });
    if (!(min <= max)) throw new ValueError('hardtanh', `min ${min} is not ≤ max ${max}`, { operands: [x] });
    return x.clip(min, max);
  },

  /**
   * x where x > 0, else slope · x, with a slope that is learnt (arXiv 1502.01852): one for all, or one for each channel, which
   * are along the second axis.
   * @throws ShapeError where there are neither one nor as many slopes as channels
   */
  prelu: (x: Tensor, slope: Tensor): Tensor => {
    const channels = x.shape[x.rank > 1 ? 1 : 0] ?? 1;
    if (slope.rank > 1 || (slope.size !== 1 && (x.rank < 2 || slope.size !== channels)))
      throw new ShapeError('prelu', `needs one slope, or one for each of ${channels} channels`, {
        operands: [x, slope],
      });
    const each =
      slope.size === 1 ? slope.reshape([]) : slope.reshape(x.shape.map((_, i) => (i === 1 ? -1 : 1)));
    return x.gt(0).where(x, x.mul(each));
  },

  /** x held between 0 and 6. */
  relu6: (x: Tensor): Tensor => {
    if (x.dtype === 'bool') throw new DTypeError('relu6', 'does not accept bool', { operands: [x] });
    return x.clip(0, 6);
  },
};
