/** What the elements of a tensor are like, in a word. */
import { isFloat, type Tensor } from '@infinigrad/tensor';
import { standingFor } from '../transforms/levels.ts';

export interface Range {
  /** The least and the greatest of the finite elements; Infinity and -Infinity where there is none. */
  readonly min: number;
  readonly max: number;
  readonly nan: number;
  readonly infinite: number;
  readonly size: number;
}

/** The tensor in which the elements lie: behind one inside a vmap, that of all examples. */
function readable(x: Tensor): Tensor {
  const standing = standingFor(x);
  return standing ? readable(standing.inner) : x;
}

export function rangeOf(x: Tensor): Range {
  let [min, max, nan, infinite] = [Infinity, -Infinity, 0, 0];
  const data = readable(x).dataSync();
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    if (Number.isNaN(value)) nan++;
    else if (Math.abs(value) === Infinity) infinite++;
    else {
      if (value < min) min = value;
      if (value > max) max = value;
    }
  }
  return { min, max, nan, infinite, size: data.length };
}

/** Whether all is well; quicker than its range. */
export function isFinite(x: Tensor): boolean {
  if (!isFloat(x.dtype)) return true;
  const data = readable(x).dataSync();
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i]!)) return false;
  return true;
}

const short = (value: number): string => String(Number(value.toPrecision(4)));

/** `min -1, max 4, 2 NaN, 0 Infinity`. */
export function rangeText({ min, max, nan, infinite, size }: Range): string {
  if (size === 0) return 'no elements';
  const finite = nan + infinite < size ? `min ${short(min)}, max ${short(max)}` : 'nothing finite';
  return `${finite}, ${nan} NaN, ${infinite} Infinity`;
}
