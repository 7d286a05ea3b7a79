/** Matrix products. */
import type { DType } from '../dtype.ts';
import { ShapeError } from '../errors.ts';
import { broadcastShapes, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { leading, leadingOfFirst } from './batch.ts';
import { unit } from './domains.ts';
import { floats, refused } from './families.ts';
import type { FusedRecord, StructuredRecord } from './record.ts';

const matmul: StructuredRecord<[a: Tensor, b: Tensor]> = {
  kind: 'structured',
  doc: 'Matrix product over the last two axes, [..., m, k] × [..., k, n] → [..., m, n]; leading axes broadcast. A vector on either side acts as a row or a column, as in NumPy.',
  promote: 'float',
  accepts: [['bool', 'u8', 'i32', ...floats]],
  call: (a, b) => {
    // What is no tensor is refused where the call is run.
    if (!b?.shape) return { inputs: [a, b] };
    const row = a.shape.length === 1;
    const column = b.shape.length === 1;
    if (!row && !column) return { inputs: [a, b] };
    return {
      inputs: [row ? a.unsqueeze(0) : a, column ? b.unsqueeze(1) : b],
      finish: (y: Tensor): Tensor => {
        const squeezed = column ? y.squeeze(-1) : y;
        return row ? squeezed.squeeze(column ? -1 : -2) : squeezed;
      },
    };
  },
  infer: (inputs, attrs, op) => {
    const [a, b] = inputs as [(typeof inputs)[0], (typeof inputs)[0]];
    const ra = a.shape.length;
    const rb = b.shape.length;
    if (ra < 2 || rb < 2)
      throw new ShapeError(op, 'both operands need at least one axis', { operands: inputs });
    const [m, k] = a.shape.slice(-2) as [number, number];
    const [k2, n] = b.shape.slice(-2) as [number, number];
    if (k !== k2)
      throw new ShapeError(op, `inner sizes differ (${k} and ${k2})`, {
        operands: inputs,
        hint: 'the last axis of the first must equal the last but one of the second; transpose() swaps them',
      });
    const batch = broadcastShapes(op, [
      { shape: a.shape.slice(0, -2), dtype: a.dtype },
      { shape: b.shape.slice(0, -2), dtype: b.dtype },
    ]);
    return { shape: [...batch, m, n], dtype: a.dtype as DType, attrs };
  },
  batch: leading,
  sample: (draw) => {
    const [a, b] = draw.broadcastable(2) as [number[], number[]];
    const [m, k, n] = [draw.int(1, 4), draw.int(1, 4), draw.int(1, 4)];
    return {
      inputs: [
        { shape: [...a, m, k], domain: unit },
        { shape: [...b, k, n], domain: unit },
      ],
    };
  },
  errors: [
    {
      inputs: [{ shape: [2, 3] }, { shape: [4, 5] }],
      error: 'ShapeError',
      says: 'inner sizes differ (3 and 4)',
    },
    { inputs: [{ shape: [2, 2, 3] }, { shape: [3, 3, 4] }], error: 'ShapeError', says: 'do not broadcast' },
    { inputs: [{ shape: [] }, { shape: [4, 5] }], error: 'ShapeError', says: 'at least one axis' },
    ...refused(['bool', 'u8', 'i32', ...floats], (dtype) => [{ shape: [2, 2], dtype }, { shape: [2, 2] }]),
  ],
  flops: ([a], plan) => 2 * sizeOf(plan.shape) * a!.shape.at(-1)!,
};

const accepted: readonly DType[] = ['bool', 'u8', 'i32', ...floats];

const linear: FusedRecord<[x: Tensor, weight: Tensor, bias?: Tensor | null]> = {
  kind: 'fused',
  doc: 'x weightᵀ + bias over the last axis: [..., in], weights [out, in] and a bias [out] → [..., out].',
  promote: 'float',
  accepts: [accepted],
  call: (x, weight, bias = null) => ({ inputs: bias ? [x, weight, bias] : [x, weight] }),
  infer: (inputs, attrs, op) => {
    const [x, weight, bias] = inputs as [(typeof inputs)[0], (typeof inputs)[0], (typeof inputs)[0]?];
    if (x.shape.length === 0 || weight.shape.length !== 2)
      throw new ShapeError(op, 'needs x [..., in] and weights [out, in]', { operands: inputs });
    const [out, inner] = weight.shape as readonly [number, number];
    if (x.shape.at(-1) !== inner)
      throw new ShapeError(op, `inner sizes differ (${x.shape.at(-1)} and ${inner})`, {
        operands: inputs,
        hint: 'the last axis of both must be of one size',
      });
    if (bias && (bias.shape.length !== 1 || bias.shape[0] !== out))
      throw new ShapeError(op, `the bias must be [${out}]`, { operands: inputs });
    return { shape: [...x.shape.slice(0, -1), out], dtype: x.dtype as DType, attrs };
  },
  // All rows in one matrix.
  compose: ([x, weight, bias]) => {
    const [out, inner] = weight!.shape as readonly [number, number];
    const lead = x!.shape.slice(0, -1);
    const y = x!.reshape([sizeOf(lead), inner]).matmul(weight!.transpose());
    return (bias ? y.add(bias) : y).reshape([...lead, out]);
  },
  batch: leadingOfFirst,
  sample: (draw) => {
    const shape = draw.shape({ minRank: 1 });
    const out = draw.int(1, 4);
    const inputs = [
      { shape, domain: unit },
      { shape: [out, shape.at(-1)!], domain: unit },
      { shape: [out], domain: unit },
    ];
    return { inputs: draw.bool() ? inputs : inputs.slice(0, 2) };
  },
  errors: [
    {
      inputs: [{ shape: [2, 3] }, { shape: [5, 4] }],
      error: 'ShapeError',
      says: 'inner sizes differ (3 and 4)',
    },
    { inputs: [{ shape: [] }, { shape: [5, 4] }], error: 'ShapeError', says: 'needs x [..., in]' },
    { inputs: [{ shape: [4] }, { shape: [4] }], error: 'ShapeError', says: 'weights [out, in]' },
    {
      inputs: [{ shape: [2, 3] }, { shape: [5, 3] }, { shape: [3] }],
      error: 'ShapeError',
      says: 'the bias must be [5]',
    },
    ...refused(accepted, (dtype) => [{ shape: [2, 2], dtype }, { shape: [2, 2] }]),
  ],
  flops: ([x, , bias], plan) => sizeOf(plan.shape) * (2 * x!.shape.at(-1)! + (bias ? 1 : 0)),
};

export const products = { matmul, linear };
