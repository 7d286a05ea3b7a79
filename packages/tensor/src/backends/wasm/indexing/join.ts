/** Kernels that put tensors into larger ones: all copies of whole views. */
import type { KernelCall } from '../../backend.ts';
import { window } from '../../js/kernels/walk.ts';
import type { Engine } from '../engine.ts';
import { copyElements } from './copy.ts';
import { fillAround, fillElements } from './fill.ts';

export function concat(engine: Engine, { inputs, output, attrs }: KernelCall): boolean {
  const axis = attrs['axis'] as number;
  let start = 0;
  for (const x of inputs) {
    const length = x.shape[axis]!;
    copyElements(engine, x, window(output, axis, start, length));
    start += length;
  }
  return true;
}

export function pad(engine: Engine, { inputs, output, attrs }: KernelCall): boolean {
  const x = inputs[0]!;
  const starts = (attrs['widths'] as readonly (readonly [number, number])[]).map(([before]) => before);
  place(engine, x, output, starts, attrs['value'] as number);
  return true;
}

export function unslice(engine: Engine, { inputs, output, attrs }: KernelCall): boolean {
  const starts = attrs['starts'] as readonly number[];
  const steps = attrs['steps'] as readonly number[];
  const x = inputs[0]!;
  // Along an axis of one element any step is as good as another.
  if (steps.every((step, axis) => step === 1 || x.shape[axis] === 1)) {
    place(engine, x, output, starts, 0);
    return true;
  }
  fillElements(engine, output, 0);
  copyElements(engine, x, sliced(output, x.shape, starts, steps));
  return true;
}

export function sliceScatter(engine: Engine, { inputs, output, attrs }: KernelCall): boolean {
  const [x, source] = inputs as [KernelCall['output'], KernelCall['output']];
  copyElements(engine, x, output);
  const { starts, steps } = attrs as unknown as { starts: readonly number[]; steps: readonly number[] };
  if (!source.shape.includes(0)) copyElements(engine, source, sliced(output, source.shape, starts, steps));
  return true;
}

/** The part of a view from `starts` on in steps. */
function sliced(
  view: KernelCall['output'],
  shape: readonly number[],
  starts: readonly number[],
  steps: readonly number[],
): KernelCall['output'] {
  return {
    ...view,
    shape,
    strides: view.strides.map((stride, axis) => stride * steps[axis]!),
    offset: view.strides.reduce((at, stride, axis) => at + stride * starts[axis]!, view.offset),
  };
}

/** x from `starts` on, and the value around it. */
function place(
  engine: Engine,
  x: KernelCall['output'],
  output: KernelCall['output'],
  starts: readonly number[],
  value: number,
): void {
  // Nothing of x may leave its place nowhere.
  if (x.shape.includes(0)) return fillElements(engine, output, value);
  fillAround(engine, output, starts, x.shape, value);
  copyElements(
    engine,
    x,
    starts.reduce((view, start, axis) => window(view, axis, start, x.shape[axis]!), output),
  );
}
