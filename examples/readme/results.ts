/**
 * Writes the results of a finished run into README.md:
 *   node --conditions=@infinigrad/source --import tsx examples/readme/results.ts runs/gated-seed0
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { duration } from '../passkey/display/format.ts';
import type { StepLine } from '../passkey/events.ts';
import { parseMetrics, planFromJson } from '../passkey/parse.ts';
import { formatTable, tableRows } from '../passkey/table.ts';
import { withResults } from './markdown.ts';

const [run] = process.argv.slice(2);
if (run === undefined) throw new Error('give the folder of a run');
const read = (name: string): string => readFileSync(join(run, name), 'utf8');
const plan = planFromJson('config.json', read('config.json'));
const metrics = parseMetrics('metrics.jsonl', read('metrics.jsonl'));
if (metrics.at(-1)?.kind !== 'done') throw new Error(`${run} is not finished`);

const steps = metrics.filter((line): line is StepLine => line.kind === 'step' && line.model === 'model');
const seconds = steps.reduce((total, line) => total + line.seconds, 0);
const { variant, seed } = plan.recipe;
const readme = resolve(import.meta.dirname, '../../README.md');
const text = `\`\`\`text
${formatTable(plan, tableRows(plan, metrics))}
\`\`\`

Variant \`${variant}\`, seed ${seed}: ${steps.length} steps in ${duration(seconds)} on ${availableParallelism()} cores of ${cpus()[0]!.model}, Node ${process.version}.`;
writeFileSync(readme, withResults(readFileSync(readme, 'utf8'), text));
