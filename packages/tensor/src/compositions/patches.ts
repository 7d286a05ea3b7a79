/** Images as columns of patches and back, and channels as pixels and back. */
import { ShapeError } from '../errors.ts';
import { windowCount } from '../ops/sliding.ts';
import type { Tensor } from '../tensor.ts';
import { batched, framing, perAxis, spatialAxes, type PerAxis } from './spatial.ts';

export interface PatchOptions {
  /** Elements from one patch to the next. Default 1. */
  readonly stride?: PerAxis;
  /** Zeros on both sides of each axis. Default 0. */
  readonly padding?: PerAxis;
  /** Elements of the image from one element of a patch to the next. Default 1. */
  readonly dilation?: PerAxis;
}

const axes = 2;

function patches(
  op: string,
  kernelSize: PerAxis,
  { stride = 1, padding = 0, dilation = 1 }: PatchOptions,
): { kernel: number[]; step: number[]; width: number[]; gap: number[] } {
  return {
    kernel: perAxis(op, 'kernelSize', kernelSize, axes, 1),
    step: perAxis(op, 'stride', stride, axes, 1),
    width: perAxis(op, 'padding', padding, axes, 0),
    gap: perAxis(op, 'dilation', dilation, axes, 1),
  };
}

function checkFactor(op: string, factor: number): void {
  perAxis(op, 'the factor', factor, 1, 1);
}

export const patchMethods = {
  /**
   * Patches of an image [N, C, H, W] or [C, H, W] as columns, [N, C · KH · KW, number of patches]: PyTorch's
   * functional.unfold. (`windows` views them without a copy.)
   */
  unfold: (x: Tensor, kernelSize: PerAxis, options: PatchOptions = {}): Tensor =>
    batched('unfold', x, axes, (all) => {
      const { kernel, step, width, gap } = patches('unfold', kernelSize, options);
      const framed = all.pad(
        framing(
          all,
          width.map((n) => [n, n] as const),
        ),
      );
      const windows = framed.windows(spatialAxes(all, axes), kernel, step, gap);
      const [n, c, h, w] = windows.shape as readonly [number, number, number, number];
      return windows.permute([0, 1, 4, 5, 2, 3]).reshape([n, c * kernel[0]! * kernel[1]!, h * w]);
    }),

  /**
   * Columns of patches [N, C · KH · KW, number of patches], or without N, added up into an image [N, C, H, W] of sizes
   * `outputSize`: PyTorch's functional.fold, the transpose of `unfold`.
   */
  fold: (x: Tensor, outputSize: PerAxis, kernelSize: PerAxis, options: PatchOptions = {}): Tensor => {
    const { kernel, step, width, gap } = patches('fold', kernelSize, options);
    const size = perAxis('fold', 'outputSize', outputSize, axes, 1);
    if (x.rank !== 2 && x.rank !== 3)
      throw new ShapeError('fold', 'needs columns of patches, [batch, channels · kernel, patches]', {
        operands: [x],
      });
    const counts = size.map((n, i) => windowCount(n + 2 * width[i]!, kernel[i]!, step[i]!, gap[i]!));
    const area = kernel[0]! * kernel[1]!;
    const [rows, columns] = x.shape.slice(-2) as [number, number];
    if (rows % area !== 0 || columns !== counts[0]! * counts[1]! || counts.some((n) => n < 1))
      throw new ShapeError(
        'fold',
        `needs a multiple of ${area} rows and ${Math.max(0, counts[0]!)} · ${Math.max(0, counts[1]!)} columns`,
        { operands: [x] },
      );
    const lead = x.shape.slice(0, -2);
    const channels = rows / area;
    const at = lead.length + 1;
    const windows = x.reshape([...lead, channels, ...kernel, ...counts]);
    const order = Array.from({ length: at }, (_, i) => i);
    return windows
      .permute([...order, at + 2, at + 3, at, at + 1])
      .overlapAdd([...lead, channels, ...size.map((n, i) => n + 2 * width[i]!)], [at, at + 1], step, gap)
      .slice([...order.map(() => null), ...size.map((n, i) => [width[i]!, width[i]! + n] as const)]);
  },

  /** Channels as pixels: [..., C · r², H, W] becomes [..., C, H · r, W · r] (arXiv 1609.05158). */
  pixelShuffle: (x: Tensor, factor: number): Tensor => {
    checkFactor('pixelShuffle', factor);
    if (x.rank < 3 || x.shape.at(-3)! % factor ** 2 !== 0)
      throw new ShapeError('pixelShuffle', `needs [..., a multiple of ${factor ** 2} channels, H, W]`, {
        operands: [x],
      });
    const lead = x.shape.slice(0, -3);
    const [c, h, w] = x.shape.slice(-3) as [number, number, number];
    const channels = c / factor ** 2;
    const k = lead.length;
    return x
      .reshape([...lead, channels, factor, factor, h, w])
      .permute([...lead.map((_, i) => i), k, k + 3, k + 1, k + 4, k + 2])
      .reshape([...lead, channels, h * factor, w * factor]);
  },

  /** Pixels as channels: [..., C, H · r, W · r] becomes [..., C · r², H, W]: undoes `pixelShuffle`. */
  pixelUnshuffle: (x: Tensor, factor: number): Tensor => {
    checkFactor('pixelUnshuffle', factor);
    if (x.rank < 3 || x.shape.slice(-2).some((n) => n % factor !== 0))
      throw new ShapeError('pixelUnshuffle', `needs [..., C, H, W] with H and W multiples of ${factor}`, {
        operands: [x],
      });
    const lead = x.shape.slice(0, -3);
    const [c, h, w] = x.shape.slice(-3) as [number, number, number];
    const k = lead.length;
    return x
      .reshape([...lead, c, h / factor, factor, w / factor, factor])
      .permute([...lead.map((_, i) => i), k, k + 2, k + 4, k + 1, k + 3])
      .reshape([...lead, c * factor ** 2, h / factor, w / factor]);
  },
};
