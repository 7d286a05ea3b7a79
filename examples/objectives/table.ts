/** Results as text: a heading before a run, what came of it, and a table of several. */
import type { Result } from './run.ts';

const nats = (x: number): string => x.toFixed(4);
const lines = (numbers: Readonly<Record<string, number>>): string[] =>
  Object.entries(numbers).map(
    ([name, value]) => `  ${name}: ${Number.isInteger(value) ? value : nats(value)}`,
  );

/** What is known before training. */
export function headingOf({
  title,
  seed,
  parameters,
  source,
}: Pick<Result, 'title' | 'seed' | 'parameters' | 'source'>): string {
  return [
    title,
    `seed ${seed}, ${parameters.toLocaleString('en')} parameters; of the source, in nats for each token:`,
    ...lines(source),
  ].join('\n');
}

/** What came of a run. */
export function resultText(result: Result): string {
  const { loss, floor, excess, standardError, targets, baselines, further, goals, leak, whole } = result;
  return [
    `after ${result.recipe.steps} steps (${result.seconds.toFixed(0)} s, ${result.processorSeconds.toFixed(0)} of a processor), on ${result.recipe.evaluationTexts} new texts, ${targets.toLocaleString('en')} targets:`,
    `  loss ${nats(loss)}, floor ${nats(floor)}, above it ${nats(excess)} ± ${nats(standardError)}`,
    ...lines(baselines).map((line) => line.replace('  ', '  loss by ')),
    ...lines(further),
    ...(leak ? ['LEAK: the loss lies below the floor by more than chance allows'] : []),
    ...(whole
      ? goals.map(
          (g) => `${g.reached ? 'reached' : 'MISSED'}: ${g.what} ${nats(g.value)}, ${g.is} ${nats(g.bound)}`,
        )
      : ['fewer steps than the recipe has: goals do not count']),
  ].join('\n');
}

/** A table in Markdown: what the guide quotes. */
export function tableOf(results: readonly Result[]): string {
  const head = [
    'experiment',
    'seed',
    'steps',
    'seconds',
    'of a processor',
    'loss',
    'floor',
    'above it',
    'baselines',
    'passed',
  ];
  const rows = results.map((result) => [
    result.experiment,
    String(result.seed),
    String(result.recipe.steps),
    result.seconds.toFixed(0),
    result.processorSeconds.toFixed(0),
    nats(result.loss),
    nats(result.floor),
    nats(result.excess),
    Object.entries(result.baselines)
      .map(([name, value]) => `${name} ${nats(value)}`)
      .join(', '),
    result.whole || result.leak ? (result.passed ? 'yes' : 'no') : 'not judged',
  ]);
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
