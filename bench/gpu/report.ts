/** Figures as tables, sizes from which the GPU is ahead, and the device's section of RESULTS.md. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Gpu } from '@infinigrad/tensor/gpu';
import { writeFormatted } from '../report/files.ts';
import { withSection } from '../report/sections.ts';
import { asMarkdown, number, type Table } from '../report/tables.ts';
import { machine } from '../run/machine.ts';
import type { Case, Series } from './cases.ts';

/** Milliseconds of one call on each. */
export interface Measured {
  readonly one: Case;
  readonly wasm: number;
  readonly gpu: number;
}

/** From which size of a line on the GPU is ahead, in words; null of a line of one size. */
function crossover(line: string, measured: readonly Measured[]): string | null {
  if (measured.length < 2) return null;
  const behind = measured.findLastIndex(({ wasm, gpu }) => gpu >= wasm);
  if (behind === measured.length - 1) return `${line}: wasm is ahead up to ${measured.at(-1)!.one.size}`;
  const from = measured[behind + 1]!.one.size;
  return `${line}: the GPU is ahead from ${from} on${behind < 0 ? ', the smallest' : ''}`;
}

function figures({ one, wasm, gpu }: Measured): string[] {
  const { name, flops, tokens } = one;
  const told = (ms: number): string => {
    if (flops !== undefined) return number(flops / ms / 1e6);
    return number(tokens === undefined ? ms : (tokens / ms) * 1e3);
  };
  const unit = flops !== undefined ? 'GFLOP/s' : tokens !== undefined ? 'tokens/s' : 'ms';
  return [name, unit, told(wasm), told(gpu), `${(wasm / gpu).toPrecision(2)}×`];
}

export function tableOf({ title, about }: Series, measured: readonly Measured[]): Table {
  const lines = [...new Set(measured.map(({ one }) => one.line))];
  return {
    title,
    about,
    head: ['', 'unit', 'wasm', 'gpu', 'gpu is faster'],
    lines: measured.map(figures),
    remarks: lines.flatMap(
      (line) =>
        crossover(
          line,
          measured.filter(({ one }) => one.line === line),
        ) ?? [],
    ),
  };
}

/** Puts tables into the device's section of RESULTS.md, in place of what it said before. @returns the path */
export function writeSection(
  folder: string,
  gpu: Gpu,
  tables: readonly Table[],
  about: readonly string[],
): string {
  const path = join(folder, 'RESULTS.md');
  const { processor, cores, system, node } = machine();
  const date = new Date().toISOString().slice(0, 10);
  const lines = [`${date}, Node ${node}, ${processor}, ${cores} cores, ${system}`, ...about];
  const text = [
    `## On a GPU: ${gpu.adapter} (${gpu.mode})`,
    lines.map((line) => `- ${line}`).join('\n'),
    'Medians of calls in a row, in one process; `gpu is faster`: how many times.',
    ...tables.map((table) => asMarkdown(table).replace(/^## /, '### ')),
  ].join('\n\n');
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '# Benchmark results\n';
  writeFormatted(folder, path, withSection(before, `${gpu.adapter} (${gpu.mode})`, text));
  return path;
}
