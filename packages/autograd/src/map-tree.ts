/** Tensors alone, or in arrays and plain objects. */
import { GradientError, Tensor } from '@infinigrad/tensor';

/** A tensor, or tensors in arrays and plain objects as deep as you like. */
export type Tree = Tensor | readonly Tree[] | { readonly [key: string]: Tree };

/** A tree with each tensor replaced. */
export function mapTree<T extends Tree>(tree: T, f: (x: Tensor) => Tensor): T {
  if (tree instanceof Tensor) return f(tree) as T;
  if (Array.isArray(tree)) return tree.map((part: Tree) => mapTree(part, f)) as unknown as T;
  if (typeof tree !== 'object' || tree === null)
    throw new GradientError('mapTree', `a tree holds tensors alone, got ${String(tree)}`, {
      hint: 'hand numbers and options over as further arguments',
    });
  return Object.fromEntries(Object.entries(tree).map(([key, part]) => [key, mapTree(part as Tree, f)])) as T;
}
