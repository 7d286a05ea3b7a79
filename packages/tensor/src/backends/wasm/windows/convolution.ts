/** Convolution as products of matrices: the weight with the windows of some samples at a time, copied out. */
import { sizeOf } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import type { Engine } from '../engine.ts';
import { runWindows } from './nest.ts';
import {
  columnSteps,
  eachFrame,
  frameSteps,
  multiply,
  planOf,
  samples,
  shaped,
  withRoom,
  zero,
} from './plan.ts';

export function convolution(engine: Engine, call: KernelCall): void {
  const { inputs, output } = call;
  const [x, w] = inputs as [BufferView, BufferView];
  if (sizeOf(output.shape) === 0) return;
  if (sizeOf(x.shape) === 0 || sizeOf(w.shape) === 0) return zero(engine, output);
  const plan = planOf(call, x.shape[0]!, x.shape[1]!, w.shape[0]!);
  const { groups, outGroup, inGroup, depth, windows, kernel, out, channels, together, pointwise } = plan;
  engine.withRowMajor(w, (weight) => {
    const left = shaped(weight, [groups, outGroup, depth]);
    const product = (columns: BufferView, start: number, count: number): void =>
      multiply(
        engine,
        call,
        left,
        shaped(columns, [count, groups, depth, windows]),
        shaped(samples(output, start, count), [count, groups, outGroup, windows]),
      );
    if (pointwise) return eachFrame(engine, x, { ...plan, together: plan.batch }, product);
    withRoom(engine, [together, groups, inGroup * sizeOf(kernel), windows], (columns) =>
      eachFrame(engine, x, plan, (frame, start, count) => {
        runWindows(engine, 'copy', 'f32', {
          planes: count * channels,
          kernel,
          windows: out,
          target: columnSteps(engine.address(columns), plan, windows),
          source: frameSteps(engine, frame, plan),
        });
        product(columns, start, count);
      }),
    );
  });
}
