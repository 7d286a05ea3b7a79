/** Figures as tables: a row a case, a column a peer, and how many times better the framework is. */
import { benchmarks, infoOf, type BenchmarkName } from '../benchmarks.ts';
import { ratio, shared, type Gap, type Row } from './rows.ts';

export interface Table {
  readonly title: string;
  readonly about: string;
  readonly head: readonly string[];
  readonly lines: readonly (readonly string[])[];
  /** What is missing, and why. */
  readonly remarks: readonly string[];
}

/** Three digits or more. */
export function number(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return value.toPrecision(value >= 100 ? 4 : 3);
}

function formatValue(row: Row): string {
  return `${row.unit === 'nats' ? row.value.toFixed(4) : number(row.value)}${shared(row) ? '*' : ''}`;
}

function cell(row: Row | undefined, ours: Row | undefined): string {
  if (!row) return '–';
  const times = ours && row !== ours ? ratio(ours, row) : null;
  return times === null
    ? formatValue(row)
    : `${formatValue(row)} (${times.toPrecision(times >= 100 ? 3 : 2)}×)`;
}

/** The tables of all benchmarks that have figures or gaps, in the order of the list. */
export function tablesOf(rows: readonly Row[], gaps: readonly Gap[], ours: string): Table[] {
  return (Object.keys(benchmarks) as BenchmarkName[]).flatMap((benchmark) => {
    const own = <T extends { readonly name: string }>(list: readonly T[]): T[] =>
      list.filter(({ name }) => name === benchmark || name.startsWith(`${benchmark}/`));
    const figures = own(rows);
    const missing = own(gaps);
    if (figures.length === 0 && missing.length === 0) return [];
    const peers = [...new Set([ours, ...figures.map(({ peer }) => peer)])];
    const names = [...new Set(figures.map(({ name }) => name))];
    const lines = names.map((name) => {
      const of = (peer: string): Row | undefined =>
        figures.find((row) => row.name === name && row.peer === peer);
      const unit = figures.find((row) => row.name === name)!.unit;
      return [name.slice(benchmark.length + 1), unit, ...peers.map((peer) => cell(of(peer), of(ours)))];
    });
    const { title, about } = infoOf(benchmark);
    const remarks = missing.map(({ peer, name, missing: reason }) => `${peer}, ${name}: ${reason}`);
    return [{ title: `${title} (${benchmark})`, about, head: ['', 'unit', ...peers], lines, remarks }];
  });
}

/** For a terminal. */
export function asText({ title, head, lines, remarks }: Table): string {
  const all = [head, ...lines];
  const widths = head.map((_, i) => Math.max(...all.map((line) => line[i]!.length)));
  const text = (line: readonly string[]): string =>
    line.map((part, i) => (i < 2 ? part.padEnd(widths[i]!) : part.padStart(widths[i]!))).join('  ');
  return [title, ...all.map(text), ...remarks.map((remark) => `! ${remark}`)].join('\n');
}

/** For a page. */
export function asMarkdown({ title, about, head, lines, remarks }: Table): string {
  const row = (parts: readonly string[]): string =>
    `| ${parts.map((part) => part.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = row(head.map((_, i) => (i < 2 ? '---' : '--:')));
  const table = lines.length === 0 ? [] : [row(head), rule, ...lines.map(row), ''];
  return [`## ${title}`, '', about, '', ...table, ...remarks.map((remark) => `- ${remark}`)]
    .join('\n')
    .trimEnd();
}
