/** Whole matrices of derivatives, their rows or columns computed as one batch. */
import {
  concat,
  eye,
  GradientError,
  isFloat,
  scope,
  Tensor,
  ValueError,
  zerosLike,
} from '@infinigrad/tensor';
import { propagate } from '../backward.ts';
import { gradOf } from '../functional.ts';
import { sourceOf } from '../graph.ts';
import { mapTree, type Tree } from '../map-tree.ts';
import { evaluate } from '../variables.ts';
import { checkReturned, jvp, pushAlong } from './jvp.ts';
import { vmap } from './vmap.ts';

export interface HessianOptions {
  /** At most so many rows or columns at once: less memory, more calls. All unless told. */
  readonly chunkSize?: number;
}

export interface JacobianOptions extends HessianOptions {
  /**
   * `reverse`: a row for each element of the result, pulled back. `forward`: a column for each element of the arguments, pushed
   * forward. Default: whichever are fewer; the function is then evaluated once to learn the shape of its result.
   */
  readonly mode?: 'reverse' | 'forward';
}

/** For each tensor of the result, derivatives in the form of the argument. */
export type JacobianOf<Y extends Tree, X extends Tree> = Y extends Tensor
  ? X
  : { readonly [K in keyof Y]: Y[K] extends Tree ? JacobianOf<Y[K], X> : never };

const leavesOf = (tree: Tree): Tensor[] => {
  const leaves: Tensor[] = [];
  mapTree(tree, (x) => (leaves.push(x), x));
  return leaves;
};

/** A tree with something in the place of each tensor. */
function fill(tree: Tree, of: (x: Tensor, index: number) => unknown): unknown {
  let index = 0;
  const walk = (at: Tree): unknown => {
    if (at instanceof Tensor) return of(at, index++);
    if (Array.isArray(at)) return at.map(walk);
    return Object.fromEntries(Object.entries(at).map(([key, part]) => [key, walk(part as Tree)]));
  };
  return walk(tree);
}

const sizeOfAll = (tensors: readonly Tensor[]): number =>
  tensors.reduce((size, x) => size + (isFloat(x.dtype) ? x.size : 0), 0);

/** Calls `f` with the unit tensors of a shape, as a batch or in chunks of it; the results joined along the batch. */
function overBasis(x: Tensor, chunkSize: number, f: (units: Tensor) => Tensor[]): Tensor[] {
  const n = x.size;
  const { dtype, backend } = x;
  const identity = eye(n, n, { dtype: dtype === 'f64' ? dtype : 'f32', backend });
  const units = (identity.dtype === dtype ? identity : identity.cast(dtype)).reshape([n, ...x.shape]);
  const chunks: Tensor[][] = [];
  for (let start = 0; start < n; start += chunkSize)
    chunks.push(f(units.narrow(0, start, Math.min(chunkSize, n - start))));
  const [first] = chunks;
  if (!first) return f(units);
  return chunks.length === 1
    ? first
    : first.map((_, i) =>
        concat(
          chunks.map((chunk) => chunk[i]!),
          0,
        ),
      );
}

function checkChunkSize(op: string, { chunkSize = Infinity }: HessianOptions): number {
  if (!(chunkSize >= 1) || (Number.isFinite(chunkSize) && !Number.isInteger(chunkSize)))
    throw new ValueError(op, `chunkSize must be an integer ≥ 1, got ${chunkSize}`);
  return chunkSize;
}

/** Derivatives by tensor of the result, then by tensor of the argument: [...result, ...argument]. */
type Blocks = Tensor[][];

function backward(
  outputs: readonly Tensor[],
  variables: readonly Tensor[],
  chunkSize: number,
  createGraph: boolean,
): Blocks {
  const targets = variables.map((x) => (isFloat(x.dtype) ? sourceOf(x) : null));
  return outputs.map((y) => {
    if (!isFloat(y.dtype))
      return variables.map((x) => block(zerosLike(x).expand([...y.shape, ...x.shape]), y, x));
    const pull = (u: Tensor): Tensor[] => {
      const gradients = propagate(
        [y],
        [u],
        targets.filter((t) => t !== null),
        { createGraph, retainGraph: true },
      );
      return variables.map((x, i) => (targets[i] && gradients.get(targets[i])) ?? zerosLike(x));
    };
    const rows = overBasis(y, chunkSize, (units) => vmap(pull)(units) as Tensor[]);
    return rows.map((row, i) => block(row, y, variables[i]!));
  });
}

function forward(
  f: (x: Tree) => Tree,
  x: Tree,
  chunkSize: number,
): { readonly value: Tree; readonly blocks: Blocks } {
  const leaves = leavesOf(x);
  let value: Tree | null = null;
  const columns = leaves.map((leaf, k) => {
    if (!isFloat(leaf.dtype)) return null;
    const push = (t: Tensor): Tensor[] => {
      const handle = leaf.reshape(leaf.shape);
      const at = fill(x, (other, i) => (i === k ? handle : other)) as Tree;
      const { value: y, tangent } = pushAlong(f, [at] as const, new Map([[handle, t]]));
      value ??= y;
      return leavesOf(tangent);
    };
    return overBasis(leaf, chunkSize, (units) => vmap(push)(units) as Tensor[]);
  });
  const outputs = leavesOf(value!);
  return {
    value: value!,
    blocks: outputs.map((y, i) =>
      leaves.map((leaf, k) => {
        const column = columns[k]?.[i];
        if (!column) return block(zerosLike(leaf).expand([...y.shape, ...leaf.shape]), y, leaf);
        return block(column.reshape([leaf.size, y.size]).transpose(), y, leaf);
      }),
    ),
  };
}

const block = (derivative: Tensor, y: Tensor, x: Tensor): Tensor =>
  derivative.reshape([...y.shape, ...x.shape]);

function arranged(value: Tree, x: Tree, blocks: Blocks): unknown {
  return fill(value, (_, i) => fill(x, (__, k) => blocks[i]![k]));
}

/**
 * A function that returns the Jacobian of `f` with respect to its first argument: for a tensor from a tensor a tensor of shape
 * [...result, ...argument]; for trees of tensors a tree like the result, with a tree like the argument in the place of
 * each tensor. All rows, or columns, are computed as one batch (`vmap`), unless `chunkSize` says fewer.
 *
 * A scope, as `grad`. Differentiable where `grad` would be.
 * @throws GradientError where `f` does not return tensors or no argument is of floating point, ValueError for other chunk sizes than
 * integers ≥ 1
 */
export function jacobian<X extends Tree, Y extends Tree, Rest extends readonly unknown[]>(
  f: (x: X, ...rest: Rest) => Y,
  options: JacobianOptions = {},
): (x: X, ...rest: Rest) => JacobianOf<Y, X> {
  const chunkSize = checkChunkSize('jacobian', options);
  const { mode } = options;
  if (mode !== undefined && mode !== 'reverse' && mode !== 'forward')
    throw new ValueError('jacobian', `mode must be 'reverse' or 'forward', got '${String(mode)}'`);
  return (x, ...rest) =>
    scope(() => {
      if (!leavesOf(x).some(({ dtype }) => isFloat(dtype)))
        throw new GradientError('jacobian', 'no argument is a floating-point tensor');
      const g = (y: X): Y => {
        const value = f(y, ...rest);
        checkReturned('jacobian', value);
        return value;
      };
      if (mode !== 'forward') {
        const { value, fresh, nested } = evaluate('jacobian', g, [x]);
        const [outputs, variables] = [leavesOf(value), leavesOf(fresh[0])];
        if (mode === 'reverse' || sizeOfAll(outputs) < sizeOfAll(variables))
          return arranged(value, x, backward(outputs, variables, chunkSize, nested)) as JacobianOf<Y, X>;
      }
      const { value, blocks } = forward((y) => g(y as X), x, chunkSize);
      return arranged(value, x, blocks) as JacobianOf<Y, X>;
    });
}

/**
 * A function that returns the second derivatives of `f`, which returns a single number, with respect to its first argument: for
 * a tensor a tensor of shape [...argument, ...argument]; for a tree of tensors a tree of trees. Forward over reverse: the
 * gradient, pushed forward along all directions as one batch.
 * @throws as `grad` and `jacobian`
 */
export function hessian<X extends Tree, Rest extends readonly unknown[]>(
  f: (x: X, ...rest: Rest) => Tensor,
  options: HessianOptions = {},
): (x: X, ...rest: Rest) => JacobianOf<X, X> {
  checkChunkSize('hessian', options);
  return jacobian(gradOf('hessian', f), { ...options, mode: 'forward' });
}

/**
 * The Hessian of `f`, which returns a single number, times a vector, without the Hessian: the gradient pushed forward along
 * `v`, which has the form of `x`. Costs a few times what the gradient costs.
 * @throws as `grad` and `jvp`
 */
export function hvp<X extends Tree>(f: (x: X) => Tensor, x: X, v: NoInfer<X>): X {
  return scope(() => jvp(gradOf('hvp', f), [x], [v]).tangent);
}
