/** A graph as a list, for printing. */
import { GradientError, Tensor, ValueError, type DType, type Shape } from '@infinigrad/tensor';
import { reachable } from '../backward.ts';
import { Node, Part, sourceOf, type Source } from '../graph.ts';
import { tensorsIn } from '../trees.ts';

export interface GraphOptions {
  /** What to call tensors: `{ w, b }` names them as your variables are named. */
  readonly names?: Readonly<Record<string, Tensor>>;
  /** Larger graphs are refused. Default 500 nodes. */
  readonly limit?: number;
}

/** A leaf, a constant, or the result of a call. */
export interface Item {
  readonly kind: 'leaf' | 'constant' | 'call';
  /** The op, for a call. */
  readonly op: string;
  /** The user's name, if there is one. */
  readonly name: string | null;
  readonly shape: Shape;
  readonly dtype: DType;
  /** Attributes as text, or ''. */
  readonly attrs: string;
  /** Which items it is made of. */
  readonly inputs: readonly number[];
  /** How many calls lie below it at most. */
  readonly depth: number;
}

const attrText = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(attrText).join(', ')}]`;
  return String(value);
};

/**
 * What a result is made of, inputs before what is made of them.
 * @throws GradientError where there is no graph; ValueError for more items than the limit
 */
export function itemsOf(op: string, y: unknown, { names = {}, limit = 500 }: GraphOptions): Item[] {
  const roots = tensorsIn(y).flatMap((x) => sourceOf(x) ?? []);
  if (roots.length === 0)
    throw new GradientError(op, 'there is no graph behind it', {
      operands: tensorsIn(y),
      hint: 'make it of a tensor that requires a gradient, outside noGrad',
    });
  const named = new Map<Source, string>();
  for (const [name, x] of Object.entries(names)) {
    const source = x instanceof Tensor ? sourceOf(x) : null;
    if (source && !named.has(source)) named.set(source, name);
  }
  const items: Item[] = [];
  const places = new Map<Source, number>();
  const put = (item: Item): number => {
    if (items.length === limit)
      throw new ValueError(op, `the graph has more than ${limit} nodes`, {
        hint: 'print a smaller part, of one layer say, or raise the limit',
      });
    return items.push(item) - 1;
  };
  let leaves = 0;
  const itemOf = (source: Source): Item => {
    const { shape, dtype } = source;
    const name = named.get(source) ?? null;
    if (!(source instanceof Node || source instanceof Part))
      return {
        kind: 'leaf',
        op: '',
        name: name ?? `leaf${leaves++}`,
        shape,
        dtype,
        attrs: '',
        inputs: [],
        depth: 0,
      };
    const node = source instanceof Part ? source.node : source;
    const inputs = node.sources.map(
      (from, k) =>
        (from && places.get(from)) ??
        put({
          kind: 'constant',
          op: '',
          name: null,
          shape: node.shapes[k] ?? [],
          dtype: node.dtypes[k] ?? node.dtype,
          attrs: '',
          inputs: [],
          depth: 0,
        }),
    );
    const attrs = Object.entries(node.attrs).map(([key, value]) => `${key}: ${attrText(value)}`);
    if (source instanceof Part) attrs.push(`result: ${source.index}`);
    return {
      kind: 'call',
      op: node.op,
      name,
      shape,
      dtype,
      attrs: attrs.join(', '),
      inputs,
      depth: 1 + Math.max(0, ...inputs.map((i) => items[i]!.depth)),
    };
  };
  for (const source of reachable(roots)) {
    // A call with several results is shown once for each that is used.
    if (source instanceof Node && source.parts) continue;
    places.set(source, put(itemOf(source)));
  }
  return items;
}

export const typeText = ({ shape, dtype }: Pick<Item, 'shape' | 'dtype'>): string =>
  `[${shape.join(', ')}] ${dtype}`;
