/** A graph as a drawing. */
import type { Tree } from '../map-tree.ts';
import { layout, type Spot } from './layout.ts';
import { itemsOf, typeText, type GraphOptions, type Item } from './walk.ts';

const charWidth = 7.3;
const boxHeight = 40;
const layerHeight = 76;
const margin = 12;

const style = `
.ig-box{fill:#fff;stroke:#57606a}
.ig-leaf{fill:#ddf4ff;stroke:#0969da}
.ig-constant{stroke-dasharray:3 3}
.ig-text{fill:#1f2328}
.ig-type{fill:#57606a}
.ig-edge{fill:none;stroke:#8c959f;stroke-width:1.2}
.ig-head{fill:#8c959f}
@media (prefers-color-scheme:dark){
.ig-box{fill:#161b22;stroke:#8b949e}
.ig-leaf{fill:#0c2d4a;stroke:#58a6ff}
.ig-text{fill:#e6edf3}
.ig-type{fill:#9198a1}
.ig-edge{stroke:#6e7681}
.ig-head{fill:#6e7681}
}`;

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const round = (value: number): string => String(Math.round(value * 10) / 10);

function title({ kind, op, name }: Item): string {
  if (kind === 'constant') return 'constant';
  return kind === 'call' && name !== null ? `${name} = ${op}` : (name ?? op);
}

/**
 * The graph behind a result as the text of an SVG: inputs above, what is made of them below, leaves in blue and inputs
 * without a gradient dashed. It is the same text for the same graph, and reads well on light and on dark.
 * @param y a tensor, or several in arrays and plain objects
 * @throws GradientError where there is no graph; ValueError for more nodes than `limit`
 */
export function graphSvg(y: Tree, options: GraphOptions = {}): string {
  const items = itemsOf('graphSvg', y, options);
  const widths = items.map((item) => 20 + charWidth * Math.max(title(item).length, typeText(item).length));
  const { spots, edges, layers } = layout(items, widths);
  const left = Math.min(...spots.map(({ x, width }) => x - width / 2)) - margin;
  const right = Math.max(...spots.map(({ x, width }) => x + width / 2)) + margin;
  const [width, height] = [right - left, (layers - 1) * layerHeight + boxHeight + 2 * margin];
  const x = (spot: Spot): number => spot.x - left;
  const top = (spot: Spot): number => margin + spot.layer * layerHeight;
  const curve = (path: readonly number[]): string => {
    const points = path.map((i) => spots[i]!);
    let from = { x: x(points[0]!), y: top(points[0]!) + boxHeight };
    let d = `M${round(from.x)} ${round(from.y)}`;
    points.slice(1).forEach((spot) => {
      const last = spot.item !== null;
      const to = { x: x(spot), y: top(spot) - (last ? 6 : 0) };
      const middle = (from.y + to.y) / 2;
      d += `C${round(from.x)} ${round(middle)} ${round(to.x)} ${round(middle)} ${round(to.x)} ${round(to.y)}`;
      from = { x: to.x, y: to.y };
      // A crossing goes straight through its layer.
      if (last) return;
      from.y += boxHeight;
      d += `V${round(from.y)}`;
    });
    return `<path class="ig-edge" d="${d}"/>${head(from.x, from.y)}`;
  };
  const box = (item: Item, i: number): string => {
    const spot = spots[i]!;
    const kind = item.kind === 'leaf' ? ' ig-leaf' : item.kind === 'constant' ? ' ig-constant' : '';
    const hint = item.attrs && `<title>${escape(item.attrs)}</title>`;
    const [cx, cy] = [round(x(spot)), top(spot)];
    return (
      `<g>${hint}<rect class="ig-box${kind}" x="${round(x(spot) - spot.width / 2)}" y="${cy}" width="${round(spot.width)}" height="${boxHeight}" rx="6"/>` +
      `<text class="ig-text" x="${cx}" y="${cy + 17}">${escape(title(item))}</text>` +
      `<text class="ig-type" x="${cx}" y="${cy + 32}">${escape(typeText(item))}</text></g>`
    );
  };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="${Math.ceil(width)}" height="${height}" viewBox="0 0 ${Math.ceil(width)} ${height}" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="12" text-anchor="middle">`,
    `<title>The graph of ${escape(title(items.at(-1)!))}</title>`,
    `<style>${style}\n</style>`,
    ...edges.map(curve),
    ...items.map(box),
    '</svg>\n',
  ].join('\n');
}

const head = (x: number, y: number): string =>
  `<path class="ig-head" d="M${round(x)} ${round(y + 6)}l-4 -7h8z"/>`;
