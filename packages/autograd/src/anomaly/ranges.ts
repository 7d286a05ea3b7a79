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

function rangeOfData(data: ArrayLike<number>): Range {
  let [min, max, nan, infinite] = [Infinity, -Infinity, 0, 0];
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

/** What is known of tensors when a result is judged. */
export interface Look {
  range(x: Tensor): Range;
  /** Whether all is well. */
  isFinite(x: Tensor): boolean;
}

/** At tensors that can be read at once. */
export const lookNow: Look = {
  range: (x) => rangeOfData(readable(x).dataSync()),
  /** Quicker than the range. */
  isFinite(x) {
    if (!isFloat(x.dtype)) return true;
    const data = readable(x).dataSync();
    for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i]!)) return false;
    return true;
  },
};

/** The range of a tensor as it is now, when it comes. */
export async function rangeLater(x: Tensor): Promise<Range> {
  return rangeOfData(await readable(x).data());
}

/** At tensors whose ranges have come. */
export function lookAt(ranges: ReadonlyMap<Tensor, Range>): Look {
  return {
    range: (x) => ranges.get(x)!,
    isFinite(x) {
      const range = ranges.get(x);
      return !range || range.nan + range.infinite === 0;
    },
  };
}

const short = (value: number): string => String(Number(value.toPrecision(4)));

/** `min -1, max 4, 2 NaN, 0 Infinity`. */
export function rangeText({ min, max, nan, infinite, size }: Range): string {
  if (size === 0) return 'no elements';
  const finite = nan + infinite < size ? `min ${short(min)}, max ${short(max)}` : 'nothing finite';
  return `${finite}, ${nan} NaN, ${infinite} Infinity`;
}
