/** Results as files: `results/<date>.json`, RESULTS.md made from it, and what `--json` asks for. Written whole or not at all. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Machine } from '../run/machine.ts';
import type { Findings, Gap, PlainRow, Row, Run } from './rows.ts';
import { withSectionsOf } from './sections.ts';
import { asMarkdown, tablesOf } from './tables.ts';

/** A day's results on a machine. */
export interface DayResults {
  readonly date: string;
  readonly machine: Machine;
  /** Peers with their versions. */
  readonly peers: Readonly<Record<string, string>>;
  readonly runs: readonly Run[];
  readonly rows: readonly Row[];
  readonly gaps: readonly Gap[];
  readonly notes: readonly string[];
}

function writeWhole(path: string, text: string): void {
  mkdirSync(dirname(resolve(path)), { recursive: true });
  const aside = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    writeFileSync(aside, text);
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}

export function writePlain(path: string, rows: readonly PlainRow[]): void {
  writeWhole(path, `${JSON.stringify(rows, null, 1)}\n`);
}

/** What a day's file said before, with what a later run found in its place: all that a peer had in a benchmark. */
function merged(before: DayResults | null, now: DayResults): DayResults {
  if (!before || JSON.stringify(before.machine) !== JSON.stringify(now.machine)) return now;
  const threads = new Map([...before.runs, ...now.runs].map((run) => [run.started, run.threads]));
  const key = ({ name, peer, run }: Row | Gap): string =>
    [peer, name.split('/')[0], threads.get(run)].join(' ');
  const fresh = new Set([...now.rows, ...now.gaps].map(key));
  const rows = [...before.rows.filter((row) => !fresh.has(key(row))), ...now.rows];
  const gaps = [...before.gaps.filter((gap) => !fresh.has(key(gap))), ...now.gaps];
  const used = new Set([...rows, ...gaps].map(({ run }) => run));
  return {
    ...now,
    peers: { ...before.peers, ...now.peers },
    runs: [...before.runs, ...now.runs].filter(({ started }) => used.has(started)),
    rows,
    gaps,
    notes: [...new Set([...before.notes, ...now.notes])],
  };
}

function page({ date, machine, peers, runs, rows, gaps, notes }: DayResults, ours: string): string {
  const { processor, cores, memoryGb, system, node } = machine;
  const tables = [...new Set(runs.map(({ threads }) => threads))]
    .sort((a, b) => a - b)
    .flatMap((threads) => {
      const those = new Set(runs.filter((run) => run.threads === threads).map(({ started }) => started));
      const among = <T extends Row | Gap>(list: readonly T[]): T[] =>
        list.filter(({ run }) => those.has(run));
      const found = tablesOf(among(rows), among(gaps), ours);
      return threads === 1
        ? found
        : found.map((table) => ({ ...table, title: `${table.title}, ${threads} threads` }));
    });
  const versions = Object.entries(peers).map(([peer, version]) => `${peer} ${version}`);
  const head = [
    `${date}, Node ${node}, ${processor}, ${cores} cores, ${memoryGb} GB, ${system}`,
    ...runs.map(
      ({ command, threads, pinned }) =>
        `\`${command}\`: ${threads} thread${threads > 1 ? 's' : ''}, ${pinned}`,
    ),
    versions.join(', '),
    ...notes,
  ];
  return `# Benchmark results

Written by the benchmarks; what they measure and how is in [README.md](README.md).

${head.map((line) => `- ${line}`).join('\n')}

Figures are medians. In brackets stands how many times better ${ours} is than that peer was in the same run, by time, rate or size: above 1 it
is ahead. \`*\`: the process had less than 90 % of its core, so the figure says little.

${tables.map(asMarkdown).join('\n\n')}
`;
}

/** Writes the day's file and RESULTS.md into a folder. @returns the paths */
export function writeDay(
  folder: string,
  findings: Findings,
  about: Pick<DayResults, 'date' | 'machine' | 'peers'>,
  ours: string,
): string[] {
  const path = join(folder, 'results', `${about.date}.json`);
  const before = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as DayResults) : null;
  const { rows, gaps, notes, run } = findings;
  const day = merged(before, { ...about, runs: [run], rows, gaps, notes });
  writeWhole(path, `${JSON.stringify(day, null, 1)}\n`);
  format(folder, path);
  const summary = join(folder, 'RESULTS.md');
  const old = existsSync(summary) ? readFileSync(summary, 'utf8') : '';
  writeFormatted(folder, summary, withSectionsOf(old, page(day, ours)));
  return [path, summary];
}

/** As everything in the repository; without the formatter they stay as they are. */
function format(folder: string, path: string): void {
  spawnSync(resolve(folder, '../node_modules/.bin/oxfmt'), [path]);
}

/** Writes a page into the folder of the benchmarks. */
export function writeFormatted(folder: string, path: string, text: string): void {
  writeWhole(path, text);
  format(folder, path);
}
