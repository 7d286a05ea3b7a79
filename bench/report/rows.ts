/** All that a run found out. */
import type { Figure, Missing, Note, Threads, Unit } from '../run/lines.ts';

/** A call of the benchmarks. */
export interface Run {
  /** When it began, which names it. */
  readonly started: string;
  readonly command: string;
  /** Threads asked for. A peer may have had fewer. */
  readonly threads: number;
  /** How its processes were held to cores. */
  readonly pinned: string;
}

export interface Row extends Figure {
  readonly peer: string;
  readonly threads: number;
  /** The run it comes from. */
  readonly run: string;
}

/** What `--json` writes, an entry a figure. */
export interface PlainRow {
  readonly name: string;
  readonly peer: string;
  readonly value: number;
  readonly unit: Unit;
  readonly threads: number;
}

export interface Gap extends Missing {
  readonly peer: string;
  readonly run: string;
}

/** Whether more is better; null where the figure is to be equal. */
const moreIsBetter: Readonly<Record<Unit, boolean | null>> = {
  'GFLOP/s': true,
  'tokens/s': true,
  ms: false,
  µs: false,
  MB: false,
  '%': false,
  nats: null,
};

/** How many times better the first is; null where that means nothing, as between runs. */
export function ratio(ours: Row, theirs: Row): number | null {
  const more = moreIsBetter[ours.unit];
  if (more === null || ours.unit !== theirs.unit || ours.run !== theirs.run) return null;
  return more ? ours.value / theirs.value : theirs.value / ours.value;
}

/** Below this share of processor time the core was shared, and the figure says little. */
const ownCore = 0.9;

export function shared({ cpu }: Row): boolean {
  return cpu !== undefined && cpu < ownCore;
}

/** Without addresses and the folders of this machine, which are nobody's business. */
function scrub(text: string): string {
  return text.replaceAll(/\bhttps?:\/\/[^\s'"]+/g, 'its address').replaceAll(/(?:\/[\w.@+-]+){2,}\//g, '…/');
}

export class Findings {
  readonly rows: Row[] = [];
  readonly gaps: Gap[] = [];
  readonly notes: string[] = [];
  /** What went wrong: benchmarks that did not run, figures that do not agree. */
  readonly faults: string[] = [];
  readonly run: Run;

  constructor(run: Run) {
    this.run = run;
  }

  /** Takes lines of one program. */
  listener(peer: string): (line: Figure | Missing | Note | Threads) => void {
    let threads = 1;
    const run = this.run.started;
    return (line) => {
      if ('note' in line) this.note(line.note);
      else if ('missing' in line) this.gaps.push({ ...line, missing: scrub(line.missing), peer, run });
      else if ('value' in line) this.rows.push({ ...line, peer, threads, run });
      else ({ threads } = line);
    };
  }

  note(told: string): void {
    const text = scrub(told);
    if (!this.notes.includes(text)) this.notes.push(text);
  }

  plain(): PlainRow[] {
    return this.rows.map(({ name, peer, value, unit, threads }) => ({ name, peer, value, unit, threads }));
  }
}
