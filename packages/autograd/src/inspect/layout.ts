/** Where the boxes of a drawing go: in layers from the inputs down, each near what it is made of. The same for the same graph. */
import type { Item } from './walk.ts';

/** A box, or the point where a long edge crosses a layer. */
export interface Spot {
  /** The item in the box; null for a crossing. */
  readonly item: number | null;
  readonly layer: number;
  readonly width: number;
  /** Of its centre. */
  x: number;
  /** Its neighbours in the layers above and below. */
  readonly above: number[];
  readonly below: number[];
}

const gap = 28;
const rounds = 12;

/** The layer of each item: calls below all that they are made of, the rest just above what needs it first. */
function layersOf(items: readonly Item[]): number[] {
  const layers = items.map(({ depth }) => depth);
  items.forEach((item, i) => {
    if (item.kind === 'call') return;
    const users = items.filter(({ inputs }) => inputs.includes(i));
    layers[i] = Math.min(...users.map(({ depth }) => depth)) - 1;
    if (users.length === 0) layers[i] = 0;
  });
  return layers;
}

/** The spots, boxes first and in the order of the items, and each edge as the spots that it goes through. */
export function layout(
  items: readonly Item[],
  widths: readonly number[],
): { spots: Spot[]; edges: number[][]; layers: number } {
  const layers = layersOf(items);
  const spots = items.map((_, i): Spot => newSpot(i, layers[i]!, widths[i]!));
  const edges = items.flatMap(({ inputs }, to) =>
    inputs.map((from) => {
      const path = [from];
      for (let layer = layers[from]! + 1; layer < layers[to]!; layer++)
        path.push(spots.push(newSpot(null, layer, 6)) - 1);
      return [...path, to];
    }),
  );
  for (const path of edges)
    path.slice(1).forEach((spot, i) => {
      spots[spot]!.above.push(path[i]!);
      spots[path[i]!]!.below.push(spot);
    });
  const count = Math.max(...spots.map(({ layer }) => layer)) + 1;
  const rows = Array.from({ length: count }, (_, layer) => spots.filter((spot) => spot.layer === layer));
  for (const row of rows)
    place(
      row,
      row.map(() => 0),
    );
  for (let round = 0; round < rounds; round++) {
    const down = round % 2 === 0;
    for (const row of down ? rows : [...rows].reverse()) {
      const wished = row.map((spot) => {
        const near = down ? spot.above : spot.below;
        const all = near.length > 0 ? near : [...spot.above, ...spot.below];
        return all.length > 0 ? all.reduce((sum, i) => sum + spots[i]!.x, 0) / all.length : spot.x;
      });
      place(row, wished);
    }
  }
  return { spots, edges, layers: count };
}

const newSpot = (item: number | null, layer: number, width: number): Spot => ({
  item,
  layer,
  width,
  x: 0,
  above: [],
  below: [],
});

/** Puts the spots of a layer as near to where they would be as their widths allow, in that order. */
function place(row: Spot[], wished: readonly number[]): void {
  const order = row
    .map((spot, i) => ({ spot, wish: wished[i]!, i }))
    .sort((a, b) => a.wish - b.wish || a.i - b.i);
  let end = -Infinity;
  for (const { spot, wish } of order) {
    spot.x = Math.max(wish, end + gap + spot.width / 2);
    end = spot.x + spot.width / 2;
  }
  // Whoever was pushed was pushed to the right: take the mean of that back.
  const shift = order.reduce((sum, { spot, wish }) => sum + spot.x - wish, 0) / Math.max(1, order.length);
  for (const { spot } of order) spot.x -= shift;
  row.splice(0, row.length, ...order.map(({ spot }) => spot));
}
