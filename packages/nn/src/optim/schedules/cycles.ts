/** Schedules that rise and fall. */
import { ValueError } from '@infinigrad/tensor';
import { checkFactor, checkSteps, type Schedule } from './schedule.ts';

export interface OneCycleOptions {
  /** The last step is totalSteps - 1; from then on the factor stays. */
  readonly totalSteps: number;
  /** The part of the steps in which the factor rises. Default 0.3. */
  readonly rise?: number;
  /** The factor begins at 1 / startDivisor. Default 25. */
  readonly startDivisor?: number;
  /** It ends at 1 / (startDivisor · finalDivisor). Default 1e4. */
  readonly finalDivisor?: number;
  /** Default 'cosine'. */
  readonly anneal?: 'cosine' | 'linear';
  /** Fall as long as it rose, then on to the end. Default false. */
  readonly threePhase?: boolean;
}

/** Up to 1 and down again, further than it began (super-convergence, arXiv 1708.07120); PyTorch's OneCycleLR. */
export function oneCycle({
  totalSteps,
  rise = 0.3,
  startDivisor = 25,
  finalDivisor = 1e4,
  anneal = 'cosine',
  threePhase = false,
}: OneCycleOptions): Schedule {
  checkSteps('oneCycle', 'totalSteps', totalSteps, 2);
  if (!(rise > 0 && rise < 1)) throw new ValueError('oneCycle', `rise must lie in (0, 1), got ${rise}`);
  if (!(startDivisor > 0)) throw new ValueError('oneCycle', `startDivisor must be > 0, got ${startDivisor}`);
  if (!(finalDivisor > 0)) throw new ValueError('oneCycle', `finalDivisor must be > 0, got ${finalDivisor}`);
  if (anneal !== 'cosine' && anneal !== 'linear')
    throw new ValueError('oneCycle', `there is no anneal '${String(anneal)}'`, {
      hint: 'one of cosine, linear',
    });
  const first = 1 / startDivisor;
  const last = first / finalDivisor;
  const peak = rise * totalSteps - 1;
  const phases = threePhase
    ? [
        { end: peak, from: first, to: 1 },
        { end: 2 * peak, from: 1, to: first },
        { end: totalSteps - 1, from: first, to: last },
      ]
    : [
        { end: peak, from: first, to: 1 },
        { end: totalSteps - 1, from: 1, to: last },
      ];
  const between = (from: number, to: number, progress: number): number =>
    anneal === 'linear'
      ? from + (to - from) * progress
      : to + ((from - to) * (1 + Math.cos(Math.PI * progress))) / 2;
  return (step) => {
    if (step >= totalSteps - 1) return last;
    let begin = 0;
    for (const { end, from, to } of phases) {
      if (step <= end) return between(from, to, end > begin ? (step - begin) / (end - begin) : 1);
      begin = end;
    }
    return last;
  };
}

export interface CyclicOptions {
  /** The factor at both ends of a cycle. Default 0. */
  readonly least?: number;
  readonly up: number;
  /** Default: as `up`. */
  readonly down?: number;
  /** Height of a cycle, counted from 0, above `least`, as a part of 1 - least. Default 1 for all; `(n) => 2 ** -n` halves it. */
  readonly height?: (cycle: number) => number;
}

/** Triangles between `least` and 1 (arXiv 1506.01186); PyTorch's CyclicLR. */
export function cyclic({ least = 0, up, down = up, height = () => 1 }: CyclicOptions): Schedule {
  checkFactor('cyclic', 'least', least);
  checkSteps('cyclic', 'up', up, 1);
  checkSteps('cyclic', 'down', down, 1);
  const length = up + down;
  return (step) => {
    const at = step % length;
    const part = at <= up ? at / up : (length - at) / down;
    return least + (1 - least) * part * height(Math.floor(step / length));
  };
}
