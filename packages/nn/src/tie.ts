/** Parameters that stand in several places of a module. */
import { sameShape, ShapeError, DTypeError, ValueError } from '@infinigrad/tensor';
import { survey, type TreeNode } from './tree.ts';

/**
 * Makes parameters of a module one: `tie(model, 'embedding.weight', 'head.weight')`. The first keeps its values and takes the place
 * of the others wherever they stand; it counts, is saved and is updated once, under the name of its first place. Tie before an
 * optimizer is made.
 * @returns the names that it now has, the first one first
 * @throws ValueError for names of no parameter, ShapeError or DTypeError where they are not alike; nothing is changed then
 */
export function tie(module: TreeNode, first: string, ...others: readonly string[]): string[] {
  const { leaves } = survey(module);
  const byName = new Map([...leaves.values()].flatMap((leaf) => leaf.places.map(({ name }) => [name, leaf])));
  const find = (name: string) => {
    const leaf = byName.get(name);
    if (leaf?.kind !== 'parameter')
      throw new ValueError('tie', `there is no parameter ${name}`, {
        hint: 'names are those of namedParameters()',
      });
    return leaf;
  };
  if (others.length === 0) throw new ValueError('tie', 'needs the names of two parameters or more');
  const kept = find(first);
  const given = others.map(find);
  for (const { tensor } of given) {
    const operands = [kept.tensor, tensor];
    if (!sameShape(kept.tensor.shape, tensor.shape))
      throw new ShapeError('tie', 'the parameters differ in shape', { operands });
    if (kept.tensor.dtype !== tensor.dtype)
      throw new DTypeError('tie', 'the parameters differ in dtype', { operands });
  }
  for (const { places } of given) for (const { holder, key } of places) holder[key] = kept.tensor;
  return [...survey(module).leaves.values()]
    .find(({ tensor }) => tensor === kept.tensor)!
    .places.map(({ name }) => name);
}

/** The parameters and buffers that stand in several places: all their names, the first one first. */
export function tiedNames(module: TreeNode): string[][] {
  return [...survey(module).leaves.values()]
    .filter(({ places }) => places.length > 1)
    .map(({ places }) => places.map(({ name }) => name));
}
