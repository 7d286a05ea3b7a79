/** Shapes, strides and broadcasting: plain arithmetic on arrays of sizes. */
import { describeValue, IndexError, ShapeError, ValueError, type OperandInfo } from './errors.ts';

export type Shape = readonly number[];

/** Where the elements of a tensor lie in its buffer, in elements (not bytes). */
export interface Layout {
  readonly shape: Shape;
  readonly strides: readonly number[];
  readonly offset: number;
}

export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const n of shape) size *= n;
  return size;
}

/** Strides of a row-major, gap-free tensor. */
export function rowMajorStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  for (let i = shape.length - 1, step = 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i]!;
  }
  return strides;
}

export function contiguousLayout(shape: Shape): Layout {
  return { shape, strides: rowMajorStrides(shape), offset: 0 };
}

/** True where the elements lie row-major and without gaps (the offset may be anything). */
export function isContiguous({ shape, strides }: Layout): boolean {
  for (let i = shape.length - 1, step = 1; i >= 0; i--) {
    const n = shape[i]!;
    if (n === 0) return true;
    if (n !== 1 && strides[i] !== step) return false;
    step *= n;
  }
  return true;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

export function checkShape(op: string, shape: Shape): void {
  if (!Array.isArray(shape))
    throw new ShapeError(op, `a shape is an array of sizes, not ${describeValue(shape)}`, {
      hint: 'as in [2, 3]',
    });
  for (const n of shape)
    if (!Number.isInteger(n) || n < 0)
      throw new ShapeError(op, `sizes must be integers ≥ 0, got [${shape.join(', ')}]`);
}

/** Throws a ValueError unless an argument is an array, as its type says. */
export function checkArray(op: string, what: string, value: unknown, operand?: OperandInfo): void {
  if (!Array.isArray(value))
    throw new ValueError(op, `${what} must come in an array, not as ${describeValue(value)}`, {
      ...(operand && { operands: [operand] }),
    });
}

/** An axis counted from either end, as a number in 0 … rank - 1. */
export function normalizeAxis(op: string, axis: number, operand: OperandInfo): number {
  const rank = operand.shape.length;
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(at) || at < 0 || at >= rank)
    throw new IndexError(
      op,
      `axis ${typeof axis === 'object' ? describeValue(axis) : axis} is out of range for rank ${rank}`,
      {
        operands: [operand],
        ...(rank > 0 && { hint: `axes run from ${-rank} to ${rank - 1}` }),
      },
    );
  return at;
}

/** Axes in ascending order without repeats; all of them when none are named. */
export function normalizeAxes(
  op: string,
  axes: number | readonly number[] | undefined,
  operand: OperandInfo,
): number[] {
  if (axes === undefined) return operand.shape.map((_, i) => i);
  if (typeof axes !== 'number') checkArray(op, 'axes', axes, operand);
  const list = (typeof axes === 'number' ? [axes] : axes).map((axis) => normalizeAxis(op, axis, operand));
  if (new Set(list).size !== list.length)
    throw new ValueError(op, `axes [${[axes].flat().join(', ')}] name one axis twice`, {
      operands: [operand],
    });
  return list.sort((a, b) => a - b);
}

/** The shape in which all operands meet: sizes aligned at the right, 1 stretches to any size. */
export function broadcastShapes(op: string, operands: readonly OperandInfo[]): number[] {
  let rank = 0;
  for (const { shape } of operands) rank = Math.max(rank, shape.length);
  const out = new Array<number>(rank).fill(1);
  for (const { shape } of operands)
    for (let i = 0; i < shape.length; i++) {
      const at = rank - shape.length + i;
      const n = shape[i]!;
      if (out[at] === 1) out[at] = n;
      else if (n !== 1 && n !== out[at])
        throw new ShapeError(
          op,
          `shapes do not broadcast (sizes ${out[at]} and ${n} meet at axis ${at - rank})`,
          {
            operands,
            hint: 'aligned at the right, sizes must be equal or 1',
          },
        );
    }
  return out;
}

/** The layout of a tensor stretched to a broader shape: new and stretched axes get stride 0. */
export function broadcastLayout(layout: Layout, shape: Shape): Layout {
  if (sameShape(layout.shape, shape)) return layout;
  const lead = shape.length - layout.shape.length;
  const strides = shape.map((n, i) =>
    i < lead || (layout.shape[i - lead] === 1 && n !== 1) ? 0 : layout.strides[i - lead]!,
  );
  return { shape, strides, offset: layout.offset };
}

/** The shape left by a reduction over `axes` (ascending). */
export function reducedShape(shape: Shape, axes: readonly number[], keepDims: boolean): number[] {
  return keepDims
    ? shape.map((n, i) => (axes.includes(i) ? 1 : n))
    : shape.filter((_, i) => !axes.includes(i));
}

/** The strides under which a strided tensor reads as `shape` without moving, or null where it must be copied. */
export function reshapeLayout(layout: Layout, shape: Shape): Layout | null {
  const { offset } = layout;
  if (sizeOf(shape) === 0 || isContiguous(layout)) return { shape, strides: rowMajorStrides(shape), offset };
  // Match runs of old axes with runs of new axes of equal product; inside an old run the axes must be adjacent.
  const oldShape: number[] = [];
  const oldStrides: number[] = [];
  layout.shape.forEach((n, i) => {
    if (n === 1) return;
    oldShape.push(n);
    oldStrides.push(layout.strides[i]!);
  });
  const strides = new Array<number>(shape.length);
  let o = 0;
  let i = 0;
  while (i < shape.length) {
    if (shape[i] === 1) {
      strides[i++] = 0;
      continue;
    }
    let oldEnd = o + 1;
    let newEnd = i + 1;
    let oldSize = oldShape[o]!;
    let newSize = shape[i]!;
    while (oldSize !== newSize) {
      if (oldSize < newSize) oldSize *= oldShape[oldEnd++]!;
      else newSize *= shape[newEnd++]!;
    }
    for (let k = o; k < oldEnd - 1; k++)
      if (oldStrides[k] !== oldShape[k + 1]! * oldStrides[k + 1]!) return null;
    let step = oldStrides[oldEnd - 1]!;
    for (let k = newEnd - 1; k >= i; k--) {
      strides[k] = step;
      step *= shape[k]!;
    }
    o = oldEnd;
    i = newEnd;
  }
  return { shape, strides, offset };
}
