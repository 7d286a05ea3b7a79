/** A graph as text. */
import type { Tree } from '../map-tree.ts';
import { itemsOf, typeText, type GraphOptions } from './walk.ts';

/**
 * The graph behind a result, a line for each leaf and call, inputs before what is made of them; what is used twice stands
 * once. Inputs without a gradient are shown by shape and dtype alone.
 *
 * ```ts
 * graphText(x.mul(w).sum(), { names: { x, w } });
 * // x: [2, 3] f32
 * // w: [3] f32
 * // %0 = mul(x, w): [2, 3] f32
 * // %1 = sum(%0) axes: [0, 1], keepDims: false: [] f32
 * ```
 * @param y a tensor, or several in arrays and plain objects
 * @throws GradientError where there is no graph; ValueError for more nodes than `limit`
 */
export function graphText(y: Tree, options: GraphOptions = {}): string {
  const items = itemsOf('graphText', y, options);
  const called: string[] = [];
  let unnamed = 0;
  const lines = items.flatMap((item, i) => {
    const type = typeText(item);
    called[i] = item.kind === 'constant' ? type : (item.name ?? `%${unnamed++}`);
    if (item.kind === 'constant') return [];
    if (item.kind === 'leaf') return [`${called[i]}: ${type}`];
    const inputs = item.inputs.map((k) => called[k]).join(', ');
    return [`${called[i]} = ${item.op}(${inputs})${item.attrs && ` ${item.attrs}`}: ${type}`];
  });
  return lines.join('\n');
}
