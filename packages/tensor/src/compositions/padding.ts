/** Frames made of the tensor's own elements. */
import { fromData } from '../creation.ts';
import { ShapeError, ValueError } from '../errors.ts';
import { checkIntegers } from '../ops/sliding.ts';
import type { Tensor } from '../tensor.ts';
import type { Widths } from './spatial.ts';

export type PaddingMode = 'constant' | 'reflect' | 'replicate' | 'circular';

/** Where the element at place i (which may lie outside 0 … n - 1) comes from; the most that a frame may be wide. */
const sources: Readonly<
  Record<
    Exclude<PaddingMode, 'constant'>,
    { from: (i: number, n: number) => number; most: (n: number) => number }
  >
> = {
  reflect: { from: (i, n) => (i < 0 ? -i : i < n ? i : 2 * (n - 1) - i), most: (n) => n - 1 },
  replicate: { from: (i, n) => Math.min(Math.max(i, 0), n - 1), most: (n) => (n > 0 ? Infinity : 0) },
  circular: { from: (i, n) => (i + n) % n, most: (n) => n },
};

export const paddingMethods = {
  /**
   * x framed by elements of its own: `reflect` mirrors them at the edge (which is not repeated), `replicate` repeats the
   * edge, `circular` goes on at the other end; `constant` is `pad` with zeros. `widths[i]` elements before and after along
   * axis i, as in `pad`; missing axes get none. At most n - 1 elements of an axis of size n can be mirrored, and n go round.
   */
  padWith: (x: Tensor, mode: PaddingMode, widths: readonly Widths[]): Tensor => {
    if (mode === 'constant') return x.pad(widths);
    const source = Object.hasOwn(sources, mode) ? sources[mode] : undefined;
    if (!source)
      throw new ValueError('padWith', `mode '${String(mode)}' is not known`, {
        hint: 'constant, reflect, replicate or circular',
      });
    if (widths.length > x.rank)
      throw new ShapeError('padWith', `${widths.length} widths for rank ${x.rank}`, { operands: [x] });
    checkIntegers('padWith', 'widths', widths.flat(), 0);
    widths.forEach(([before, after], axis) => {
      const n = x.shape[axis]!;
      if (Math.max(before, after) > source.most(n))
        throw new ShapeError(
          'padWith',
          `a frame of ${before} and ${after} is too wide for axis ${axis} of size ${n} in mode ${mode}`,
          { operands: [x] },
        );
    });
    return widths.reduce((y, [before, after], axis) => {
      if (before === 0 && after === 0) return y;
      const n = x.shape[axis]!;
      const index = Int32Array.from({ length: before + n + after }, (_, i) => source.from(i - before, n));
      return y.indexSelect(axis, fromData(index, [index.length], { backend: x.backend }));
    }, x);
  },
};
