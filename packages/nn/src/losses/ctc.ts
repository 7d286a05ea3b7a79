/** Connectionist temporal classification (Graves et al. 2006). */
import {
  concat,
  DTypeError,
  fromData,
  full,
  IndexError,
  ShapeError,
  stack,
  ValueError,
  type Tensor,
} from '@infinigrad/tensor';
import { checkFloats, checkReduction, inWide, type ReductionOptions } from './reduction.ts';

export interface CTCOptions extends ReductionOptions {
  /** The class that stands for nothing. Default 0. */
  readonly blank?: number;
  /** A loss of 0, with a gradient of 0, where the target cannot be reached (it is too long for its input). Default false: Infinity. */
  readonly zeroInfinity?: boolean;
}

/** The logarithm of what cannot be: finite, so that differences of it are numbers. */
const never = -1e30;

/**
 * -log of the probability that a sequence of frames, each with log-probabilities of the classes, reads as the target, once
 * repetitions are taken together and blanks left out. `mean` divides each loss by its target's length first, as PyTorch does.
 * The sum over all alignments is the forward recursion in logarithms (section 4.1); its gradient, the backward one, comes by
 * differentiation, to any order. Where a target cannot be reached the gradient is 0.
 * @param logProbs [time, batch, classes], of log-softmax
 * @param targets integers [batch, longest], without blanks; what lies beyond a target's length does not count
 * @param inputLengths frames of each sequence, from 1 to time
 * @param targetLengths from 0 to longest
 * @returns with `none`: [batch]
 * @throws ShapeError, DTypeError, ValueError; IndexError for a target out of range
 */
export function ctcLoss(
  logProbs: Tensor,
  targets: Tensor,
  inputLengths: readonly number[],
  targetLengths: readonly number[],
  { blank = 0, zeroInfinity = false, reduction = 'mean' }: CTCOptions = {},
): Tensor {
  const op = 'ctcLoss';
  const operands = [logProbs, targets];
  checkFloats(op, [logProbs]);
  if (targets.dtype !== 'i32' && targets.dtype !== 'u8')
    throw new DTypeError(op, 'targets must be integers', { operands, hint: "cast('i32') converts" });
  if (logProbs.rank !== 3 || targets.rank !== 2 || targets.shape[0] !== logProbs.shape[1])
    throw new ShapeError(op, 'needs logProbs [time, batch, classes] and targets [batch, longest]', {
      operands,
    });
  const [time, batch, classes] = logProbs.shape as readonly [number, number, number];
  if (!Number.isInteger(blank) || blank < 0 || blank >= classes)
    throw new ValueError(op, `blank must be a class from 0 to ${classes - 1}, got ${blank}`, { operands });
  checkLengths(op, 'inputLengths', inputLengths, batch, 1, time);
  checkLengths(op, 'targetLengths', targetLengths, batch, 0, targets.shape[1]!);
  checkReduction(op, reduction);
  checkLabels(op, targets, targetLengths, { blank, classes });
  return inWide([logProbs], (x) => {
    const losses = lossesOf(x, targets, inputLengths, targetLengths, blank);
    // A path through what cannot be.
    const unreachable = losses.gt(-never / 2);
    const each = unreachable.where(zeroInfinity ? 0 : Infinity, losses);
    if (reduction === 'none') return each;
    if (reduction === 'sum') return each.sum();
    const lengths = fromData(
      Float64Array.from(targetLengths, (length) => Math.max(1, length)),
      [batch],
      { dtype: x.dtype, backend: x.backend },
    );
    return each.div(lengths).mean();
  });
}

function lossesOf(
  x: Tensor,
  targets: Tensor,
  inputLengths: readonly number[],
  targetLengths: readonly number[],
  blank: number,
): Tensor {
  const [time, batch] = x.shape as readonly [number, number, number];
  const { backend } = x;
  const longest = targets.shape[1]!;
  const states = 2 * longest + 1;
  const mask = (shape: readonly number[], holds: (i: number, j: number) => boolean): Tensor => {
    const inner = shape[1]!;
    const truths = Uint8Array.from({ length: shape[0]! * inner }, (_, k) =>
      Number(holds(Math.floor(k / inner), k % inner)),
    );
    return fromData(truths, shape, { dtype: 'bool', backend });
  };

  // Blanks before, between and after the labels: the states of eq. 6.
  const labels = mask([batch, longest], (i, j) => j < targetLengths[i]!)
    .where(targets.cast('i32'), blank)
    .cast('i32');
  const blanks = full([batch, longest], blank, { dtype: 'i32', backend });
  const sequence = concat(
    [
      stack([blanks, labels], -1).reshape([batch, 2 * longest]),
      full([batch, 1], blank, { dtype: 'i32', backend }),
    ],
    1,
  );
  // A blank may be left out between two different labels.
  const before = sequence
    .pad(
      [
        [0, 0],
        [2, 0],
      ],
      blank,
    )
    .narrow(1, 0, states);
  const skips = sequence.ne(before).logicalAnd(sequence.ne(blank));

  const index = sequence.reshape([1, batch, states]).expand([time, batch, states]);
  const emissions = x.gather(-1, index).maximum(never);
  const begins = mask([1, states], (_, j) => j < 2);
  let alpha = begins.where(emissions.select(0, 0), never);
  const shifted = (by: number): Tensor =>
    alpha
      .pad(
        [
          [0, 0],
          [by, 0],
        ],
        never,
      )
      .narrow(1, 0, states);
  for (let t = 1; t < time; t++) {
    const reached = stack([alpha, shifted(1), skips.where(shifted(2), never)], 0).logSumExp(0);
    const next = reached.add(emissions.select(0, t)).maximum(never);
    const ended = inputLengths.some((length) => length <= t);
    alpha = ended ? mask([batch, 1], (i) => t < inputLengths[i]!).where(next, alpha) : next;
  }
  // The last label, or the blank after it: eq. 8.
  const ends = mask(
    [batch, states],
    (i, j) => j === 2 * targetLengths[i]! || j === 2 * targetLengths[i]! - 1,
  );
  return ends.where(alpha, never).logSumExp(-1).neg();
}

function checkLengths(
  op: string,
  name: string,
  lengths: readonly number[],
  batch: number,
  low: number,
  high: number,
): void {
  if (lengths.length !== batch)
    throw new ShapeError(
      op,
      `${name} must have one number for each of ${batch} sequences, got ${lengths.length}`,
    );
  for (const length of lengths)
    if (!Number.isInteger(length) || length < low || length > high)
      throw new ValueError(op, `${name} must be integers from ${low} to ${high}, got ${length}`);
}

/** Where the targets can be read at once. */
function checkLabels(
  op: string,
  targets: Tensor,
  lengths: readonly number[],
  { blank, classes }: { readonly blank: number; readonly classes: number },
): void {
  if (!targets.backend.synchronous || targets.storage.unreadable) return;
  const data = targets.dataSync();
  const longest = targets.shape[1]!;
  lengths.forEach((length, i) => {
    for (const label of data.subarray(i * longest, i * longest + length)) {
      if (label < 0 || label >= classes)
        throw new IndexError(op, `target ${label} is out of range for ${classes} classes`, {
          operands: [targets],
        });
      if (label === blank)
        throw new ValueError(op, `a target holds the blank, ${blank}`, { operands: [targets] });
    }
  });
}
