/** What the tests of the command line share: folders, texts, and commands here and as processes of their own. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { run } from '../src/program.ts';

export const root = resolve(import.meta.dirname, '../../..');

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** @returns the folder, and what removes it */
export function temporaryFolder(): { readonly folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'infinigrad-cli-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** 1,400 characters of 9 words. */
export const text = Array.from(
  { length: 350 },
  (_, i) => ['the', 'cat', 'sat', 'on', 'a', 'mat', 'and', 'saw', 'it'][(i * i + (i >> 3)) % 9],
).join(' ');

export function writeText(folder: string, name = 'text.txt'): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** A LLaMA of some thousand parameters that takes milliseconds a step. */
export const tiny =
  '--set hiddenSize=16 --set intermediateSize=32 --set numHiddenLayers=1 --batch-size 2 --length 16'.split(
    ' ',
  );

/** A command in this process. */
export async function cli(...args: readonly string[]): Promise<Ended> {
  let [out, err] = ['', ''];
  const write = (piece: string): boolean => {
    out += piece;
    return true;
  };
  const stream = { write, isTTY: false } as unknown as NodeJS.WriteStream;
  const code = await run(args, {
    out: write,
    error: (piece) => {
      err += piece;
    },
    stream,
  });
  return { code, out, err };
}

export interface Running {
  readonly ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when the output has matched. */
  seen(pattern: RegExp): Promise<void>;
}

/** A command as a user starts it. @param input what it reads */
export function launch(args: readonly string[], input = ''): Running {
  const main = join(root, 'packages/cli/src/main.ts');
  const child = spawn(
    process.execPath,
    ['--conditions=@infinigrad/source', '--import', 'tsx', main, ...args],
    {
      cwd: root,
      env: { ...process.env, INFINIGRAD_DEBUG: '' },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: 120_000,
      killSignal: 'SIGKILL',
    },
  );
  let [out, err] = ['', ''];
  const waiting = new Set<() => void>();
  child.stdin.end(input);
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    out += piece;
    for (const look of waiting) look();
  });
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    err += piece;
  });
  const ended = new Promise<Ended>((settle, fail) => {
    child.on('error', fail);
    child.on('close', (code) => settle({ code, out, err }));
  });
  return {
    ended,
    kill: (signal) => void child.kill(signal),
    seen: (pattern) =>
      new Promise((settle, fail) => {
        const look = (): void => {
          if (!pattern.test(out)) return;
          waiting.delete(look);
          settle();
        };
        waiting.add(look);
        look();
        void ended.then(() => fail(new Error(`ended without ${String(pattern)}:\n${out}${err}`)));
      }),
  };
}

/** Every file of a folder that is none of a run's own, with its content. */
export function contents(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => [name, readFileSync(join(folder, name), 'base64')]),
  );
}
