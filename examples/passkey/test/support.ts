/** What the tests of the main job share: folders, plans, and runs as processes of their own. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { passkeyRecipe, type PasskeyRecipe, type PasskeyVariant } from '@infinigrad/zoo';
import type { CellLine, MetricLine, StepLine } from '../events.ts';
import { parseMetrics } from '../parse.ts';
import type { RunPlan } from '../plan.ts';

export const root = resolve(import.meta.dirname, '../../..');

/** A folder that goes away with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'infinigrad-passkey-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Every file of a folder with its content. */
export function contents(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), 'base64')]),
  );
}

export function planOf(
  overrides: Partial<PasskeyRecipe> = {},
  { variant = 'gated', ...rest }: Partial<RunPlan> & { variant?: PasskeyVariant } = {},
): RunPlan {
  return {
    recipe: passkeyRecipe(variant, overrides),
    control: true,
    evaluation: { maxLength: 2048, controlMaxLength: 512, samples: 4 },
    ...rest,
  };
}

export function stepLine(step: number, change: Partial<StepLine> = {}): StepLine {
  return {
    kind: 'step',
    model: 'model',
    seconds: 0.5,
    step,
    steps: 600,
    loss: 3 / step,
    answerLoss: 2 / step,
    accuracy: 0.25,
    gradNorm: 1,
    learningRate: 1e-3,
    tokens: 128,
    segments: 4,
    gates: [[0.6, 0.25]],
    writeGate: { digits: 0.75, filler: 0.125 },
    ...change,
  };
}

export function cellLine(multiple: number, change: Partial<CellLine> = {}): CellLine {
  return {
    kind: 'cell',
    subject: 'model',
    length: 128 * multiple,
    multiple,
    position: 'start',
    samples: 4,
    exactMatch: 0.75,
    digitAccuracy: [1, 1, 0.75],
    stateBytes: 8448,
    tokensPerSecond: 12_345.6,
    ...change,
  };
}

/** A model of 2,300 parameters that takes milliseconds a step. */
export const tiny = ['--batch-size', '2', '--hidden-size', '8', '--samples', '2', '--max-length', '128'];

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
  /** Reads no more, as `| head` does. */
  hangUp(): void;
  /** Resolves when stdout has matched. */
  seen(pattern: RegExp): Promise<void>;
}

/** No run outlives its test for long. */
const longest = { timeout: 120_000, killSignal: 'SIGKILL' } as const;

/** Starts the main job as `pnpm start` does. */
export function launch(args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(
    process.execPath,
    ['--conditions=@infinigrad/source', '--import', 'tsx', 'examples/passkey/main.ts', ...args],
    {
      cwd: root,
      env: { ...process.env, INFINIGRAD_DEBUG: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...longest,
    },
  );
  let stdout = '';
  let stderr = '';
  const waiting = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (const look of waiting) look();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((settle, fail) => {
    child.on('error', fail);
    child.on('close', (code, signal) => settle({ code, signal, stdout, stderr }));
  });
  return {
    ended,
    kill: (signal) => void child.kill(signal),
    hangUp: () => void child.stdout.destroy(),
    seen: (pattern) =>
      new Promise((settle, fail) => {
        const look = (): void => {
          if (!pattern.test(stdout)) return;
          waiting.delete(look);
          settle();
        };
        waiting.add(look);
        look();
        void ended.then(() => fail(new Error(`ended without ${String(pattern)}:\n${stdout}${stderr}`)));
      }),
  };
}

export const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
  launch(args, env).ended;

/** The one line on stderr. */
export function complaint({ stderr }: Ended): string {
  const lines = stderr.split('\n');
  if (lines.length !== 2 || lines[1] !== '') throw new Error(`not one line:\n${stderr}`);
  return lines[0]!;
}

/** What a run recorded, without what depends on the clock. */
export function recorded(folder: string): unknown[] {
  const path = join(folder, 'metrics.jsonl');
  return parseMetrics(path, readFileSync(path, 'utf8')).map((line: MetricLine) => {
    if (line.kind === 'step') return { ...line, seconds: 0 };
    return line.kind === 'cell' ? { ...line, tokensPerSecond: 0 } : line;
  });
}
