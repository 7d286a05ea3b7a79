/** Convolutions sample by sample (or by as many as fit the caches): sizes, and memory for what lies between. */
import { contiguousLayout, rowMajorStrides, sizeOf, type Shape } from '../../../shape.ts';
import type { ConvolutionShape } from '../../../ops/convolution.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import type { Engine } from '../engine.ts';
import { arrayOver } from '../fallback.ts';
import type { WasmBuffer } from '../heap.ts';
import { copyElements } from '../indexing/copy.ts';
import type { Steps } from './nest.ts';

export const bytes = 4;
/** Elements of the windows of the samples that are gone over together. */
const elementsAtOnce = 2 ** 20;

/** x [batch, channels, ...size] and weight [outputs, inGroup, ...kernel] give y [batch, outputs, ...out]. */
export interface ConvolutionPlan extends ConvolutionShape {
  readonly batch: number;
  readonly channels: number;
  readonly outputs: number;
  /** Channels of x in a group. */
  readonly inGroup: number;
  readonly outGroup: number;
  /** The number of windows, and of elements of a kernel over all channels of a group. */
  readonly windows: number;
  readonly depth: number;
  /** The spatial sizes of x with its padding. */
  readonly framed: Shape;
  /** No padding. */
  readonly bare: boolean;
  /** Every window is one element: the windows of x are x. */
  readonly pointwise: boolean;
  /** Samples that are gone over together. */
  readonly together: number;
}

export function planOf(
  { attrs }: KernelCall,
  batch: number,
  channels: number,
  outputs: number,
): ConvolutionPlan {
  const shape = attrs as unknown as ConvolutionShape;
  const { groups, kernel, out, size, padding, stride } = shape;
  const inGroup = channels / groups;
  const windows = sizeOf(out);
  const depth = inGroup * sizeOf(kernel);
  const bare = padding.every(([before, after]) => before === 0 && after === 0);
  const one = channels * sizeOf(kernel) * windows;
  return {
    ...shape,
    batch,
    channels,
    outputs,
    inGroup,
    outGroup: outputs / groups,
    windows,
    depth,
    framed: size.map((n, i) => n + padding[i]![0] + padding[i]![1]),
    bare,
    pointwise: bare && [...kernel, ...stride].every((n) => n === 1),
    together: Math.max(1, Math.min(batch, Math.floor(elementsAtOnce / Math.max(one, 1)))),
  };
}

/** Calls `body` for each run of samples. */
export function eachRun(
  { batch, together }: ConvolutionPlan,
  body: (start: number, count: number) => void,
): void {
  for (let start = 0; start < batch; start += together) body(start, Math.min(together, batch - start));
}

/** Memory for the length of a call, as a row-major f32 tensor. */
export function withRoom<T>(engine: Engine, shape: Shape, body: (room: BufferView) => T): T {
  const buffer = engine.heap.allocate(sizeOf(shape) * bytes);
  try {
    return body({ buffer, dtype: 'f32', ...contiguousLayout(shape) });
  } finally {
    engine.heap.release(buffer.home);
  }
}

export function zero(engine: Engine, view: BufferView): void {
  const { buffer, dtype, offset, shape } = view;
  arrayOver(engine.heap, buffer as WasmBuffer, dtype).fill(0, offset, offset + sizeOf(shape));
}

/** The same elements of a row-major view under another shape. */
export const shaped = (view: BufferView, shape: Shape): BufferView => ({
  ...view,
  shape,
  strides: rowMajorStrides(shape),
});

/** Some samples of a view whose first axis is the batch. */
export const samples = (view: BufferView, start: number, count: number): BufferView => ({
  ...view,
  shape: view.shape.with(0, count),
  offset: view.offset + start * view.strides[0]!,
});

export const turned = (view: BufferView, axes: readonly number[]): BufferView => ({
  ...view,
  shape: axes.map((axis) => view.shape[axis]!),
  strides: axes.map((axis) => view.strides[axis]!),
});

/** The inside of a frame [..., ...framed]. */
export function inside(frame: BufferView, { size, padding }: ConvolutionPlan): BufferView {
  const lead = frame.shape.length - size.length;
  const shift = padding.reduce((at, [before], i) => at + before * frame.strides[lead + i]!, 0);
  return { ...frame, shape: [...frame.shape.slice(0, lead), ...size], offset: frame.offset + shift };
}

/** The product of matrices a and b into c, which is row-major. */
export function multiply(
  engine: Engine,
  call: KernelCall,
  a: BufferView,
  b: BufferView,
  c: BufferView,
): void {
  engine.gemm.run({ ...call, inputs: [a, b], output: c });
}

/** How the windows of a frame [planes, ...framed] are walked. */
export function frameSteps(
  engine: Engine,
  frame: BufferView,
  { framed, stride, dilation }: ConvolutionPlan,
): Steps {
  const strides = rowMajorStrides(framed);
  return {
    address: engine.address(frame),
    plane: sizeOf(framed) * bytes,
    kernel: strides.map((step, i) => step * dilation[i]! * bytes),
    windows: strides.map((step, i) => step * stride[i]! * bytes),
  };
}

/** How windows are walked that lie as [planes, ...kernel, ...out], with so many elements from a place of one to the next. */
export function columnSteps(address: number, { kernel, out }: ConvolutionPlan, line: number): Steps {
  return {
    address,
    plane: sizeOf(kernel) * line * bytes,
    kernel: rowMajorStrides(kernel).map((step) => step * line * bytes),
    windows: rowMajorStrides(out).map((step) => step * bytes),
  };
}

/**
 * Calls `body` for each run of samples with x in its frame of zeros, row-major [samples, channels, ...framed].
 * @param x of any layout
 */
export function eachFrame(
  engine: Engine,
  x: BufferView,
  plan: ConvolutionPlan,
  body: (frame: BufferView, start: number, count: number) => void,
): void {
  const { channels, framed, bare, together } = plan;
  if (bare)
    return engine.withRowMajor(x, (all) =>
      eachRun(plan, (start, count) => body(samples(all, start, count), start, count)),
    );
  withRoom(engine, [together, channels, ...framed], (room) => {
    zero(engine, room);
    eachRun(plan, (start, count) => {
      const frame = samples(room, 0, count);
      copyElements(engine, samples(x, start, count), inside(frame, plan));
      body(frame, start, count);
    });
  });
}
