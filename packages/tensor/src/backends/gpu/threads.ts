/** Threads over a row-major shape: as many axes of a grid as serve, and the index along each axis of the shape. */
import type { Limits } from './device.ts';
import type { Source } from './source.ts';

export interface Threads {
  readonly grid: readonly number[];
  /** One for each axis of the shape. */
  readonly indices: readonly string[];
}

const axes = ['this.thread.x', 'this.thread.y', 'this.thread.z'];
/** A grid of two or three axes runs in tiles of 8 × 8 threads. */
const tile = 8;

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** @param shape collapsed, so that its axes are few */
export function threadsOver(source: Source, shape: readonly number[], limits: Limits): Threads {
  const rank = shape.length;
  if (rank <= 1) return { grid: [product(shape)], indices: rank === 0 ? [] : [axes[0]!] };
  const [y, x] = shape.slice(-2) as [number, number];
  const lead = product(shape.slice(0, -2));
  const fits = x >= tile && y >= tile && [x, y, lead].every((n, i) => n <= limits.grid[i]!);
  if (!fits) return { grid: [product(shape)], indices: source.indices(axes[0]!, shape) };
  if (rank === 2) return { grid: [x, y], indices: [axes[1]!, axes[0]!] };
  return {
    grid: [x, y, lead],
    indices: [...source.indices(axes[2]!, shape.slice(0, -2)), axes[1]!, axes[0]!],
  };
}
