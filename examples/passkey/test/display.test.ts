/** What a run shows: plain lines in a pipe, a moving screen in a terminal. */
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createDisplay } from '../display/display.ts';
import { duration, loss } from '../display/format.ts';
import { Progress } from '../display/progress.ts';
import type { RunEvent } from '../events.ts';
import { cellLine, planOf, stepLine } from './support.ts';

const plan = planOf();
const step = (n: number, seconds = 0.5): RunEvent => ({
  type: 'step',
  model: 'model',
  report: stepLine(n),
  seconds,
});
const training: RunEvent = { type: 'training', model: 'model', step: 0, steps: 600 };
const evaluating: RunEvent = { type: 'evaluating', subject: 'model', length: 128, multiple: 1 };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A stream that keeps what is written, and a display on it. */
function shown(terminal: { readonly columns: number } | null) {
  let text = '';
  const sink = new Writable({
    write(chunk, _, done) {
      text += String(chunk);
      done();
    },
  });
  const stream = Object.assign(sink, terminal && { isTTY: true, rows: 40, ...terminal });
  const display = createDisplay(stream as never, { kind: 'new', out: 'runs/a', plan });
  return { display, text: () => text };
}

describe('in a pipe', () => {
  test('the first step at once, then a line every three seconds, and the last', () => {
    const { display, text } = shown(null);
    display.show(training);
    for (let n = 1; n <= 600; n++) {
      display.show(step(n));
      vi.advanceTimersByTime(500);
    }
    display.end();
    const lines = text()
      .split('\n')
      .filter((line) => line.startsWith('model  step'));
    expect(lines[0]).toMatch(
      /^model {2}step 1\/600 {2}loss 3\.000 {2}answers 2\.000 {2}digits right 25 % {2}memory gate 0\.60 0\.25 {3}written: digits 0\.75, the rest 0\.125 {2}256 tokens\/s {2}5 min 0 s left$/,
    );
    expect(lines.at(-1)).toMatch(/^model {2}step 600\/600 /);
    expect(lines.length).toBeGreaterThan(80);
    expect(lines.length).toBeLessThan(110);
    expect(text()).not.toContain('\u001B');
  });

  test('never silent for more than ten seconds', () => {
    const { display, text } = shown(null);
    const lines = (): number => text().split('\n').length;
    display.show(training);
    for (const event of [step(1), evaluating]) {
      display.show(event);
      const before = lines();
      vi.advanceTimersByTime(30_100);
      expect(lines() - before).toBeGreaterThanOrEqual(2);
    }
    expect(text()).toContain('model: evaluating 128 tokens, 20 s so far');
    display.end();
  });

  test('after the end nothing more', () => {
    const { display, text } = shown(null);
    display.end('done');
    const before = text();
    display.show(training);
    vi.advanceTimersByTime(60_000);
    display.end('again');
    expect(text()).toBe(before);
  });
});

describe('in a terminal', () => {
  test.each([0, 20, 100])(
    'of %i columns: bar, numbers and curve while training, the lines that stay',
    (columns) => {
      const { display, text } = shown({ columns });
      display.show({ type: 'started', plan, parameters: 102_340, resumedAt: null });
      display.show(training);
      for (let n = 1; n <= 100; n++) display.show(step(n));
      display.show({ type: 'saved', model: 'model', step: 50 });
      vi.advanceTimersByTime(200);
      display.note('a note');
      display.show(evaluating);
      vi.advanceTimersByTime(200);
      display.show({ type: 'cell', subject: 'model', cell: cellLine(1) });
      display.end('the table');
      const flat = text().replaceAll(/\s+/g, ' ');
      expect(flat).toContain('102,340 parameters');
      expect(text()).toContain('a note\n');
      expect(text()).toContain('exact match 0.750');
      expect(text().endsWith('the table\n')).toBe(true);
      if (columns < 100) return;
      expect(text()).toContain('step 100/600  4 min 10 s left');
      expect(text()).toContain('saved at step 50');
      expect(text()).toContain('loss of the answers');
      expect(text()).toMatch(/┤.*╰/);
      expect(text()).toContain('evaluating 128 tokens (1×)');
    },
  );
});

describe('numbers in words', () => {
  test.each([
    [0.4, '0 s'],
    [59.4, '59 s'],
    [59.6, '1 min 0 s'],
    [3599.7, '1 h 0 min'],
    [7260, '2 h 1 min'],
  ])('%f seconds', (seconds, text) => expect(duration(seconds)).toBe(text));

  test.each([
    [3.2468, '3.247'],
    [0.01, '0.010'],
    [0.00123, '1.2e-3'],
  ])('a loss of %f', (value, text) => expect(loss(value)).toBe(text));

  test('the time left follows the speed, step by step', () => {
    const progress = new Progress();
    progress.add(training);
    expect(progress.secondsLeft).toBeNull();
    progress.add(step(1, 2));
    expect(progress.secondsLeft).toBe(599 * 2);
    progress.add(step(2, 1));
    expect(progress.secondsLeft).toBeCloseTo(598 * 1.9);
  });
});
