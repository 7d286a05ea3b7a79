/** report.html is one file with everything in it. */
import { describe, expect, test } from 'vitest';
import { renderReport } from '../report/report.ts';
import { cellLine, planOf, stepLine } from './support.ts';

interface Chart {
  x: number[];
  lines: { label: string; y: (number | null)[]; dashed?: boolean }[];
}

const plan = planOf();
const metrics = [
  ...Array.from({ length: 20 }, (_, i) => stepLine(i + 1)),
  ...Array.from({ length: 20 }, (_, i) => stepLine(i + 1, { model: 'control', gates: [], writeGate: null })),
  ...[1, 4].flatMap((multiple) => [
    cellLine(multiple, { exactMatch: 1 }),
    cellLine(multiple, { exactMatch: 0.5, position: 'end' }),
    cellLine(multiple, { exactMatch: 0, subject: 'zeroed', digitAccuracy: [0, 0, 0.3] }),
  ]),
  cellLine(16, { exactMatch: 0.25 }),
];
const html = renderReport(plan, metrics);
const chartsOf = (page: string): Record<'loss' | 'gates' | 'exactMatch' | 'digits', Chart> =>
  JSON.parse(/<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)![1]!) as never;

describe('report.html', () => {
  test('fetches nothing: no address in src or href, no link, no import', () => {
    expect(html).not.toMatch(/\b(?:src|href|action|data)\s*=\s*["']?(?:https?:)?\/\//i);
    expect(html).not.toMatch(/<(?:link|img|iframe|object|embed)\b/i);
    expect(html).not.toMatch(/@import|url\(\s*["']?(?:https?:)?\/\//i);
    expect(html).not.toMatch(/<script[^>]*\bsrc\b/i);
    expect(html).not.toMatch(/\bfetch\(|XMLHttpRequest|sendBeacon|importScripts/);
  });

  test('has a place for each chart, the library that draws them, and the table', () => {
    for (const name of Object.keys(chartsOf(html))) expect(html).toContain(`data-chart="${name}"`);
    expect(html).toContain('var uPlot=');
    expect(html.match(/<tr>/g)).toHaveLength(1 + 5 + 1);
    expect(html.match(/<script/g)!.length).toBe(html.match(/<\/script>/g)!.length);
  });

  test('the loss of model and control, by step', () => {
    const { x, lines } = chartsOf(html).loss;
    expect(x).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(lines.map(({ label }) => label)).toEqual(['model', 'local only']);
    expect(lines[0]!.y).toEqual(x.map((step) => 2 / step));
  });

  test('the gates, by head, and the write gate', () => {
    const { lines } = chartsOf(html).gates;
    expect(lines.map(({ label, y }) => [label, y[0]])).toEqual([
      ['memory gate, head 1', 0.6],
      ['memory gate, head 2', 0.25],
      ['written, digits', 0.75],
      ['written, the rest', 0.125],
    ]);
  });

  test('accuracy by length: means over positions, with the controls and chance', () => {
    const { exactMatch, digits } = chartsOf(html);
    expect(exactMatch.x).toEqual([128, 512, 2048]);
    expect(exactMatch.lines).toEqual([
      { label: 'model', y: [0.75, 0.75, 0.25] },
      { label: 'memory emptied', y: [0, 0, null] },
      { label: 'chance', y: [0.001, 0.001, 0.001], dashed: true },
    ]);
    expect(digits.lines.map(({ label, y }) => [label, y[0]])).toEqual([
      ['model', (1 + 1 + 0.75) / 3],
      ['memory emptied', 0.3 / 3],
      ['chance', 0.1],
    ]);
  });

  test('says in words how the longest length went', () => {
    expect(html).toContain('20 of 600 steps trained in 10 s.');
    expect(html).toContain('At 2,048 tokens, 16 times the training length, 25.0 % of the passkeys come back');
  });

  test('a run that has only begun has a report too', () => {
    const empty = renderReport(plan, []);
    expect(empty).toContain('Not evaluated yet.');
    expect(chartsOf(empty).loss).toEqual({ x: [], lines: [{ label: 'model', y: [] }] });
  });

  test('a long run stays a small page that ends with the last step', () => {
    const steps = 30_000;
    const page = renderReport(
      plan,
      Array.from({ length: steps }, (_, i) => stepLine(i + 1)),
    );
    const { x } = chartsOf(page).loss;
    expect(x.length).toBeLessThanOrEqual(2001);
    expect(x.at(-1)).toBe(steps);
  });

  test('nothing in a plan can leave its element', () => {
    const nasty = '</script><script>alert(1)</script><b>&';
    const plan = planOf();
    const recipe = { ...plan.recipe, filler: nasty as never };
    const page = renderReport({ ...plan, recipe }, [stepLine(1), cellLine(1, { position: nasty as never })]);
    expect(page).not.toContain('alert(1)</script>');
    expect(page).not.toContain('<b>');
  });
});
