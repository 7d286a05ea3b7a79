/** report.html: one file with everything in it, for a browser without a network. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { MetricLine, StepLine } from '../events.ts';
import type { ModelName, RunPlan, SubjectName } from '../plan.ts';
import { chance, chanceTexts, columns, mean, rowTexts, tableNotes, tableRows } from '../table.ts';

const require = createRequire(import.meta.url);
const beside = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');

/** The lines of a chart over common x values; null where a line has no value. */
interface ChartData {
  readonly x: readonly number[];
  readonly lines: readonly {
    readonly label: string;
    readonly y: readonly (number | null)[];
    readonly dashed?: boolean;
  }[];
}

/** Most points of a line over steps: more than a screen shows. */
const mostPoints = 2000;

export function renderReport(plan: RunPlan, metrics: readonly MetricLine[]): string {
  const { recipe } = plan;
  const charts = {
    loss: lossChart(metrics),
    gates: gateChart(metrics),
    exactMatch: accuracyChart(plan, metrics, 'exactMatch'),
    digits: accuracyChart(plan, metrics, 'digit'),
  };
  const title = `Passkey: ${recipe.variant}, seed ${recipe.seed}`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(title)}</title>
<style>
${readFileSync(require.resolve('uplot/dist/uPlot.min.css'), 'utf8')}
${beside('style.css')}
</style>
<main>
<h1>${escape(title)}</h1>
<p>${escape(summary(plan, metrics))}</p>
<section><h2>Whole passkey right, by length</h2><div class="chart" data-chart="exactMatch"></div></section>
<section><h2>Single digits right, by length</h2><div class="chart" data-chart="digits"></div></section>
<section><h2>Loss of the answer digits, by step</h2><div class="chart" data-chart="loss"></div></section>
<section><h2>Gates, by step</h2><div class="chart" data-chart="gates"></div>
<p class="note">Memory gate: sigmoid(β), the weight of the memory beside local attention. Written: mean opening of the write gate.</p></section>
<section><h2>Results</h2>${table(plan, metrics)}
${tableNotes(plan)
  .map((note) => `<p class="note">${escape(note)}</p>`)
  .join('\n')}</section>
<section><h2>Configuration</h2><details><summary>All numbers of this run</summary><pre>${escape(JSON.stringify(plan, null, 2))}</pre></details></section>
</main>
<script>${script(readFileSync(require.resolve('uplot/dist/uPlot.iife.min.js'), 'utf8'))}</script>
<script type="application/json" id="data">${JSON.stringify(charts).replaceAll('<', String.raw`\u003c`)}</script>
<script>${script(beside('charts.js'))}</script>
</html>
`;
}

function summary(plan: RunPlan, metrics: readonly MetricLine[]): string {
  const steps = metrics.filter((line): line is StepLine => line.kind === 'step' && line.model === 'model');
  const seconds = steps.reduce((total, line) => total + line.seconds, 0);
  const trained = `${steps.length} of ${plan.recipe.steps} steps trained in ${Math.round(seconds)} s.`;
  const rows = tableRows(plan, metrics);
  const last = rows.at(-1);
  if (!last) return `${trained} Not evaluated yet.`;
  const there = rows.filter(({ length }) => length === last.length);
  return `${trained} At ${last.length.toLocaleString('en')} tokens, ${last.multiple.toLocaleString('en')} times the training length, ${(100 * mean(there.map((row) => row.exactMatch))).toFixed(1)} % of the passkeys come back whole; the memory takes ${last.stateBytes.toLocaleString('en')} bytes a sequence at every length.`;
}

function table(plan: RunPlan, metrics: readonly MetricLine[]): string {
  const row = (texts: readonly string[], tag: string): string =>
    `<tr>${texts.map((text) => `<${tag}>${escape(text)}</${tag}>`).join('')}</tr>`;
  const rows = tableRows(plan, metrics);
  return `<div class="wide"><table><thead>${row(columns, 'th')}</thead><tbody>
${rows.map((cells) => row(rowTexts(cells), 'td')).join('\n')}
</tbody><tfoot>${row(chanceTexts(plan), 'td')}</tfoot></table></div>`;
}

/** Every so many steps, so that a long run stays a small file. */
function stepsOf(metrics: readonly MetricLine[], model: ModelName): StepLine[] {
  const lines = metrics.filter((line): line is StepLine => line.kind === 'step' && line.model === model);
  const every = Math.ceil(lines.length / mostPoints);
  return lines.filter((_, i) => i % every === 0 || i === lines.length - 1);
}

function lossChart(metrics: readonly MetricLine[]): ChartData {
  const model = stepsOf(metrics, 'model');
  const control = new Map(stepsOf(metrics, 'control').map((line) => [line.step, line.answerLoss]));
  const lines = [{ label: 'model', y: model.map((line) => line.answerLoss) as (number | null)[] }];
  if (control.size > 0)
    lines.push({ label: 'local only', y: model.map(({ step }) => control.get(step) ?? null) });
  return { x: model.map((line) => line.step), lines };
}

function gateChart(metrics: readonly MetricLine[]): ChartData {
  const steps = stepsOf(metrics, 'model');
  const heads = (steps[0]?.gates ?? []).flatMap((layer, l) => layer.map((_, h) => [l, h] as const));
  const lines = heads.map(([l, h]) => ({
    label: `memory gate, ${(steps[0]?.gates.length ?? 0) > 1 ? `layer ${l + 1}, ` : ''}head ${h + 1}`,
    y: steps.map((line) => line.gates[l]?.[h] ?? null),
  }));
  if (steps[0]?.writeGate)
    lines.push(
      { label: 'written, digits', y: steps.map((line) => line.writeGate?.digits ?? null) },
      { label: 'written, the rest', y: steps.map((line) => line.writeGate?.filler ?? null) },
    );
  return { x: steps.map((line) => line.step), lines };
}

const subjectLabels: Readonly<Record<SubjectName, string>> = {
  model: 'model',
  control: 'local only',
  zeroed: 'memory emptied',
};

/** Means over the key's positions. */
function accuracyChart(
  plan: RunPlan,
  metrics: readonly MetricLine[],
  what: 'exactMatch' | 'digit',
): ChartData {
  const rows = tableRows(plan, metrics);
  const x = [...new Set(rows.map(({ length }) => length))];
  const line = (subject: SubjectName): (number | null)[] =>
    x.map((length) => {
      const there = rows
        .filter((row) => row.length === length)
        .map((row) => (subject === 'model' ? row : row[subject]));
      const scores = there.flatMap((score) =>
        score ? [what === 'digit' ? mean(score.digitAccuracy) : score.exactMatch] : [],
      );
      return scores.length > 0 ? mean(scores) : null;
    });
  const lines = (['model', 'control', 'zeroed'] as const)
    .map((subject) => ({ label: subjectLabels[subject], y: line(subject) }))
    .filter(({ y }) => y.some((value) => value !== null));
  const guess = chance(plan)[what];
  return { x, lines: [...lines, { label: 'chance', y: x.map(() => guess), dashed: true }] };
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Source text that cannot end its own element. */
function script(source: string): string {
  return source.replaceAll('</script', String.raw`<\/script`);
}
