/** The transposes of convolution, with respect to its input and to its weight, as products of matrices. */
import { rowMajorStrides, sizeOf } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import type { Engine } from '../engine.ts';
import { copyElements } from '../indexing/copy.ts';
import { runWindows } from './nest.ts';
import {
  bytes,
  columnSteps,
  eachFrame,
  eachRun,
  frameSteps,
  inside,
  multiply,
  planOf,
  samples,
  shaped,
  turned,
  withRoom,
  zero,
} from './plan.ts';

/** Windows are products of the transposed weight with y; they are added into the result, or into a frame around it. */
export function convolutionTranspose(engine: Engine, call: KernelCall): void {
  const { inputs, output } = call;
  const [y, w] = inputs as [BufferView, BufferView];
  if (sizeOf(output.shape) === 0) return;
  if (sizeOf(y.shape) === 0 || sizeOf(w.shape) === 0) return zero(engine, output);
  const plan = planOf(call, y.shape[0]!, output.shape[1]!, w.shape[0]!);
  const { groups, outGroup, depth, windows, kernel, out, channels, framed, together, pointwise, bare } = plan;
  engine.withRowMajor(w, (weight) =>
    engine.withRowMajor(y, (all) => {
      const left = turned(shaped(weight, [groups, outGroup, depth]), [0, 2, 1]);
      const product = (columns: BufferView, start: number, count: number): void =>
        multiply(
          engine,
          call,
          left,
          shaped(samples(all, start, count), [count, groups, outGroup, windows]),
          shaped(columns, [count, groups, depth, windows]),
        );
      if (pointwise) return product(output, 0, plan.batch);
      const added = (columns: BufferView, frame: BufferView, start: number, count: number): void => {
        product(samples(columns, 0, count), start, count);
        zero(engine, frame);
        runWindows(engine, 'add', 'f32', {
          planes: count * channels,
          kernel,
          windows: out,
          target: frameSteps(engine, frame, plan),
          source: columnSteps(engine.address(columns), plan, windows),
        });
      };
      withRoom(engine, [together, channels * sizeOf(kernel) * windows], (columns) => {
        if (bare)
          return eachRun(plan, (start, count) => added(columns, samples(output, start, count), start, count));
        withRoom(engine, [together, channels, ...framed], (room) =>
          eachRun(plan, (start, count) => {
            const frame = samples(room, 0, count);
            added(columns, frame, start, count);
            copyElements(engine, inside(frame, plan), samples(output, start, count));
          }),
        );
      });
    }),
  );
}

/** y times the windows of x, transposed, summed over samples: those gone over together lie side by side. */
export function convolutionWeight(engine: Engine, call: KernelCall): void {
  const { inputs, output } = call;
  const [x, y] = inputs as [BufferView, BufferView];
  if (sizeOf(output.shape) === 0) return;
  if (sizeOf(x.shape) === 0 || sizeOf(y.shape) === 0) return zero(engine, output);
  const plan = planOf(call, x.shape[0]!, x.shape[1]!, y.shape[1]!);
  const { groups, outGroup, depth, windows, kernel, out, channels, outputs, together, batch } = plan;
  const inRoom = { columns: channels * sizeOf(kernel) * windows, ys: outputs * windows };
  withRoom(engine, [together, inRoom.columns + inRoom.ys], (room) =>
    withRoom(engine, together < batch ? [outputs, sizeOf(output.shape) / outputs] : [0], (part) =>
      eachFrame(engine, x, plan, (frame, start, count) => {
        const line = count * windows;
        const columns = { ...room, ...rowMajor([groups, depth, line], room.offset) };
        const ys = { ...room, ...rowMajor([outputs, count, ...out], room.offset + count * inRoom.columns) };
        for (let i = 0; i < count; i++)
          runWindows(engine, 'copy', 'f32', {
            planes: channels,
            kernel,
            windows: out,
            target: columnSteps(engine.address(columns) + i * windows * bytes, plan, line),
            source: frameSteps(engine, samples(frame, i, 1), plan),
          });
        const order = y.shape.map((_, axis) => (axis < 2 ? 1 - axis : axis));
        copyElements(engine, turned(samples(y, start, count), order), ys);
        const target = start === 0 ? output : part;
        multiply(
          engine,
          call,
          shaped(ys, [groups, outGroup, line]),
          turned(columns, [0, 2, 1]),
          shaped(target, [groups, outGroup, depth]),
        );
        if (start > 0) addUp(engine, part, output);
      }),
    ),
  );
}

const rowMajor = (
  shape: readonly number[],
  offset: number,
): Pick<BufferView, 'shape' | 'strides' | 'offset'> => ({
  shape,
  strides: rowMajorStrides(shape),
  offset,
});

/** Adds a row-major f32 tensor to another. */
function addUp(engine: Engine, from: BufferView, to: BufferView): void {
  const [planes, columns] = [to.shape[0]!, sizeOf(to.shape.slice(1))];
  const steps = { plane: columns * bytes, kernel: [0, 0], windows: [0, bytes] };
  runWindows(engine, 'add', 'f32', {
    planes,
    kernel: [1, 1],
    windows: [1, columns],
    target: { address: engine.address(to), ...steps },
    source: { address: engine.address(from), ...steps },
  });
}
