/** Cross-entropy from logits, without the probabilities in memory. */
import type { DType } from '../dtype.ts';
import { ShapeError, ValueError, type OperandInfo } from '../errors.ts';
import { sameShape, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { leadingOfAll } from './batch.ts';
import { indexBelow, real } from './domains.ts';
import { anyDType, floats, indices, refused } from './families.ts';
import type { Attrs, Draw, ErrorCase, FusedRecord, InputSpec } from './record.ts';

function checkLoss(
  op: string,
  [logits, targets]: readonly [OperandInfo, OperandInfo],
  attrs: Attrs,
): { readonly ignoreIndex: number } {
  const operands = [logits, targets];
  if (logits.shape.length === 0 || !sameShape(logits.shape.slice(0, -1), targets.shape))
    throw new ShapeError(op, 'needs logits [..., classes] and targets [...]', { operands });
  const ignoreIndex = attrs['ignoreIndex'] as number;
  if (!Number.isInteger(ignoreIndex))
    throw new ValueError(op, `ignoreIndex must be an integer, got ${ignoreIndex}`);
  return { ignoreIndex };
}

/** Targets with those to be ignored replaced by 0, and the mask of the others. */
function counted(targets: Tensor, ignoreIndex: number): { safe: Tensor; counts: Tensor } {
  const counts = targets.ne(ignoreIndex);
  return { safe: counts.where(targets, 0), counts };
}

function sampleLoss(draw: Draw): { logits: InputSpec; targets: InputSpec; attrs: Attrs } {
  const shape = draw.shape({ minRank: 1 });
  return {
    logits: { shape, domain: real },
    targets: { shape: shape.slice(0, -1), dtype: 'i32', domain: indexBelow(shape.at(-1)!) },
    attrs: { ignoreIndex: draw.pick([-100, 0]) },
  };
}

const lossErrors = (before: ErrorCase['inputs']): ErrorCase[] => {
  const attrs = { ignoreIndex: -100 };
  const row = (
    shape: readonly number[],
    says: string,
    rest: Partial<ErrorCase> = {},
    fill = 0,
  ): ErrorCase => ({
    inputs: [...before, { shape: [2, 3] }, { shape, dtype: 'i32', fill }],
    attrs,
    error: 'ShapeError',
    says,
    ...rest,
  });
  return [
    row([3], 'targets [...]'),
    row([2], 'ignoreIndex must be', { attrs: { ignoreIndex: 0.5 }, error: 'ValueError' }),
    row([2], 'index 3 is out of range', { error: 'IndexError' }, 3),
    row([2], 'index -1 is out of range', { error: 'IndexError' }, -1),
    ...refused(indices, (dtype) => [...before, { shape: [2, 3] }, { shape: [2], dtype }]).map((r) => ({
      ...r,
      attrs,
    })),
  ];
};

const softmaxCrossEntropy: FusedRecord<[logits: Tensor, targets: Tensor, ignoreIndex?: number]> = {
  kind: 'fused',
  doc: '-log softmax(logits)[target] for logits [..., classes] and integer targets [...]; 0 where the target is `ignoreIndex` (-100 unless told).',
  promote: 'float',
  promoted: [0],
  accepts: [anyDType, indices],
  call: (logits, targets, ignoreIndex = -100) => ({ inputs: [logits, targets], attrs: { ignoreIndex } }),
  infer: (inputs, attrs, op) => ({
    attrs: checkLoss(op, inputs as [OperandInfo, OperandInfo], attrs),
    shape: inputs[1]!.shape,
    dtype: inputs[0]!.dtype as DType,
  }),
  compose: ([logits, targets], { ignoreIndex }) => {
    const { safe, counts } = counted(targets!, ignoreIndex as number);
    const picked = logits!.logSoftmax(-1).gather(-1, safe.unsqueeze(-1)).squeeze(-1);
    return counts.where(picked.neg(), 0);
  },
  batch: leadingOfAll,
  sample: (draw) => {
    const { logits, targets, attrs } = sampleLoss(draw);
    return { inputs: [logits, targets], attrs };
  },
  errors: lossErrors([]),
  flops: ([logits]) => 12 * sizeOf(logits!.shape),
};

const softmaxCrossEntropyGrad: FusedRecord<
  [g: Tensor, logits: Tensor, targets: Tensor, ignoreIndex: number]
> & {
  readonly free: true;
} = {
  kind: 'fused',
  free: true,
  doc: 'Gradient of softmaxCrossEntropy with respect to the logits, from g, the gradient of its result.',
  promote: 'float',
  promoted: [0, 1],
  accepts: [floats, floats, indices],
  call: (g, logits, targets, ignoreIndex) => ({ inputs: [g, logits, targets], attrs: { ignoreIndex } }),
  infer: (inputs, attrs, op) => {
    const [g, logits, targets] = inputs as [OperandInfo, OperandInfo, OperandInfo];
    const checked = checkLoss(op, [logits, targets], attrs);
    if (!sameShape(g.shape, targets.shape))
      throw new ShapeError(op, 'gradient and targets must have one shape', { operands: inputs });
    return { attrs: checked, shape: logits.shape, dtype: logits.dtype as DType };
  },
  // g (softmax(x) - 1[target])
  compose: ([g, logits, targets], { ignoreIndex }) => {
    const { safe, counts } = counted(targets!, ignoreIndex as number);
    const pull = counts.where(g!, 0).unsqueeze(-1);
    const spread = counts.unsqueeze(-1).where(logits!.softmax(-1).mul(pull), 0);
    return spread.scatterAdd(-1, safe.unsqueeze(-1), pull.neg());
  },
  batch: leadingOfAll,
  sample: (draw) => {
    const { logits, targets, attrs } = sampleLoss(draw);
    return { inputs: [{ shape: targets.shape, domain: real }, logits, targets], attrs };
  },
  errors: [
    ...lossErrors([{ shape: [2] }]),
    {
      inputs: [{ shape: [3] }, { shape: [2, 3] }, { shape: [2], dtype: 'i32' }],
      attrs: { ignoreIndex: -100 },
      error: 'ShapeError',
      says: 'gradient and targets',
    },
    ...refused(floats, (dtype) => [
      { shape: [2], dtype },
      { shape: [2, 3] },
      { shape: [2], dtype: 'i32' },
    ]).map((row) => ({ ...row, attrs: { ignoreIndex: -100 } })),
  ],
  flops: ([, logits]) => 13 * sizeOf(logits!.shape),
};

export const losses = { softmaxCrossEntropy, softmaxCrossEntropyGrad };
