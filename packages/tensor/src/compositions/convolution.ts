/** Convolutions over one, two or three spatial axes, and their transposes, in PyTorch's layout: [batch, channels, ...spatial]. */
import { ShapeError, ValueError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { interpolationMethods } from './interpolation.ts';
import { paddingMethods } from './padding.ts';
import { patchMethods } from './patches.ts';
import { poolingMethods } from './pooling.ts';
import { batched, bothSides, perAxis, type PerAxis, type Widths } from './spatial.ts';
import { within } from './within.ts';

export interface ConvolutionOptions {
  /** [O], added to each output channel. Default none. */
  readonly bias?: Tensor | undefined;
  /** Elements from one place of the kernel to the next. Default 1. */
  readonly stride?: PerAxis;
  /**
   * Zeros around x: a number for all sides, a number or a pair [before, after] for each spatial axis, `'valid'` (none), or
   * `'same'` (as many as keep the sizes; for stride 1). Default 0.
   */
  readonly padding?: number | 'same' | 'valid' | readonly (number | Widths)[];
  /** Elements of x from one element of the kernel to the next. Default 1. */
  readonly dilation?: PerAxis;
  /** Parts that input and output channels fall into, convolved each on its own. Default 1. */
  readonly groups?: number;
}

export interface ConvolutionTransposeOptions extends Omit<ConvolutionOptions, 'padding'> {
  /** Elements cut off the result: a number for all sides, a number or a pair [before, after] for each spatial axis. Default 0. */
  readonly padding?: number | readonly (number | Widths)[];
  /** Elements added to the end of the result, fewer than stride or dilation. Default 0. */
  readonly outputPadding?: PerAxis;
}

function checkWeight(op: string, x: Tensor, weight: Tensor, axes: number): void {
  if (weight.rank !== axes + 2)
    throw new ShapeError(op, `the weight needs ${axes + 2} axes`, { operands: [x, weight] });
}

/** y + bias, which has one entry for each channel. */
function withBias(op: string, y: Tensor, bias: Tensor | undefined, axes: number): Tensor {
  if (!bias) return y;
  const channels = y.shape[1]!;
  if (bias.rank !== 1 || bias.size !== channels)
    throw new ShapeError(op, `the bias needs shape [${channels}]`, { operands: [bias] });
  return y.add(bias.reshape([channels, ...new Array<number>(axes).fill(1)]));
}

function framesOf(
  op: string,
  padding: NonNullable<ConvolutionOptions['padding']>,
  weight: Tensor,
  stride: readonly number[],
  dilation: readonly number[],
): Widths[] {
  if (padding === 'valid') return stride.map(() => [0, 0]);
  if (typeof padding !== 'string') return bothSides(op, 'padding', padding, stride.length);
  if (padding !== 'same')
    throw new ValueError(op, `padding '${String(padding)}' is not known`, {
      hint: "a number, pairs, 'same' or 'valid'",
    });
  if (stride.some((step) => step !== 1))
    throw new ValueError(op, `padding 'same' needs stride 1, got [${stride.join(', ')}]`);
  return dilation.map((gap, i) => {
    const total = gap * (weight.shape[2 + i]! - 1);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  });
}

const convolve =
  (op: string, axes: number) =>
  (x: Tensor, weight: Tensor, options: ConvolutionOptions = {}): Tensor =>
    batched(op, x, axes, (all) => {
      const { bias, padding = 0, groups = 1 } = options;
      checkWeight(op, x, weight, axes);
      const stride = perAxis(op, 'stride', options.stride ?? 1, axes, 1);
      const dilation = perAxis(op, 'dilation', options.dilation ?? 1, axes, 1);
      const frames = framesOf(op, padding, weight, stride, dilation);
      const y = within(op, [x, weight], () =>
        all.convolution(weight, { stride, padding: frames, dilation, groups }),
      );
      return withBias(op, y, bias, axes);
    });

const convolveTransposed =
  (op: string, axes: number) =>
  (x: Tensor, weight: Tensor, options: ConvolutionTransposeOptions = {}): Tensor =>
    batched(op, x, axes, (all) => {
      const { bias, groups = 1 } = options;
      checkWeight(op, x, weight, axes);
      const stride = perAxis(op, 'stride', options.stride ?? 1, axes, 1);
      const dilation = perAxis(op, 'dilation', options.dilation ?? 1, axes, 1);
      const cut = bothSides(op, 'padding', options.padding ?? 0, axes);
      const added = perAxis(op, 'outputPadding', options.outputPadding ?? 0, axes, 0);
      added.forEach((n, i) => {
        if (n >= Math.max(stride[i]!, dilation[i]!))
          throw new ValueError(
            op,
            `outputPadding ${n} is not less than stride or dilation (spatial axis ${i})`,
          );
      });
      // What is added at the end is cut off less, as far as there is something to cut off; beyond that it is zeros.
      const padding = cut.map(([before, after], i): Widths => [before, Math.max(0, after - added[i]!)]);
      const beyond = cut.map(([, after], i): Widths => [0, Math.max(0, added[i]! - after)]);
      const size = stride.map((step, i) => {
        const whole = (all.shape[2 + i]! - 1) * step + dilation[i]! * (weight.shape[2 + i]! - 1) + 1;
        return whole - padding[i]![0] - padding[i]![1];
      });
      if (size.some((n) => n < 1))
        throw new ShapeError(op, `nothing is left of a result of sizes [${size.join(', ')}]`, {
          operands: [x, weight],
        });
      const inner = within(op, [x, weight], () =>
        all.convolutionTranspose(weight, { stride, padding, dilation, groups, size }),
      );
      const y = beyond.some(([, n]) => n > 0) ? inner.pad([[0, 0], [0, 0], ...beyond]) : inner;
      return withBias(op, y, bias, axes);
    });

const convolutions = {
  /** Convolution of x [N, C, L] or [C, L] with a weight [O, C / groups, K]: [N, O, L']. Its options are PyTorch's. */
  conv1d: convolve('conv1d', 1),
  /** Convolution of x [N, C, H, W] or [C, H, W] with a weight [O, C / groups, KH, KW]: [N, O, H', W']. */
  conv2d: convolve('conv2d', 2),
  /** Convolution of x [N, C, D, H, W] or [C, D, H, W] with a weight [O, C / groups, KD, KH, KW]: [N, O, D', H', W']. */
  conv3d: convolve('conv3d', 3),

  /**
   * Transposed convolution of x [N, C, L] or [C, L] with a weight [C, O / groups, K]: [N, O, L'], where
   * L' = (L - 1) · stride - 2 · padding + dilation · (K - 1) + outputPadding + 1. Its options are PyTorch's.
   */
  convTranspose1d: convolveTransposed('convTranspose1d', 1),
  /** Transposed convolution of x [N, C, H, W] or [C, H, W] with a weight [C, O / groups, KH, KW]: [N, O, H', W']. */
  convTranspose2d: convolveTransposed('convTranspose2d', 2),
  /** Transposed convolution of x [N, C, D, H, W] or [C, D, H, W] with a weight [C, O / groups, KD, KH, KW]: [N, O, D', H', W']. */
  convTranspose3d: convolveTransposed('convTranspose3d', 3),
};

export const convolutionMethods = {
  ...convolutions,
  ...patchMethods,
  ...paddingMethods,
  ...poolingMethods,
  ...interpolationMethods,
};
