/**
 * Feeds mutated files to the readers of safetensors, .npy, .npz and of indexes of shards. Every file must be read as an independent
 * validator reads it, or be refused with a typed error, in time and within a limit of memory; what is right must not be refused.
 *
 *     pnpm fuzz [--files 120000] [--seed 1] [--only FILE]
 *
 * Prints progress and each file that broke a rule (kept in runs/fuzz/), and ends with the counts. Exit code 1 where there was one.
 */
import { fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Verdict } from './run.ts';
import type { Report, Share } from './worker.ts';

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '120000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const [files, seed] = [Number(values.files), Number(values.seed)];
if (!(Number.isSafeInteger(files) && files > 0 && Number.isSafeInteger(seed)))
  throw new Error('--files and --seed are integers');
const only = values.only === undefined ? null : Number(values.only);
const processes = only === null ? Math.max(1, Math.min(availableParallelism(), 8)) : 1;
/** Longest time at one file before its process is ended. */
const patience = 60_000;
/** Time is counted in looks, of which there are none while the machine sleeps. */
const tick = 500;

const kept = join(import.meta.dirname, '../../runs/fuzz');
const counts = new Map<string, number>();
const total = (verdict: Verdict): number =>
  [...counts].reduce((sum, [key, n]) => sum + (key.endsWith(`:${verdict}`) ? n : 0), 0);
const sum = (): number => [...counts.values()].reduce((a, b) => a + b, 0);
const add = (key: string, n: number): void => void counts.set(key, (counts.get(key) ?? 0) + n);

type BadFile = Extract<Report, { kind: 'bad' }>['judged'];
let shown = 0;
function show({ file, reader, verdict, detail, bytes }: BadFile): void {
  if (shown++ >= 20) return;
  console.log(`${verdict}: ${reader}, file ${file} of seed ${seed}: ${detail}`);
  mkdirSync(kept, { recursive: true });
  writeFileSync(join(kept, `${seed}-${file}`), Buffer.from(bytes, 'base64'));
}

const began = performance.now();
let printed = 0;
function progress(): void {
  const n = sum();
  if (n - printed < 10_000) return;
  printed = n;
  console.log(`${n} files in ${((performance.now() - began) / 1000).toFixed(0)} s`);
}

let replaced = 0;
/** Judges every `processes`-th file; a process that hangs or ends before its time is replaced, after the file that did it. */
function work(from: number, to: number): Promise<void> {
  return new Promise((resolve) => {
    const note = join(notes, String(from));
    const share: Share = { seed, from, to, step: processes, at: note };
    const worker = fork(join(import.meta.dirname, 'worker.ts'), [JSON.stringify(share)], {
      execArgv: process.execArgv,
    });
    const fileAtHand = (): number => {
      const bytes = readFileSync(note, { flag: 'a+' });
      return bytes.length === 4 ? bytes.readInt32LE(0) : from;
    };
    let [last, ticks] = [-1, 0];
    let over = false;
    const end = (verdict?: Verdict, detail = ''): void => {
      if (over) return;
      over = true;
      clearInterval(watch);
      if (verdict === undefined) return resolve();
      const file = fileAtHand();
      add(`?:${verdict}`, 1);
      show({ file, reader: '?', verdict, detail, bytes: '' });
      worker.kill('SIGKILL');
      // What breaks them one after the other is found
      if (++replaced > 10) resolve();
      else void work(file + processes, to).then(resolve);
    };
    const watch = setInterval(() => {
      const now = fileAtHand();
      if (now !== last) [last, ticks] = [now, 0];
      else if (++ticks * tick > patience) end('hung', `${patience} ms`);
    }, tick);
    worker.on('message', (report: Report) => {
      if (report.kind === 'bad') show(report.judged);
      else if (report.kind === 'end') end();
      else {
        for (const [key, n] of Object.entries(report.counts)) add(key, n!);
        progress();
      }
    });
    worker.on('error', (error) => end('crashed', error.stack));
    worker.on('exit', (code) => end('crashed', `the process ended with code ${code}`));
  });
}

const notes = mkdtempSync(join(tmpdir(), 'infinigrad-fuzz-'));
process.on('exit', () => rmSync(notes, { recursive: true, force: true }));
const [first, last] = only === null ? [0, files] : [only, only + 1];
await Promise.all(Array.from({ length: processes }, (_, k) => work(first + k, last)));
const readers = [...new Set([...counts.keys()].map((key) => key.split(':')[0]!))].sort();
for (const reader of readers) {
  const of = (verdict: Verdict): number => counts.get(`${reader}:${verdict}`) ?? 0;
  console.log(`  ${reader}: ${of('accepted')} accepted, ${of('refused')} refused`);
}
const wronglyRefused = total('wronglyRefused');
if (wronglyRefused > 0) console.log(`${wronglyRefused} wrongly refused`);
console.log(
  `${sum()} files, ${total('crashed')} crashed, ${total('hung')} hung, ${total('over')} over the limit, ` +
    `${total('wronglyAccepted')} wrongly accepted, ${total('accepted')} accepted rightly, ${total('refused')} refused`,
);
process.exitCode = sum() === total('accepted') + total('refused') && sum() === last - first ? 0 : 1;
