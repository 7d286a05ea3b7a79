/** What losses share: how they are reduced, and what they ask of their inputs. */
import {
  DTypeError,
  isFloat,
  isHalf,
  sameShape,
  ShapeError,
  Tensor,
  ValueError,
  type OperandInfo,
} from '@infinigrad/tensor';

/** `mean` over all, `sum`, or `none`: a loss for each element (or pair, or line). */
export type Reduction = 'mean' | 'sum' | 'none';

export interface ReductionOptions {
  /** Default `mean`. */
  readonly reduction?: Reduction;
}

export function checkReduction(
  op: string,
  reduction: string,
  allowed: readonly string[] = ['mean', 'sum', 'none'],
): void {
  if (!allowed.includes(reduction))
    throw new ValueError(
      op,
      `reduction must be ${allowed.slice(0, -1).join(', ')} or ${allowed.at(-1)}, got '${String(reduction)}'`,
    );
}

export function reduced(losses: Tensor, reduction: Reduction): Tensor {
  return reduction === 'none' ? losses : reduction === 'sum' ? losses.sum() : losses.mean();
}

export function checkFloats(op: string, operands: readonly Tensor[]): void {
  if (!operands.every(({ dtype }) => isFloat(dtype)))
    throw new DTypeError(op, 'takes floating-point tensors', { operands, hint: "cast('f32') converts" });
}

/** @throws DTypeError, ShapeError unless all are floating and of one shape: a target that broadcasts is nearly always a mistake */
export function checkAlike(op: string, operands: readonly Tensor[]): void {
  checkFloats(op, operands);
  if (!operands.every(({ shape }) => sameShape(shape, operands[0]!.shape)))
    throw new ShapeError(op, 'all inputs must have one shape', { operands });
}

/** Line vectors [..., d] that go in pairs. @returns d */
export function checkLines(op: string, operands: readonly Tensor[]): number {
  checkAlike(op, operands);
  if (operands[0]!.rank === 0) throw new ShapeError(op, 'needs vectors [..., d]', { operands });
  return operands[0]!.shape.at(-1)!;
}

export function checkAtLeast(op: string, name: string, value: number, low: number, strict = false): void {
  if (!(value < Infinity && (strict ? value > low : value >= low)))
    throw new ValueError(op, `${name} must be a number ${strict ? '>' : '≥'} ${low}, got ${value}`);
}

/** Integer targets [...] beside lines [..., classes]. */
export function checkClassTargets(op: string, what: string, x: Tensor, targets: Tensor): void {
  const operands: readonly OperandInfo[] = [x, targets];
  if (x.rank === 0 || !sameShape(x.shape.slice(0, -1), targets.shape))
    throw new ShapeError(op, `needs ${what} [..., classes] and targets [...]`, { operands });
  if (targets.dtype !== 'i32' && targets.dtype !== 'u8')
    throw new DTypeError(op, 'targets must be integers', { operands, hint: "cast('i32') converts" });
}

/** Sums and squares of f16 and bf16 leave their range: computed in f32, and rounded once. */
export function inWide<A extends readonly Tensor[]>(inputs: A, body: (...wide: A) => Tensor): Tensor {
  const half = inputs.find(({ dtype }) => isHalf(dtype));
  if (!half) return body(...inputs);
  const wide = inputs.map((x) => (isHalf(x.dtype) ? x.cast('f32') : x)) as unknown as A;
  return body(...wide).cast(half.dtype);
}
