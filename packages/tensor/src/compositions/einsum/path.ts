/** In which order einsum contracts its operands, two at a time, and what that costs. */

type Letters = readonly string[];
type Sizes = ReadonlyMap<string, number>;

/** Two terms, by their places in the list of those that are left, become one at the end of it. */
export interface PathStep {
  readonly pair: readonly [number, number];
  /** The letters of both and those that the result keeps. */
  readonly inputs: readonly [Letters, Letters];
  readonly output: Letters;
  readonly flops: number;
}

/** Up to so many operands, all orders are compared. */
const exhaustiveUpTo = 6;

export const productOf = (letters: Iterable<string>, sizes: Sizes): number => {
  let size = 1;
  for (const letter of letters) size *= sizes.get(letter)!;
  return size;
};

/** Letters of either, each once. */
const union = (a: Letters, b: Letters): string[] => [...new Set([...a, ...b])];

/** A product for each combination of letters, and a sum where letters go away. */
function flopsOf(all: Letters, kept: Letters, sizes: Sizes): number {
  return productOf(all, sizes) * (kept.length < all.length ? 2 : 1);
}

interface Tree {
  readonly letters: Letters;
  /** Of all contractions in it. */
  readonly flops: number;
  /** Elements of the largest result in it. */
  readonly largest: number;
  readonly made: readonly [Tree, Tree] | null;
}

function join(a: Tree, b: Tree, needed: (letter: string) => boolean, sizes: Sizes): Tree {
  const all = union(a.letters, b.letters);
  const letters = all.filter(needed);
  return {
    letters,
    flops: a.flops + b.flops + flopsOf(all, letters, sizes),
    largest: Math.max(a.largest, b.largest, productOf(letters, sizes)),
    made: [a, b],
  };
}

const cheaper = (a: Tree, b: Tree): boolean =>
  a.flops < b.flops || (a.flops === b.flops && a.largest < b.largest);

/** The best tree of every set of operands, small sets first: those of a set come from the best of its halves. */
function exhaustive(leaves: readonly Tree[], output: Letters, sizes: Sizes): Tree {
  const whole = 2 ** leaves.length - 1;
  const best = new Map<number, Tree>(leaves.map((leaf, i) => [1 << i, leaf]));
  for (let set = 1; set <= whole; set++) {
    if (best.has(set)) continue;
    const outside = new Set([
      ...output,
      ...leaves.flatMap(({ letters }, i) => ((set >> i) & 1 ? [] : letters)),
    ]);
    let found: Tree | undefined;
    // Each half once: the one that holds the lowest operand.
    for (let half = (set - 1) & set; half > 0; half = (half - 1) & set) {
      if (!(half & set & -set)) continue;
      const tree = join(best.get(half)!, best.get(set ^ half)!, (letter) => outside.has(letter), sizes);
      if (!found || cheaper(tree, found)) found = tree;
    }
    best.set(set, found!);
  }
  return best.get(whole)!;
}

/** Always the pair whose result takes least more memory than the two did; of several the one of fewest operations. */
function greedy(leaves: readonly Tree[], output: Letters, sizes: Sizes): Tree {
  let trees = [...leaves];
  while (trees.length > 1) {
    let best:
      | { readonly i: number; readonly j: number; readonly tree: Tree; readonly grows: number }
      | undefined;
    for (let i = 0; i < trees.length; i++)
      for (let j = i + 1; j < trees.length; j++) {
        const [a, b] = [trees[i]!, trees[j]!];
        const outside = new Set([
          ...output,
          ...trees.flatMap(({ letters }, k) => (k === i || k === j ? [] : letters)),
        ]);
        const tree = join(a, b, (letter) => outside.has(letter), sizes);
        const grows =
          productOf(tree.letters, sizes) - productOf(a.letters, sizes) - productOf(b.letters, sizes);
        const own = (of: Tree): number => of.flops - of.made!.reduce((sum, { flops }) => sum + flops, 0);
        if (!best || grows < best.grows || (grows === best.grows && own(tree) < own(best.tree)))
          best = { i, j, tree, grows };
      }
    const { i, j, tree } = best!;
    trees = [...trees.filter((_, k) => k !== i && k !== j), tree];
  }
  return trees[0]!;
}

/** The order of contraction: the cheapest of all for few operands, a greedy one for many. */
export function findPath(inputs: readonly Letters[], output: Letters, sizes: Sizes): PathStep[] {
  const leaves = inputs.map((letters): Tree => ({ letters, flops: 0, largest: 0, made: null }));
  const root = (inputs.length <= exhaustiveUpTo ? exhaustive : greedy)(leaves, output, sizes);
  const steps: PathStep[] = [];
  let left: Tree[] = [...leaves];
  const walk = (tree: Tree): void => {
    if (!tree.made) return;
    for (const part of tree.made) walk(part);
    const places = tree.made.map((part) => left.indexOf(part));
    const [i, j] = places.toSorted((a, b) => a - b) as [number, number];
    steps.push({
      pair: [i, j],
      inputs: [left[i]!.letters, left[j]!.letters],
      output: tree.letters,
      flops: tree.flops - tree.made[0].flops - tree.made[1].flops,
    });
    left = [...left.filter((_, k) => k !== i && k !== j), tree];
  };
  walk(root);
  return steps;
}
