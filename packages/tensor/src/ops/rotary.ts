/** Rotary positions. */
import type { DType } from '../dtype.ts';
import { ShapeError, type OperandInfo } from '../errors.ts';
import { sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { leadingOfFirst } from './batch.ts';
import { real } from './domains.ts';
import { anyDType } from './families.ts';
import type { FusedRecord } from './record.ts';

const rotary: FusedRecord<[x: Tensor, cos: Tensor, sin: Tensor]> = {
  kind: 'fused',
  doc: 'The pairs (x_i, x_{i + d/2}) of the last axis turned by the angles whose cosines and sines are given: x [..., T, d], cos and sin [T, d/2] (RoFormer, arXiv 2104.09864, eq. 34, in the rotate-half layout).',
  promote: 'float',
  accepts: [anyDType],
  call: (x, cos, sin) => ({ inputs: [x, cos, sin] }),
  infer: (inputs, attrs, op) => {
    const [x, cos, sin] = inputs as [OperandInfo, OperandInfo, OperandInfo];
    const [length, d] = x.shape.slice(-2);
    if (x.shape.length < 2 || d! % 2 !== 0)
      throw new ShapeError(op, 'needs [..., T, d] with an even d', { operands: inputs });
    for (const { shape } of [cos, sin])
      if (shape.length !== 2 || shape[0] !== length || shape[1] !== d! / 2)
        throw new ShapeError(op, `cos and sin must have shape [${length}, ${d! / 2}]`, { operands: inputs });
    return { shape: x.shape, dtype: x.dtype as DType, attrs };
  },
  compose: ([x, cos, sin], _, { concat }) => {
    const half = x!.shape.at(-1)! / 2;
    const [a, b] = x!.split([half, half], -1) as [Tensor, Tensor];
    return concat([a.mul(cos!).sub(b.mul(sin!)), b.mul(cos!).add(a.mul(sin!))], -1);
  },
  batch: leadingOfFirst,
  sample: (draw) => {
    const [length, half] = [draw.int(1, 3), draw.int(1, 3)];
    const angles = { shape: [length, half], domain: real };
    return {
      inputs: [{ shape: [...draw.shape({ maxRank: 2 }), length, 2 * half], domain: real }, angles, angles],
    };
  },
  errors: [
    {
      inputs: [{ shape: [2, 3] }, { shape: [2, 1] }, { shape: [2, 1] }],
      error: 'ShapeError',
      says: 'even d',
    },
    { inputs: [{ shape: [4] }, { shape: [1, 2] }, { shape: [1, 2] }], error: 'ShapeError', says: 'even d' },
    {
      inputs: [{ shape: [2, 4] }, { shape: [2, 2] }, { shape: [2, 1] }],
      error: 'ShapeError',
      says: 'must have shape [2, 2]',
    },
  ],
  flops: (_, plan) => 3 * sizeOf(plan.shape),
};

export const positions = { rotary };
