/** The progress of a trainer in a terminal. */
import type { LogReport, StepReport } from '../train/events.ts';
import type { Trainer } from '../train/trainer.ts';

export interface ProgressOptions {
  /** Default process.stderr. */
  readonly stream?: NodeJS.WriteStream;
  /** Default performance.now. */
  readonly now?: () => number;
}

/** Shows lines in the place of those it showed before. */
interface Live {
  (text: string): void;
  clear(): void;
  done(): void;
}

/** Weight of the newest step in the running speed. */
const freshness = 0.1;
/** Shortest time between two drawings. */
const milliseconds = 80;
const width = 24;

/**
 * Shows how far a trainer is, how fast, and its latest numbers. In a terminal one line moves (with the package `log-update`, where it is
 * installed); elsewhere every log is a line.
 * @returns ends it; it ends by itself when training does
 */
export async function showProgress(
  trainer: Trainer<any, any>,
  options: ProgressOptions = {},
): Promise<() => void> {
  const { stream = process.stderr, now = () => performance.now() } = options;
  const live = stream.isTTY ? await liveOn(stream) : null;
  let [speed, drawnAt] = [0, -Infinity];
  let values: LogReport['values'] = {};
  const draw = (report: Pick<StepReport, 'step' | 'steps' | 'epoch'>): void => {
    drawnAt = now();
    live!(lineOf(report, speed, values));
  };
  const off = [
    trainer.on('step', (report) => {
      speed = speed === 0 ? report.seconds : speed + freshness * (report.seconds - speed);
      if (live && now() - drawnAt >= milliseconds) draw(report);
    }),
    trainer.on('log', (report) => {
      values = report.values;
      if (live) draw(report);
      else stream.write(`${lineOf(report, speed, values)}\n`);
    }),
    trainer.on('evaluate', ({ step, values: numbers, improved }) => {
      live?.clear();
      stream.write(`evaluated at step ${step}  ${numbersOf(numbers)}${improved ? '  (best so far)' : ''}\n`);
    }),
    trainer.on('stop', () => end()),
    trainer.on('error', () => end()),
  ];
  const end = (): void => {
    for (const each of off) each();
    live?.done();
  };
  return end;
}

/** @returns null where the package is not installed */
async function liveOn(stream: NodeJS.WriteStream): Promise<Live | null> {
  try {
    const { createLogUpdate } = await import('log-update');
    return createLogUpdate(stream);
  } catch {
    return null;
  }
}

function lineOf(
  { step, steps, epoch }: Pick<StepReport, 'step' | 'steps' | 'epoch'>,
  secondsPerStep: number,
  values: LogReport['values'],
): string {
  const parts = [`step ${step}${steps === null ? `  epoch ${epoch + 1}` : `/${steps}`}`];
  if (steps !== null) {
    const filled = Math.round((step / steps) * width);
    parts.unshift('█'.repeat(filled) + '░'.repeat(width - filled));
    if (secondsPerStep > 0) parts.push(`${duration((steps - step) * secondsPerStep)} left`);
  }
  const said = numbersOf(values);
  return said === '' ? parts.join('  ') : `${parts.join('  ')}  ${said}`;
}

const numbersOf = (values: Readonly<Record<string, number>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name} ${Number.isInteger(value) ? value : Number(value.toPrecision(4))}`)
    .join('  ');

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h} h ${m} min` : m > 0 ? `${m} min ${s} s` : `${s} s`;
}
