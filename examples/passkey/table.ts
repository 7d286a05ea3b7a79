/** The results as rows, and as a table for the terminal. */
import type { KeyPosition } from '@infinigrad/zoo';
import type { CellLine, MetricLine } from './events.ts';
import type { RunPlan, SubjectName } from './plan.ts';

/** What one subject got right in a cell. */
export interface Score {
  readonly exactMatch: number;
  readonly digitAccuracy: readonly number[];
}

export interface TableRow extends Score {
  readonly length: number;
  readonly multiple: number;
  readonly position: KeyPosition;
  readonly stateBytes: number;
  readonly tokensPerSecond: number;
  /** Null where it was not evaluated. */
  readonly control: Score | null;
  readonly zeroed: Score | null;
}

/** The chance to guess all digits, or one. */
export function chance({ recipe }: RunPlan): { readonly exactMatch: number; readonly digit: number } {
  return { exactMatch: 10 ** -recipe.digits, digit: 0.1 };
}

export function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** One row for each cell of the model, with the controls' cells beside it. */
export function tableRows({ evaluation }: RunPlan, metrics: readonly MetricLine[]): TableRow[] {
  const cells = metrics.filter(
    (line): line is CellLine => line.kind === 'cell' && line.length <= evaluation.maxLength,
  );
  const find = (subject: SubjectName, { length, position }: CellLine): Score | null =>
    cells.find((cell) => cell.subject === subject && cell.length === length && cell.position === position) ??
    null;
  return cells
    .filter(({ subject }) => subject === 'model')
    .map((cell) => ({ ...cell, control: find('control', cell), zeroed: find('zeroed', cell) }))
    .sort((a, b) => a.length - b.length);
}

export const columns = [
  'tokens',
  '×',
  'key at',
  'exact match',
  'each digit',
  'state bytes',
  'tokens/s',
  'local only',
  'memory emptied',
];

const fraction = (x: number, places = 3): string => x.toFixed(places);
const digits = (list: readonly number[]): string => list.map((x) => fraction(x, 2)).join(' ');
const other = (score: Score | null): string =>
  score ? `${fraction(score.exactMatch)} (${fraction(mean(score.digitAccuracy), 2)})` : '–';

/** A row's texts, one for each of `columns`. */
export function rowTexts(row: TableRow): string[] {
  return [
    row.length.toLocaleString('en'),
    row.multiple.toLocaleString('en'),
    row.position,
    fraction(row.exactMatch),
    digits(row.digitAccuracy),
    row.stateBytes.toLocaleString('en'),
    Math.round(row.tokensPerSecond).toLocaleString('en'),
    other(row.control),
    other(row.zeroed),
  ];
}

export function chanceTexts(plan: RunPlan): string[] {
  const { exactMatch, digit } = chance(plan);
  const guess =
    plan.recipe.digits > 6
      ? exactMatch.toExponential(0)
      : exactMatch.toFixed(Math.max(3, plan.recipe.digits));
  return [
    'chance',
    '',
    '',
    guess,
    fraction(digit, 2),
    '',
    '',
    `${guess} (${fraction(digit, 2)})`,
    `${guess} (${fraction(digit, 2)})`,
  ];
}

/** What the columns mean. */
export function tableNotes({ recipe, control, evaluation }: RunPlan): string[] {
  return [
    `Trained on up to ${recipe.segmentLength * recipe.maxSegments} tokens (1×); ${evaluation.samples} sequences a row; answers are generated digit by digit.`,
    `Local only: ${control ? 'the same model trained without memory' : 'not trained (--no-control)'}. Memory emptied: the model with its memory cleared before each segment. In brackets: the mean over digits.`,
  ];
}

export function formatTable(plan: RunPlan, rows: readonly TableRow[]): string {
  const lines = [columns, ...rows.map(rowTexts), chanceTexts(plan)];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  const text = lines.map((line) =>
    line
      .map((cell, i) => (i === 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
  const rule = '─'.repeat(Math.max(...text.map((line) => line.length)));
  return [text[0], rule, ...text.slice(1, -1), rule, text.at(-1), '', ...tableNotes(plan)].join('\n');
}
