/** Scaled dot-product attention without the T × T matrix in memory, and its gradient. */
import type { DType } from '../dtype.ts';
import { ShapeError, ValueError, type OperandInfo } from '../errors.ts';
import { broadcastShapes, sameShape, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { leading } from './batch.ts';
import { small, truth, unit } from './domains.ts';
import { anyDType, floats, refused } from './families.ts';
import type { Attrs, Draw, ErrorCase, FreeFunctions, FusedRecord, InputSpec, Sample } from './record.ts';

type Infos = readonly OperandInfo[];

interface AttentionAttrs {
  readonly scale: number;
  readonly causal: boolean;
}

/** Leading axes that all meet in, and the canonical attributes. */
function checkAttention(
  op: string,
  inputs: Infos,
  attrs: Attrs,
): { lead: number[]; attrs: AttentionAttrs & Attrs } {
  const [q, k, v, mask] = inputs as [OperandInfo, OperandInfo, OperandInfo, OperandInfo?];
  if ([q, k, v].some(({ shape }) => shape.length < 2))
    throw new ShapeError(op, 'needs queries, keys and values [..., T, d]', { operands: inputs });
  const [queries, d] = q.shape.slice(-2) as [number, number];
  const [keys, dk] = k.shape.slice(-2) as [number, number];
  if (d !== dk) throw new ShapeError(op, 'queries and keys differ in size', { operands: inputs });
  if (v.shape.at(-2) !== keys)
    throw new ShapeError(op, 'keys and values differ in number', { operands: inputs });
  const causal = attrs['causal'] === true;
  if (causal && queries > keys)
    throw new ShapeError(op, `${queries} queries for ${keys} keys`, {
      operands: inputs,
      hint: 'under a causal mask the last query stands beside the last key',
    });
  const scale = attrs['scale'] as number;
  if (!Number.isFinite(scale)) throw new ValueError(op, `the scale must be finite, got ${scale}`);
  const leads = [q, k, v].map(({ shape, dtype }) => ({ shape: shape.slice(0, -2), dtype }));
  let lead = broadcastShapes(op, leads);
  if (mask) {
    if (mask.shape.length === 0)
      throw new ShapeError(op, 'the mask needs an axis, for the keys', { operands: inputs });
    const seen = broadcastShapes(op, [{ shape: [...lead, queries, keys], dtype: 'bool' }, mask]);
    if (seen.at(-2) !== queries || seen.at(-1) !== keys)
      throw new ShapeError(op, `the mask does not stretch to [..., ${queries}, ${keys}]`, {
        operands: inputs,
      });
    lead = seen.slice(0, -2);
  }
  return { lead, attrs: { scale, causal } };
}

/** bool [..., T_q, T_k], or null where every query sees every key. */
function visibility(scores: Tensor, mask: Tensor | undefined, causal: boolean): Tensor | null {
  const [queries, keys] = scores.shape.slice(-2) as [number, number];
  const below = causal && queries > 1 ? scores.triangleMask(keys - queries) : null;
  return mask && below ? below.logicalAnd(mask) : (mask ?? below);
}

function sampleAttention(draw: Draw): {
  shapes: [number[], number[], number[]];
  rest: InputSpec[];
  attrs: AttentionAttrs;
} {
  const [a, b] = draw.broadcastable(2).map((shape) => shape.slice(-2)) as [number[], number[]];
  const [d, dv, keys] = [draw.int(1, 3), draw.int(1, 3), draw.int(1, 4)];
  const queries = draw.int(1, keys);
  const masks = draw.int(0, 2);
  const mask =
    masks === 0
      ? []
      : [{ shape: masks === 1 ? [1, keys] : [queries, keys], dtype: 'bool' as const, domain: truth }];
  return {
    shapes: [
      [...a, queries, d],
      [...b, keys, d],
      [...b, keys, dv],
    ],
    rest: mask,
    attrs: { scale: draw.pick([0.5, 1]), causal: draw.bool() },
  };
}

const plain = { scale: 1, causal: false };
const attention: FusedRecord<
  [
    q: Tensor,
    k: Tensor,
    v: Tensor,
    options?: { mask?: Tensor | undefined; scale?: number | undefined; causal?: boolean },
  ]
> = {
  kind: 'fused',
  doc: 'softmax(scale · q kᵀ) v for q [..., T, d], k [..., S, d], v [..., S, d_v], with the log-sum-exp of the scores of each query beside it: [..., T, d_v + 1] (arXiv 1706.03762, eq. 1; 2205.14135). A query that sees no key gets zeros.',
  promote: 'float',
  promoted: [0, 1, 2],
  accepts: [anyDType, anyDType, anyDType, ['bool']],
  call: (q, k, v, { mask, scale = 1 / Math.sqrt(q.shape.at(-1) ?? 1), causal = false } = {}) => ({
    inputs: mask ? [q, k, v, mask] : [q, k, v],
    attrs: { scale, causal },
  }),
  infer: (inputs, given, op) => {
    const { lead, attrs } = checkAttention(op, inputs, given);
    const shape = [...lead, inputs[0]!.shape.at(-2)!, inputs[2]!.shape.at(-1)! + 1];
    return { shape, dtype: inputs[0]!.dtype as DType, attrs };
  },
  batch: leading,
  compose: ([q, k, v, mask], attrs, { concat }) => {
    const { scale, causal } = attrs as unknown as AttentionAttrs;
    const scores = q!.mul(scale).matmul(k!.transpose());
    const visible = visibility(scores, mask, causal);
    if (!mask || !visible) {
      const seen = visible ? visible.where(scores, -Infinity) : scores;
      const sums = seen.logSumExp(-1, true);
      return joined(seen.sub(sums).exp().matmul(v!), sums, concat);
    }
    // A line of -Infinity has no log-sum-exp to differentiate: such lines see everything, and what comes of it is replaced.
    const any = visible.any(-1, true);
    const seen = visible.logicalOr(any.logicalNot()).where(scores, -Infinity);
    const sums = seen.logSumExp(-1, true);
    return joined(any.where(seen.sub(sums).exp(), 0).matmul(v!), any.where(sums, 0), concat);
  },
  sample: (draw) => {
    const { shapes, rest, attrs } = sampleAttention(draw);
    return { inputs: [...shapes.map((shape) => ({ shape, domain: unit })), ...rest], attrs: { ...attrs } };
  },
  errors: attentionErrors([], 3),
  flops: ([q, k, v], plan) =>
    2 * sizeOf(plan.shape.slice(0, -1)) * k!.shape.at(-2)! * (q!.shape.at(-1)! + v!.shape.at(-1)!),
};

/** [..., T, d_v], and [..., T, 1] stretched to it, side by side. */
function joined(out: Tensor, sums: Tensor, concat: FreeFunctions['concat']): Tensor {
  return concat([out, sums.expand([...out.shape.slice(0, -1), 1])], -1);
}

const attentionGrad: FusedRecord<
  [
    g: Tensor,
    y: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | null,
    attrs: { scale: number; causal: boolean },
  ]
> & { readonly free: true } = {
  kind: 'fused',
  free: true,
  doc: 'Gradients of attention, one after the other: of q, of k, of v; from g, the gradient of its result y, and from y.',
  promote: 'float',
  promoted: [0, 1, 2, 3, 4],
  accepts: [floats, floats, floats, floats, floats, ['bool']],
  call: (g, y, q, k, v, mask, { scale, causal }) => ({
    inputs: mask ? [g, y, q, k, v, mask] : [g, y, q, k, v],
    attrs: { scale, causal },
  }),
  infer: (inputs, given, op) => {
    const [g, y, q, k, v] = inputs as [OperandInfo, OperandInfo, OperandInfo, OperandInfo, OperandInfo];
    const { lead, attrs } = checkAttention(op, inputs.slice(2), given);
    const result = [...lead, q.shape.at(-2)!, v.shape.at(-1)! + 1];
    if (!sameShape(g.shape, result) || !sameShape(y.shape, result))
      throw new ShapeError(op, `result and gradient must have shape [${result.join(', ')}]`, {
        operands: inputs,
      });
    const size = [q, k, v].reduce((total, { shape }) => total + sizeOf(shape), 0);
    return { shape: [size], dtype: q.dtype as DType, attrs };
  },
  // With P the weights, O the output, g_O and g_L the gradients of output and log-sum-exp:
  //   dV = Pᵀ g_O,  dS = P ∘ (g_O Vᵀ - Σ(g_O ∘ O) + g_L),  dQ = scale dS K,  dK = scale dSᵀ Q  (arXiv 2205.14135, B.2)
  compose: ([g, y, q, k, v, mask], attrs, { concat }) => {
    const { scale, causal } = attrs as unknown as AttentionAttrs;
    const dv = v!.shape.at(-1)!;
    const [gOut, gSums] = g!.split([dv, 1], -1) as [Tensor, Tensor];
    const [out, sums] = y!.split([dv, 1], -1) as [Tensor, Tensor];
    const scores = q!.mul(scale).matmul(k!.transpose());
    const visible = visibility(scores, mask, causal);
    const raw = scores.sub(sums);
    const weights = visible ? visible.where(visible.where(raw, 0).exp(), 0) : raw.exp();
    const pull = gOut.mul(out).sum(-1, true).sub(gSums);
    const dScores = weights.mul(gOut.matmul(v!.transpose()).sub(pull)).mul(scale);
    return concat(
      [
        dScores.matmul(k!).sumTo(q!.shape).flatten(),
        dScores.transpose().matmul(q!).sumTo(k!.shape).flatten(),
        weights.transpose().matmul(gOut).sumTo(v!.shape).flatten(),
      ],
      0,
    );
  },
  sample: (draw): Sample => {
    const { shapes, attrs } = sampleAttention(draw);
    const lead = broadcastShapes(
      'attentionGrad',
      shapes.map((shape) => ({ shape: shape.slice(0, -2), dtype: 'f32' })),
    );
    const result = [...lead, shapes[0].at(-2)!, shapes[2].at(-1)! + 1];
    // Any y will do; a small one, so that no weight e^(score - y) drowns the others.
    return {
      inputs: [result, result, ...shapes].map((shape) => ({ shape, domain: small })),
      attrs: { ...attrs },
    };
  },
  errors: [
    ...attentionErrors([{ shape: [2, 4] }, { shape: [2, 4] }], 5),
    {
      inputs: [{ shape: [2, 3] }, { shape: [2, 4] }, { shape: [2, 3] }, { shape: [2, 3] }, { shape: [2, 3] }],
      attrs: plain,
      error: 'ShapeError',
      says: 'must have shape [2, 4]',
    },
    ...refused(floats, (dtype) => [
      { shape: [2, 4], dtype },
      { shape: [2, 4] },
      { shape: [2, 3] },
      { shape: [2, 3] },
      { shape: [2, 3] },
    ]).map((row) => ({ ...row, attrs: plain })),
  ],
  flops: ([, y, q, k]) => 10 * sizeOf(y!.shape) * k!.shape.at(-2)! + 2 * sizeOf(q!.shape),
};

function attentionErrors(before: ErrorCase['inputs'], maskAt: number): ErrorCase[] {
  const qkv = [{ shape: [2, 3] }, { shape: [2, 3] }, { shape: [2, 3] }];
  const row = (
    inputs: ErrorCase['inputs'],
    says: string,
    attrs: Attrs = plain,
    error: ErrorCase['error'] = 'ShapeError',
  ): ErrorCase => ({
    inputs: [...before, ...inputs],
    attrs,
    error,
    says,
  });
  return [
    row([{ shape: [3] }, { shape: [2, 3] }, { shape: [2, 3] }], '[..., T, d]'),
    row([{ shape: [2, 3] }, { shape: [2, 4] }, { shape: [2, 3] }], 'differ in size'),
    row([{ shape: [2, 3] }, { shape: [2, 3] }, { shape: [4, 3] }], 'differ in number'),
    row([{ shape: [3, 3] }, { shape: [2, 3] }, { shape: [2, 3] }], '3 queries for 2 keys', {
      scale: 1,
      causal: true,
    }),
    row(qkv, 'must be finite', { scale: NaN, causal: false }, 'ValueError'),
    row([...qkv, { shape: [], dtype: 'bool' }], 'the mask needs an axis'),
    row([...qkv, { shape: [5, 2], dtype: 'bool' }], 'do not broadcast'),
    row(
      [...qkv, { shape: [2, 2], dtype: 'f32' }],
      `input ${maskAt} does not accept f32`,
      plain,
      'DTypeError',
    ),
  ];
}

export const attentions = { attention, attentionGrad };
