/** Elements picked by an index tensor. */
import type { BufferView } from '../../backend.ts';
import { homeOf } from '../memory.ts';
import { affine, Source } from '../source.ts';
import { threadsOver } from '../threads.ts';
import { withIndex } from './indices.ts';
import type { GpuKernel } from './kernel.ts';

/** The index reads where it lies; the host has seen that it stays within bounds. */
const picking =
  (
    split: (indices: readonly string[], axis: number, rank: number) => { index: string[]; rest: string[] },
  ): GpuKernel =>
  (launcher, call) => {
    const { inputs, output, attrs } = call;
    const [x, index] = inputs as [BufferView, BufferView];
    const axis = attrs['axis'] as number;
    withIndex(launcher, call, x.shape[axis]!, () => {
      const source = new Source();
      const { grid, indices } = threadsOver(source, output.shape, launcher.device.limits);
      const from = split(indices, axis, index.shape.length);
      const [data, places] = [source.array(homeOf(x.buffer)), source.array(homeOf(index.buffer))];
      const at = source.value(`${places}[${affine(from.index, index.strides, source.offset(index.offset))}]`);
      const element = `${data}[${affine(from.rest.toSpliced(axis, 0, at), x.strides, source.offset(x.offset))}]`;
      return launcher.launchNow(homeOf(output.buffer), source.program(source.value(element), grid));
    });
  };

export const pickingKernels = {
  /** The index's axes stand in the place of the axis. */
  indexSelect: picking((indices, axis, rank) => ({
    index: indices.slice(axis, axis + rank),
    rest: [...indices.slice(0, axis), ...indices.slice(axis + rank)],
  })),
  gather: picking((indices, axis) => ({ index: [...indices], rest: indices.toSpliced(axis, 1) })),
} satisfies Record<string, GpuKernel>;
