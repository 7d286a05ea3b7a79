/** Curves over one pair of axes, as SVG. */
import { svg } from './dom.ts';

export interface Curve {
  /** Names its colour: `var(--<name>)`. */
  readonly name: string;
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Axes {
  readonly x: string;
  readonly y: string;
  /** The x axis goes at least so far. */
  readonly xMax: number;
}

const height = 340;
const sides = { left: 52, right: 14, bottom: 46 };
const legendRow = 22;

/** 0, and further multiples of 1, 2 or 5 · 10ⁿ: about `count` of them, the last at `max` or beyond. */
export function ticks(max: number, count: number): number[] {
  const rough = Math.max(max, 1e-9) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= rough * 0.999) ?? 10);
  const last = Math.ceil((max / step) * 0.999999);
  return Array.from({ length: Math.max(1, last) + 1 }, (_, i) => Number((i * step).toPrecision(10)));
}

/**
 * Curves that lie upon each other are all to be seen: the first is a wide band, on which the dashes of the others take turns.
 */
function strokeOf({ name }: Curve, i: number, curves: number): string {
  const dash = 9;
  const dashes =
    i > 0 && curves > 2
      ? `; stroke-dasharray: ${dash} ${dash * (curves - 2)}; stroke-dashoffset: ${-dash * (i - 1)}`
      : '';
  return `stroke: var(--${name}); stroke-width: ${i === 0 && curves > 1 ? 7 : 2.5}px${dashes}`;
}

/** Where each label of the legend begins: in rows as wide as `width`. */
function legendPlaces(curves: readonly Curve[], width: number): { x: number; row: number }[] {
  let [x, row] = [0, 0];
  return curves.map(({ label }) => {
    const needs = 62 + 7 * label.length;
    if (x > 0 && x + needs > width) [x, row] = [0, row + 1];
    const place = { x, row };
    x += needs;
    return place;
  });
}

export function drawChart(chart: SVGSVGElement, curves: readonly Curve[], axes: Axes): void {
  const width = Math.max(280, chart.clientWidth);
  const places = legendPlaces(curves, width - sides.left - sides.right);
  const margin = { ...sides, top: 20 + legendRow * (1 + Math.max(0, ...places.map(({ row }) => row))) };
  const all = curves.flatMap(({ points }) => points);
  const most = (i: 0 | 1): number => all.reduce((top, point) => Math.max(top, point[i]), 0);
  const yTicks = ticks(most(1) || 4, 5);
  const yMax = yTicks.at(-1)!;
  const xMax = Math.max(axes.xMax, most(0));
  const xTicks = ticks(xMax, width < 480 ? 4 : 8).filter((x) => x <= xMax);
  const x = (value: number): number => margin.left + (value / xMax) * (width - margin.left - margin.right);
  const y = (value: number): number =>
    height - margin.bottom - (value / yMax) * (height - margin.top - margin.bottom);
  const [left, right, bottom] = [x(0), x(xMax), y(0)];
  const text = (at: readonly [number, number], anchor: string, content: string, more = {}): SVGTextElement =>
    svg('text', { x: at[0], y: at[1], 'text-anchor': anchor, ...more }, content);

  chart.setAttribute('viewBox', `0 0 ${width} ${height}`);
  chart.querySelectorAll('g').forEach((group) => group.remove());
  chart.append(
    svg(
      'g',
      { class: 'grid' },
      ...yTicks.map((v) => svg('line', { x1: left, x2: right, y1: y(v), y2: y(v) })),
      ...xTicks.map((v) => svg('line', { x1: x(v), x2: x(v), y1: bottom, y2: bottom + 5 })),
    ),
    svg(
      'g',
      { class: 'ticks' },
      ...yTicks.map((v) => text([left - 8, y(v) + 4], 'end', String(v))),
      ...xTicks.map((v) => text([x(v), bottom + 19], 'middle', String(v))),
      text([(left + right) / 2, height - 6], 'middle', axes.x, { class: 'axis' }),
      text([-(margin.top + bottom) / 2, 14], 'middle', axes.y, { class: 'axis', transform: 'rotate(-90)' }),
    ),
    svg(
      'g',
      { class: 'curves' },
      ...curves.map((curve, i) =>
        svg('path', {
          'data-curve': curve.name,
          d: `${curve.points.map(([px, py], k) => `${k ? 'L' : 'M'}${x(px).toFixed(1)} ${y(py).toFixed(1)}`).join('')}h0`,
          style: strokeOf(curve, i, curves.length),
        }),
      ),
    ),
    svg(
      'g',
      { class: 'legend' },
      ...curves.flatMap((curve, i) => {
        const at = left + places[i]!.x;
        const middle = 20 + legendRow * places[i]!.row;
        const line = { x1: at, x2: at + 36, y1: middle, y2: middle };
        return [
          svg('line', { ...line, style: strokeOf(curve, i, curves.length) }),
          text([at + 44, middle + 4], 'start', curve.label),
        ];
      }),
    ),
  );
}
