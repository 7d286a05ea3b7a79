/** Judges the files that are this process's, and notes before each which it is at. */
import { openSync, writeSync } from 'node:fs';
import { judge, type Judged, type Verdict } from './run.ts';

export interface Share {
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  readonly step: number;
  /** A file of one Int32: the number of the file at hand. */
  readonly at: string;
}

export type Report =
  | { readonly kind: 'counts'; readonly counts: Partial<Record<string, number>> }
  | { readonly kind: 'bad'; readonly judged: Omit<Judged, 'bytes'> & { readonly bytes: string } }
  | { readonly kind: 'end' };

const { seed, from, to, step, at } = JSON.parse(process.argv[2]!) as Share;
const note = openSync(at, 'w');
const number = new Int32Array(1);
const say = (report: Report): Promise<void> =>
  new Promise((resolve) => process.send!(report, undefined, {}, () => resolve()));
const good = new Set<Verdict>(['accepted', 'refused']);
let counts: Partial<Record<string, number>> = {};

for (let file = from; file < to; file += step) {
  number[0] = file;
  writeSync(note, number, 0, 4, 0);
  const judged = await judge(seed, file);
  const key = `${judged.reader}:${judged.verdict}`;
  counts[key] = (counts[key] ?? 0) + 1;
  if (!good.has(judged.verdict))
    await say({ kind: 'bad', judged: { ...judged, bytes: Buffer.from(judged.bytes).toString('base64') } });
  if (Math.floor(file / step) % 250 === 249) {
    await say({ kind: 'counts', counts });
    counts = {};
  }
}
await say({ kind: 'counts', counts });
await say({ kind: 'end' });
process.disconnect();
