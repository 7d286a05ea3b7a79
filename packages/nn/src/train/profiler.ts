/** Where the time goes: calls of ops, their time, work and memory. */
import { bytesPerElement, intercept, recordOf, sizeOf, type OpCall, type Tensor } from '@infinigrad/tensor';

/** What one op has cost. */
export interface OpProfile {
  readonly op: string;
  readonly calls: number;
  readonly milliseconds: number;
  /** Floating-point operations, by the op table. */
  readonly flops: number;
  /** Bytes of the results, and of the inputs as they are read. */
  readonly bytes: number;
}

/** One call, for a trace. */
interface Call {
  readonly op: string;
  readonly start: number;
  readonly milliseconds: number;
  readonly shapes: string;
}

export interface ProfilerOptions {
  /** Keep every call, for `trace`. Default true. */
  readonly calls?: boolean;
  /** Milliseconds. Default performance.now. */
  readonly now?: () => number;
}

/**
 * Counts what ops cost while it is on: forward, backward and updates. Elementwise ops that would wait to become one pass are run at
 * once meanwhile, so that each has a time of its own; the sum is then more than without. On a backend that works while others
 * go on, times are those of asking.
 *
 * ```ts
 * const profiler = new Profiler();
 * profiler.run(() => optimizer.minimize(() => loss(model, batch)));
 * console.log(profiler.table());
 * ```
 */
export class Profiler {
  readonly #now: () => number;
  readonly #keepCalls: boolean;
  readonly #ops = new Map<string, { calls: number; milliseconds: number; flops: number; bytes: number }>();
  readonly #calls: Call[] = [];
  #began: number | null = null;
  #stop: (() => void) | null = null;

  constructor({ calls = true, now = () => performance.now() }: ProfilerOptions = {}) {
    this.#keepCalls = calls;
    this.#now = now;
  }

  /** Begins to look; once more changes nothing. */
  start(): void {
    this.#began ??= this.#now();
    this.#stop ??= intercept((call, next) => this.#see(call, next));
  }

  /** Stops looking. What has been seen stays. */
  stop(): void {
    this.#stop?.();
    this.#stop = null;
  }

  /** Looks while `body` runs, also where that takes several turns. */
  run<T>(body: () => T): T {
    this.start();
    let later = false;
    try {
      const result = body();
      if (result instanceof Promise) {
        later = true;
        return result.finally(() => this.stop()) as T;
      }
      return result;
    } finally {
      if (!later) this.stop();
    }
  }

  #see(call: OpCall, next: (call: OpCall) => Tensor): Tensor {
    const start = this.#now();
    const output = next(call);
    output.storage.settle();
    const milliseconds = this.#now() - start;
    const { op, inputs, plan } = call;
    const record = recordOf(op);
    const line = this.#ops.get(op) ?? { calls: 0, milliseconds: 0, flops: 0, bytes: 0 };
    line.calls++;
    line.milliseconds += milliseconds;
    line.flops += record.flops(inputs, plan);
    if (record.kind !== 'view') line.bytes += [...inputs, output].reduce((total, x) => total + bytesOf(x), 0);
    this.#ops.set(op, line);
    if (this.#keepCalls) {
      const shapes = inputs.map(({ shape }) => `[${shape.join(', ')}]`).join(' ');
      this.#calls.push({ op, start: start - this.#began!, milliseconds, shapes });
    }
    return output;
  }

  /** By op, the longest first. */
  get ops(): OpProfile[] {
    return [...this.#ops]
      .map(([op, line]) => ({ op, ...line }))
      .toSorted((a, b) => b.milliseconds - a.milliseconds);
  }

  /** The ops as lines of text. @param most so many of them. Default 20 */
  table(most = 20): string {
    const { ops } = this;
    const total = ops.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
    const lines = ops
      .slice(0, most)
      .map(({ op, calls, milliseconds, flops, bytes }) => [
        op,
        String(calls),
        milliseconds.toFixed(2),
        `${((100 * milliseconds) / (total || 1)).toFixed(1)}%`,
        (flops / 1e6).toFixed(2),
        (bytes / 2 ** 20).toFixed(2),
      ]);
    const rows = [['op', 'calls', 'ms', 'share', 'MFLOP', 'MiB'], ...lines];
    const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
    return rows
      .map((row) =>
        row
          .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
          .join('  ')
          .trimEnd(),
      )
      .join('\n');
  }

  /** Every call as JSON for chrome://tracing or ui.perfetto.dev (Trace Event Format). */
  trace(): string {
    const events = this.#calls.map(({ op, start, milliseconds, shapes }) => ({
      name: op,
      cat: recordOf(op as OpCall['op']).kind,
      ph: 'X',
      ts: start * 1000,
      dur: milliseconds * 1000,
      pid: 1,
      tid: 1,
      args: { shapes },
    }));
    return JSON.stringify({ traceEvents: events, displayTimeUnit: 'ms' });
  }
}

const bytesOf = ({ shape, dtype }: Tensor): number => sizeOf(shape) * bytesPerElement(dtype);
