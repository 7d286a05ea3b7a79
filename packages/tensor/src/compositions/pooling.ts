/** Pooling over one, two or three spatial axes: reductions over windows. x is [N, C, ...spatial] or [C, ...spatial]. */
import { fromData } from '../creation.ts';
import { ShapeError, ValueError } from '../errors.ts';
import { lowest } from '../ops/families.ts';
import { windowCount } from '../ops/sliding.ts';
import { sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { resample, uniformTaps, type Taps } from './resample.ts';
import { checkSpatial, framing, perAxis, spatialAxes, type PerAxis, type Widths } from './spatial.ts';

export interface PoolOptions {
  /** Elements from one window to the next. Default: the kernel size. */
  readonly stride?: PerAxis;
  /** Elements added on both sides of each axis, at most half of a window. Default 0. */
  readonly padding?: PerAxis;
  /** Take in a last window that reaches over the end, if it starts before it. Default false. */
  readonly ceilMode?: boolean;
}

export interface MaxPoolOptions extends PoolOptions {
  /** Elements of x from one element of a window to the next. Default 1. */
  readonly dilation?: PerAxis;
}

export interface AvgPoolOptions extends PoolOptions {
  /** Count the elements that padding added into the mean. Default true. */
  readonly countIncludePad?: boolean;
  /** Divide sums by this instead of the number of elements. */
  readonly divisorOverride?: number;
}

interface Pool {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: readonly number[];
  readonly size: readonly number[];
  /** The number of windows along each axis. */
  readonly out: readonly number[];
  /** Elements to add so that every window has all of its elements. */
  readonly frame: readonly Widths[];
}

function poolOf(
  op: string,
  x: Tensor,
  axes: number,
  kernelSize: PerAxis,
  { ceilMode = false, ...options }: MaxPoolOptions,
): Pool {
  checkSpatial(op, x, axes);
  const kernel = perAxis(op, 'kernelSize', kernelSize, axes, 1);
  const stride = perAxis(op, 'stride', options.stride ?? kernel, axes, 1);
  const dilation = perAxis(op, 'dilation', options.dilation ?? 1, axes, 1);
  const padding = perAxis(op, 'padding', options.padding ?? 0, axes, 0);
  const size = x.shape.slice(-axes);
  const out: number[] = [];
  const frame = size.map((n, i): Widths => {
    const [pad, step] = [padding[i]!, stride[i]!];
    const span = dilation[i]! * (kernel[i]! - 1) + 1;
    if (2 * pad > span)
      throw new ValueError(op, `padding ${pad} is more than half of a window of ${span} (spatial axis ${i})`);
    let count = windowCount(n + 2 * pad, kernel[i]!, step, dilation[i]!);
    // The last window must start within x or before it.
    if (ceilMode && (n + 2 * pad - span) % step !== 0 && n + 2 * pad >= span - step + 1) {
      if (count * step < n + pad) count++;
    }
    if (count < 1)
      throw new ShapeError(
        op,
        `a window of ${span} does not fit a padded size of ${n + 2 * pad} (spatial axis ${i})`,
        {
          operands: [x],
        },
      );
    out.push(count);
    return [pad, Math.max(pad, (count - 1) * step + span - n - pad)];
  });
  return { kernel, stride, dilation, padding, size, out, frame };
}

/**
 * All windows of x framed by a value, [..., ...kernel, ...out]: so that what is done with them goes along lines of windows,
 * which are longer than lines in a window.
 */
function windowsOf(x: Tensor, { kernel, stride, dilation, frame }: Pool, value: number): Tensor {
  const bare = frame.every(([before, after]) => before === 0 && after === 0);
  const framed = bare ? x : x.pad(framing(x, frame), value);
  const axes = spatialAxes(x, kernel.length);
  const windows = framed.windows(axes, kernel, stride, dilation);
  const lead = windows.shape.slice(0, -2 * kernel.length).map((_, i) => i);
  return windows.permute([...lead, ...spatialAxes(windows, kernel.length), ...axes]);
}

/** The axes of the windows themselves. */
const inWindow = (windows: Tensor, axes: number): number[] => spatialAxes(windows, 2 * axes).slice(0, axes);

const maxPool =
  (op: string, axes: number) =>
  (x: Tensor, kernelSize: PerAxis, options: MaxPoolOptions = {}): Tensor => {
    const windows = windowsOf(x, poolOf(op, x, axes, kernelSize, options), lowest(x.dtype));
    return windows.max(inWindow(windows, axes));
  };

const maxPoolWithIndices =
  (op: string, axes: number) =>
  (
    x: Tensor,
    kernelSize: PerAxis,
    options: MaxPoolOptions = {},
  ): { readonly values: Tensor; readonly indices: Tensor } => {
    const pool = poolOf(op, x, axes, kernelSize, options);
    const { kernel, stride, dilation, padding, size, out } = pool;
    const lead = x.shape.slice(0, -axes);
    const inside = windowsOf(x, pool, lowest(x.dtype))
      .reshape([...lead, sizeOf(kernel), ...out])
      .argMax(lead.length);
    // The place in the window along each axis, and from it the place in x, row-major. Where all is as low as the padding, the
    // window's first place may have been found: the first within x stands for it.
    let rest = inside;
    let indices: Tensor | null = null;
    for (let axis = axes - 1, unit = 1; axis >= 0; unit *= size[axis]!, axis--) {
      const along = (places: readonly number[]): Tensor =>
        fromData(
          Int32Array.from(places),
          out.map((n, i) => (i === axis ? n : 1)),
          { backend: x.backend },
        );
      const starts = Array.from({ length: out[axis]! }, (_, i) => i * stride[axis]! - padding[axis]!);
      const gap = dilation[axis]!;
      const firsts = starts.map((start) => (start < 0 ? start + Math.ceil(-start / gap) * gap : start));
      if (firsts.some((first) => first >= size[axis]!))
        throw new ShapeError(op, `a window holds nothing but padding (spatial axis ${axis})`, {
          operands: [x],
        });
      const k = rest.remainder(kernel[axis]!);
      rest = rest.floorDivide(kernel[axis]!);
      const place = k.mul(gap).add(along(starts)).maximum(along(firsts)).mul(unit);
      indices = indices ? indices.add(place) : place;
    }
    const places = [...lead, sizeOf(out)];
    const values = x
      .reshape([...lead, sizeOf(size)])
      .gather(-1, indices!.reshape(places))
      .reshape(indices!.shape);
    return { values, indices: indices! };
  };

/** For each window, how many of its elements lie in 0 … n - 1, or with `pad` in -pad … n + pad - 1. */
function countsAlong({ kernel, stride, padding, size, out }: Pool, axis: number, withPad: boolean): number[] {
  const [n, pad] = [size[axis]!, padding[axis]!];
  return Array.from({ length: out[axis]! }, (_, i) => {
    const start = i * stride[axis]! - pad;
    const end = Math.min(start + kernel[axis]!, n + pad);
    return withPad ? end - start : Math.min(end, n) - Math.max(start, 0);
  });
}

const avgPool =
  (op: string, axes: number) =>
  (x: Tensor, kernelSize: PerAxis, options: AvgPoolOptions = {}): Tensor => {
    const { countIncludePad = true, divisorOverride, ...rest } = options;
    const pool = poolOf(op, x, axes, kernelSize, rest);
    if (divisorOverride === 0) throw new ValueError(op, 'divisorOverride is 0');
    const windows = windowsOf(x, pool, 0);
    const sums = windows.sum(inWindow(windows, axes));
    if (divisorOverride !== undefined) return sums.div(divisorOverride);
    const counts = pool.out.map((_, axis) => countsAlong(pool, axis, countIncludePad));
    const products = counts.reduce<number[]>((all, one) => all.flatMap((a) => one.map((b) => a * b)), [1]);
    if (products.every((n) => n === products[0])) return sums.div(products[0] ?? 1);
    const dtype = x.dtype === 'f64' ? 'f64' : 'f32';
    const divisors = fromData(Float64Array.from(products), pool.out, { dtype, backend: x.backend });
    return sums.div(divisors.cast(sums.dtype));
  };

/** The sizes that adaptive pooling is to reach; null keeps a size. */
export type OutputSize = number | readonly (number | null)[];

function outputSizes(op: string, x: Tensor, axes: number, outputSize: OutputSize): number[] {
  checkSpatial(op, x, axes);
  const size = x.shape.slice(-axes);
  const list = typeof outputSize === 'number' ? outputSize : outputSize.map((n, i) => n ?? size[i] ?? 1);
  if (size.some((n) => n === 0)) throw new ShapeError(op, 'there is nothing to pool', { operands: [x] });
  return perAxis(op, 'outputSize', list, axes, 1);
}

/** The windows of adaptive pooling from n to `out`: window i runs from ⌊i·n/out⌋ to ⌈(i + 1)·n/out⌉. */
function adaptiveTaps(n: number, out: number): Taps {
  return Array.from({ length: out }, (_, i) => {
    const start = Math.floor((i * n) / out);
    const end = Math.ceil(((i + 1) * n) / out);
    return { start, weights: new Array<number>(end - start).fill(1 / (end - start)) };
  });
}

/** The kernel of the pooling that does the same, or null where windows differ in size or overlap. */
function evenKernel(size: readonly number[], out: readonly number[]): number[] | null {
  return size.every((n, i) => 0 === n % out[i]!) ? size.map((n, i) => n / out[i]!) : null;
}

const adaptiveAvgPool =
  (op: string, axes: number) =>
  (x: Tensor, outputSize: OutputSize): Tensor => {
    const out = outputSizes(op, x, axes, outputSize);
    const size = x.shape.slice(-axes);
    const kernel = evenKernel(size, out);
    if (kernel) return avgPool(op, axes)(x, kernel);
    return spatialAxes(x, axes).reduce((y, axis, i) => resample(y, axis, adaptiveTaps(size[i]!, out[i]!)), x);
  };

const adaptiveMaxPool =
  (op: string, axes: number) =>
  (x: Tensor, outputSize: OutputSize): Tensor => {
    const out = outputSizes(op, x, axes, outputSize);
    const size = x.shape.slice(-axes);
    const kernel = evenKernel(size, out);
    if (kernel) return maxPool(op, axes)(x, kernel);
    // Windows of one size, with the lowest value in the places of those that have fewer elements.
    let y = x;
    for (let i = axes - 1; i >= 0; i--) {
      const { index, count } = uniformTaps(adaptiveTaps(size[i]!, out[i]!));
      const [axis, length] = [x.rank - axes + i, out[i]!];
      const own = (data: Int32Array): Tensor => fromData(data, [count, length], { backend: x.backend });
      const used = index.map((at) => Number(at >= 0));
      const mask = own(used).cast('bool');
      const picked = y.indexSelect(axis, own(index.map((at) => Math.max(at, 0))));
      const after = new Array<number>(picked.rank - axis - 2).fill(1);
      y = mask.reshape([count, length, ...after]).where(picked, lowest(x.dtype));
    }
    return y.max(Array.from({ length: axes }, (_, i) => x.rank - axes + 2 * i));
  };

const lpPool =
  (op: string, axes: number) =>
  (x: Tensor, p: number, kernelSize: PerAxis, options: Omit<PoolOptions, 'padding'> = {}): Tensor => {
    if (!(p > 0)) throw new ValueError(op, `needs a power > 0, got ${p}`);
    const area = sizeOf(perAxis(op, 'kernelSize', kernelSize, axes, 1));
    return avgPool(op, axes)(x.pow(p), kernelSize, options)
      .mul(area)
      .pow(1 / p);
  };

export const poolingMethods = {
  /**
   * The largest element of each window. In gradients equal maxima share (PyTorch gives all to the first; so does
   * `maxPool1dWithIndices`).
   */
  maxPool1d: maxPool('maxPool1d', 1),
  /** As `maxPool1d`, over the last two axes. */
  maxPool2d: maxPool('maxPool2d', 2),
  /** As `maxPool1d`, over the last three axes. */
  maxPool3d: maxPool('maxPool3d', 3),

  /** The largest element of each window, and its place in x, counted row-major over the spatial axes, as i32. The first of equal ones counts. */
  maxPool1dWithIndices: maxPoolWithIndices('maxPool1dWithIndices', 1),
  /** As `maxPool1dWithIndices`, over the last two axes. */
  maxPool2dWithIndices: maxPoolWithIndices('maxPool2dWithIndices', 2),
  /** As `maxPool1dWithIndices`, over the last three axes. */
  maxPool3dWithIndices: maxPoolWithIndices('maxPool3dWithIndices', 3),

  /** The mean of each window. */
  avgPool1d: avgPool('avgPool1d', 1),
  /** As `avgPool1d`, over the last two axes. */
  avgPool2d: avgPool('avgPool2d', 2),
  /** As `avgPool1d`, over the last three axes. */
  avgPool3d: avgPool('avgPool3d', 3),

  /** Σ x^p over each window, to the power 1/p. A window that ceilMode lets reach over the end counts as if full (PyTorch). */
  lpPool1d: lpPool('lpPool1d', 1),
  /** As `lpPool1d`, over the last two axes. */
  lpPool2d: lpPool('lpPool2d', 2),
  /** As `lpPool1d`, over the last three axes. */
  lpPool3d: lpPool('lpPool3d', 3),

  /** Means of `outputSize` windows that cover the axis: window i of m over n elements runs from ⌊i·n/m⌋ to ⌈(i + 1)·n/m⌉. */
  adaptiveAvgPool1d: adaptiveAvgPool('adaptiveAvgPool1d', 1),
  /** As `adaptiveAvgPool1d`, over the last two axes. */
  adaptiveAvgPool2d: adaptiveAvgPool('adaptiveAvgPool2d', 2),
  /** As `adaptiveAvgPool1d`, over the last three axes. */
  adaptiveAvgPool3d: adaptiveAvgPool('adaptiveAvgPool3d', 3),

  /** The largest elements of windows as in `adaptiveAvgPool1d`. */
  adaptiveMaxPool1d: adaptiveMaxPool('adaptiveMaxPool1d', 1),
  /** As `adaptiveMaxPool1d`, over the last two axes. */
  adaptiveMaxPool2d: adaptiveMaxPool('adaptiveMaxPool2d', 2),
  /** As `adaptiveMaxPool1d`, over the last three axes. */
  adaptiveMaxPool3d: adaptiveMaxPool('adaptiveMaxPool3d', 3),
};
