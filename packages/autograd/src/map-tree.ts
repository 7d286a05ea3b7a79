/** Tensors alone, or in arrays and plain objects. */
import { GradientError, Tensor } from '@infinigrad/tensor';
import { isHolder, mapParts } from './trees.ts';

/** A tensor, or tensors in arrays and plain objects as deep as you like. */
export type Tree = Tensor | readonly Tree[] | { readonly [key: string]: Tree };

/**
 * A tree with each tensor replaced.
 * @throws GradientError where it holds anything else
 */
export function mapTree<T extends Tree>(tree: T, f: (x: Tensor) => Tensor): T {
  return mapTreeOf('mapTree', tree, f);
}

/** As `mapTree`; errors are those of `op`. */
export function mapTreeOf<T extends Tree>(op: string, tree: T, f: (x: Tensor) => Tensor): T {
  const walk = (at: unknown, path: string): unknown => {
    if (at instanceof Tensor) return f(at);
    if (!isHolder(at)) throw stray(op, at, path);
    return mapParts(at, path, walk);
  };
  return walk(tree, '') as T;
}

function stray(op: string, value: unknown, path: string): GradientError {
  const instance = typeof value === 'object' && value !== null;
  const what = instance ? `an instance of ${value.constructor.name}` : String(value);
  return new GradientError(
    op,
    `a tree holds tensors alone, got ${what}${path && ` at ${path.replace(/^\./, '')}`}`,
    {
      hint: instance
        ? 'hand it over as a further argument; functionalCall of @infinigrad/nn calls a module with tensors in place of its parameters'
        : 'hand numbers and options over as further arguments',
    },
  );
}
