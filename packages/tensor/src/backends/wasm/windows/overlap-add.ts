/** Windows added back in at their places: see ops/windows.ts. */
import { bytesPerElement } from '../../../dtype.ts';
import { sizeOf, type Layout } from '../../../shape.ts';
import type { KernelCall } from '../../backend.ts';
import { collapse } from '../../js/print.ts';
import { eachOuter } from '../chunks.ts';
import type { Engine } from '../engine.ts';
import { arrayOver } from '../fallback.ts';
import type { WasmBuffer } from '../heap.ts';
import { runWindows, type Float } from './nest.ts';

/** In f32 and f64. */
export function overlapAdd(engine: Engine, { inputs, output, attrs }: KernelCall): boolean {
  if (output.dtype !== 'f32' && output.dtype !== 'f64') return false;
  const dtype: Float = output.dtype;
  const x = inputs[0]!;
  const size = sizeOf(output.shape);
  arrayOver(engine.heap, output.buffer as WasmBuffer, dtype).fill(0, output.offset, output.offset + size);
  if (sizeOf(x.shape) === 0) return true;
  const { axes, steps, dilations } = attrs as unknown as Record<string, readonly number[]>;
  const rank = output.shape.length;
  const bytes = bytesPerElement(dtype);
  // Innermost the axis along which the output lies side by side.
  const order = axes!.map((_, i) => i).sort((i, j) => axes![i]! - axes![j]!);
  const along = <T>(f: (i: number, axis: number) => T): T[] => order.map((i) => f(i, axes![i]!));
  const others = (layout: Layout): Layout => {
    const kept = output.shape.map((_, axis) => axis).filter((axis) => !axes!.includes(axis));
    return {
      shape: kept.map((axis) => layout.shape[axis]!),
      strides: kept.map((axis) => layout.strides[axis]!),
      offset: 0,
    };
  };
  const { sizes, strides } = collapse([others(output), others(x)]);
  const [toPlane, fromPlane] = strides.map((list) => (list.at(-1) ?? 0) * bytes) as [number, number];
  const outer = strides.map((list) => list.slice(0, -1).map((step) => step * bytes));
  const starts = [engine.address(output), engine.address(x)];
  eachOuter(sizes.slice(0, -1), outer, starts, ([to, from]) =>
    runWindows(engine, 'add', dtype, {
      planes: sizes.at(-1) ?? 1,
      kernel: along((i) => x.shape[rank + i]!),
      windows: along((_, axis) => x.shape[axis]!),
      target: {
        address: to!,
        plane: toPlane,
        kernel: along((i, axis) => output.strides[axis]! * dilations![i]! * bytes),
        windows: along((i, axis) => output.strides[axis]! * steps![i]! * bytes),
      },
      source: {
        address: from!,
        plane: fromPlane,
        kernel: along((i) => x.strides[rank + i]! * bytes),
        windows: along((_, axis) => x.strides[axis]! * bytes),
      },
    }),
  );
  return true;
}
