/** Kernels with a thread for each element of a shape, each of which can read the lines of views that it lies in. */
import { contiguousLayout, type Layout } from '../../../shape.ts';
import type { BufferView } from '../../backend.ts';
import { collapse } from '../../js/print.ts';
import { isNumber } from '../functions/index.ts';
import type { Launcher } from '../launcher.ts';
import { homeOf } from '../memory.ts';
import { affine, Source } from '../source.ts';
import { threadsOver } from '../threads.ts';

/** In an order in which a NaN counts as largest. */
export const less = (a: string, b: string): string => `(${a} < ${b} || (${isNumber(a)} && !${isNumber(b)}))`;

export interface Lines {
  readonly source: Source;
  readonly grid: readonly number[];
  /** Reads the element at a place along the line, one function for each view. */
  readonly at: readonly ((i: string) => string)[];
  /** The thread's own place along the line. */
  readonly here: string;
}

/** @param views of the shape but for their extent along the axis */
export function overLines(
  launcher: Launcher,
  shape: readonly number[],
  axis: number,
  views: readonly BufferView[],
): Lines {
  const source = new Source();
  const outside = views.map((x): Layout => ({ shape, strides: x.strides.with(axis, 0), offset: 0 }));
  const along: Layout = { shape, strides: shape.map((_, i) => Number(i === axis)), offset: 0 };
  const { sizes, strides } = collapse([contiguousLayout(shape), along, ...outside]);
  const { grid, indices } = threadsOver(source, sizes, launcher.device.limits);
  const here = source.value(affine(indices, strides[1]!));
  const at = views.map((x, k) => {
    const array = source.array(homeOf(x.buffer));
    const start = source.value(affine(indices, strides[k + 2]!, source.offset(x.offset)));
    return (i: string): string => `${array}[${affine([start, i], [1, x.strides[axis]!])}]`;
  });
  return { source, grid, at, here };
}
