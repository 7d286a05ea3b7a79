/**
 * Rearranging, reducing and repeating tensors by patterns that name their axes, after einops (Rogozhnikov, ICLR 2022): axes composed in
 * parentheses split and merge, `...` stands for further axes, `1` or `()` for an axis of size 1.
 */
import { apply } from '../../apply.ts';
import { ShapeError, ValueError } from '../../errors.ts';
import { sameShape, sizeOf } from '../../shape.ts';
import type { Tensor } from '../../tensor.ts';
import { bind, namesOf, parsePattern, shown, type Bound, type Pattern, type Sizes } from './pattern.ts';

/** How `reduce` makes one element of many: a reduction of the table, or a function of a tensor and of the axes to do away with. */
export type PatternReduction =
  | 'sum'
  | 'mean'
  | 'max'
  | 'min'
  | 'prod'
  | 'any'
  | 'all'
  | ((x: Tensor, axes: readonly number[]) => Tensor);

const reductions: readonly PatternReduction[] = ['sum', 'mean', 'max', 'min', 'prod', 'any', 'all'];

/** Tensors of one shape count as one tensor, along a new first axis. */
export type TensorOrTensors = Tensor | readonly Tensor[];

const patterns = new Map<string, Pattern>();
const patternLimit = 256;

function patternOf(op: string, text: string): Pattern {
  const known = patterns.get(text);
  if (known) return known;
  const pattern = parsePattern(op, text);
  if (patterns.size >= patternLimit) patterns.delete(patterns.keys().next().value!);
  patterns.set(text, pattern);
  return pattern;
}

function single(op: string, x: TensorOrTensors): Tensor {
  if (!Array.isArray(x)) return x as Tensor;
  const tensors = x as readonly Tensor[];
  if (tensors.length === 0) throw new ValueError(op, 'needs at least one tensor');
  for (const y of tensors)
    if (!sameShape(y.shape, tensors[0]!.shape))
      throw new ShapeError(op, 'tensors in a list must have one shape', { operands: tensors });
  return apply(
    'concat',
    tensors.map((y) => y.unsqueeze(0)),
    { axis: 0 },
  );
}

const quoted = (names: readonly string[]): string => names.map((name) => `'${shown(name)}'`).join(', ');

/** Refuses axes that are on one side of the pattern only. */
function oneSided(op: string, pattern: Pattern, side: 'left' | 'right'): void {
  const there = new Set(namesOf(pattern[side === 'left' ? 'right' : 'left']));
  const names = namesOf(pattern[side]).filter((name) => !there.has(name));
  if (names.length > 0)
    throw new ValueError(
      op,
      `${quoted(names)} ${names.length === 1 ? 'is' : 'are'} on the ${side} of '${pattern.text}' only`,
    );
}

/** Splits axes, does away with those that the right side lacks, moves the others, repeats along new ones, merges. */
function transform(
  x: Tensor,
  { left, right, sizes }: Bound,
  reduceOver: (x: Tensor, axes: number[]) => Tensor,
): Tensor {
  const size = (names: readonly string[]): number => sizeOf(names.map((name) => sizes.get(name)!));
  const [own, wanted] = [left.flat(), right.flat()];
  const split = x.reshape(own.map((name) => sizes.get(name)!));
  const gone = own.flatMap((name, axis) => (wanted.includes(name) ? [] : [axis]));
  const reduced = gone.length > 0 ? reduceOver(split, gone) : split;
  const kept = own.filter((name) => wanted.includes(name));
  const order = wanted.filter((name) => kept.includes(name));
  const moved = order.every((name, i) => name === kept[i])
    ? reduced
    : reduced.permute(order.map((name) => kept.indexOf(name)));
  const repeated =
    order.length === wanted.length
      ? moved
      : moved
          .reshape(wanted.map((name) => (kept.includes(name) ? sizes.get(name)! : 1)))
          .expand(wanted.map((name) => sizes.get(name)!));
  return repeated.reshape(right.map(size));
}

const nothing = (): never => {
  throw new Error('internal: nothing to reduce');
};

/**
 * A tensor with its axes split, moved and merged: `rearrange(x, 'b (h w) c -> b c h w', { h: 8 })`. A view wherever strides allow.
 * A list of tensors counts as one tensor, along a new first axis.
 * @throws ValueError where the pattern cannot be read, or sizes are missing
 * @throws ShapeError where the tensor does not fit the pattern
 */
export function rearrange(x: TensorOrTensors, pattern: string, sizes: Sizes = {}): Tensor {
  const op = 'rearrange';
  const parsed = patternOf(op, pattern);
  oneSided(op, parsed, 'left');
  oneSided(op, parsed, 'right');
  const one = single(op, x);
  const bound = bind(op, parsed, one, sizes);
  return transform(one, bound, nothing);
}

/**
 * As `rearrange`, and the axes that the right side lacks are reduced: `reduce(x, 'b (h 2) (w 2) c -> b h w c', 'max')`.
 * @throws ValueError where the pattern or the reduction cannot be read, or sizes are missing
 * @throws ShapeError where the tensor does not fit the pattern
 */
export function reduce(
  x: TensorOrTensors,
  pattern: string,
  reduction: PatternReduction,
  sizes: Sizes = {},
): Tensor {
  const op = 'reduce';
  const parsed = patternOf(op, pattern);
  oneSided(op, parsed, 'right');
  if (typeof reduction !== 'function' && !reductions.includes(reduction))
    throw new ValueError(op, `'${String(reduction)}' is no reduction`, {
      hint: `one of ${reductions.join(', ')}, or a function of a tensor and axes`,
    });
  const one = single(op, x);
  const bound = bind(op, parsed, one, sizes);
  return transform(one, bound, (y, axes) => {
    if (typeof reduction !== 'function') return y[reduction](axes);
    const result = reduction(y, axes);
    const shape = y.shape.filter((_, axis) => !axes.includes(axis));
    if (!sameShape(result.shape, shape))
      throw new ShapeError(op, `the reduction must leave the shape [${shape.join(', ')}]`, {
        operands: [y, result],
        hint: 'it gets the axes to do away with as its second argument',
      });
    return result;
  });
}

/**
 * As `rearrange`, and along the axes that the left side lacks the tensor repeats: `repeat(x, 'h w -> h w c', { c: 3 })` or
 * `repeat(x, 'h w -> (h 2) (w 2)')`. The method `x.repeat(counts)` is PyTorch's.
 * @throws ValueError where the pattern cannot be read, or sizes are missing
 * @throws ShapeError where the tensor does not fit the pattern
 */
export function repeat(x: TensorOrTensors, pattern: string, sizes: Sizes = {}): Tensor {
  const op = 'repeat';
  const parsed = patternOf(op, pattern);
  oneSided(op, parsed, 'left');
  const one = single(op, x);
  const bound = bind(op, parsed, one, sizes);
  const missing = bound.right.flat().filter((name) => !bound.sizes.has(name));
  if (missing.length > 0)
    throw new ValueError(op, `no size is given for ${quoted(missing)} in '${pattern}'`, {
      operands: [one],
      hint: `as in { ${missing[0]}: 2 }`,
    });
  return transform(one, bound, nothing);
}

export const einopsMethods = {
  /** Axes split, moved and merged by a pattern: see the function `rearrange`. */
  rearrange: (x: Tensor, pattern: string, sizes: Sizes = {}): Tensor => rearrange(x, pattern, sizes),

  /** Axes split, reduced, moved and merged by a pattern: see the function `reduce`. */
  reduce: (x: Tensor, pattern: string, reduction: PatternReduction, sizes: Sizes = {}): Tensor =>
    reduce(x, pattern, reduction, sizes),
};
