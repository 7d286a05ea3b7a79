/** What a measuring program says on its standard output: one JSON object a line. All else there is talk. */

export type Unit = 'GFLOP/s' | 'ms' | 'µs' | 'tokens/s' | 'MB' | 'nats' | '%';

/** A figure. */
export interface Figure {
  /** Benchmark and case. */
  readonly name: string;
  readonly value: number;
  readonly unit: Unit;
  /** Processor time over wall time while measuring; well below the number of threads, the core was shared. */
  readonly cpu?: number;
  /** A number that all peers must agree on, such as the sum of a result. */
  readonly check?: number;
}

/** A figure that could not be had, and why. */
export interface Missing {
  readonly name: string;
  readonly missing: string;
}

/** Something to be told to who reads the figures. */
export interface Note {
  readonly note: string;
}

/** Threads that the figures to come were measured with. */
export interface Threads {
  readonly threads: number;
}

export type Line = Figure | Missing | Note | Threads;

/** Says a line. */
export function say(line: Line): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** A line of output as what it says, or null for talk. */
export function parseLine(text: string): Line | null {
  if (!text.startsWith('{')) return null;
  try {
    const value = JSON.parse(text) as Partial<Figure & Missing & Note & Threads>;
    const known =
      typeof value.note === 'string' ||
      typeof value.threads === 'number' ||
      (typeof value.name === 'string' &&
        (typeof value.missing === 'string' || typeof value.value === 'number'));
    return known ? (value as Line) : null;
  } catch {
    return null;
  }
}
