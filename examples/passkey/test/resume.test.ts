/** A run that is stopped or killed at any moment goes on to the same bits; a damaged one is refused as it is. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSafetensors, saveSafetensors } from '@infinigrad/tensor/node';
import { parseOptions, type UsageError } from '../options.ts';
import { startCommand } from '../plan.ts';
import { runSession } from '../session.ts';
import { complaint, contents, launch, recorded, run, temporaryFolder, tiny, type Ended } from './support.ts';

/** Long enough to be caught in the middle. */
const args = [...tiny, '--steps', '150', '--seed', '7'];
/** The same run, never interrupted. */
const reference = mkdtempSync(join(tmpdir(), 'infinigrad-passkey-'));
let referenceTable = '';
beforeAll(async () => {
  const { code, stdout } = await run([...args, '--out', reference]);
  expect(code).toBe(0);
  referenceTable = table(stdout);
}, 120_000);
afterAll(() => rmSync(reference, { recursive: true, force: true }));

/** The results, without the speed. */
function table(stdout: string): string {
  return stdout
    .slice(stdout.indexOf('tokens  ×'), stdout.indexOf('Report:'))
    .replaceAll(/(?<=\b160 +)[\d,]+/g, '?')
    .replaceAll(/[ ─]+/g, ' ');
}

/** The arguments of the command that a stopped run prints. */
function printedArguments({ stdout }: Ended): string[] {
  const line = stdout.trimEnd().split('\n').at(-1)!;
  const [, command] = /Go on with: (.*)$/.exec(line)!;
  expect(command!.startsWith(`${startCommand} `)).toBe(true);
  return command!.slice(startCommand.length + 1).split(' ');
}

/** A copy of the reference, to be damaged. */
function copy(): string {
  const out = temporaryFolder();
  cpSync(reference, out, { recursive: true });
  return out;
}

/** The same in this process, without its display. */
function session(words: readonly string[]): Promise<void> {
  return runSession(
    parseOptions(words, () => {}),
    () => {},
    () => false,
  );
}

async function appears(path: string): Promise<void> {
  while (!existsSync(path)) await sleep(2);
}

const lastStep = (out: string): { model: string; step: number } =>
  recorded(out).findLast((line) => (line as { kind: string }).kind === 'step') as never;

describe('stopped and resumed, the run ends at the same bits', () => {
  test('killed, stopped, killed, stopped and killed again', async () => {
    const out = temporaryFolder();

    // Killed before there is a checkpoint: the same command starts over.
    let running = launch([...args, '--out', out]);
    await appears(join(out, 'config.json'));
    running.kill('SIGKILL');
    await running.ended;

    // Ctrl-C while the model is trained: saved, exit code 130, and the command that goes on.
    running = launch([...args, '--out', out]);
    await running.seen(/model {2}step 1\//);
    running.kill('SIGINT');
    let stopped = await running.ended;
    expect([stopped.code, stopped.stderr]).toEqual([130, '']);
    const [, step] = /Stopped at step (\d+) of 150 of the model; saved\./.exec(stopped.stdout)!;
    expect(lastStep(out)).toMatchObject({ model: 'model', step: Number(step) });
    expect(readdirSync(out).sort()).toEqual([
      'checkpoint.safetensors',
      'config.json',
      'metrics.jsonl',
      'report.html',
    ]);

    // Killed after a later checkpoint, in the middle of writing: what was trained since is trained again. While
    // it runs, no other process gets into the folder.
    const checkpoint = readFileSync(join(out, 'checkpoint.safetensors'));
    running = launch(printedArguments(stopped));
    await running.seen(/going on after step/);
    await expect(session(['--resume', out])).rejects.toThrow(/another process \(\d+\) is at work in/);
    while (checkpoint.equals(readFileSync(join(out, 'checkpoint.safetensors')))) await sleep(2);
    const saved = lastStep(out).step;
    while (lastStep(out).step === saved) await sleep(2);
    running.kill('SIGKILL');
    expect((await running.ended).signal).toBe('SIGKILL');
    expect(lastStep(out).model).toBe('model');
    const killedAt = lastStep(out).step;
    expect(killedAt).toBeLessThan(150);
    writeFileSync(join(out, 'metrics.jsonl'), '{"kind":"st', { flag: 'a' });
    writeFileSync(join(out, '.checkpoint.safetensors.0.tmp'), 'half');

    // Ctrl-C while the control is trained.
    running = launch(['--resume', out]);
    await running.seen(/local-only control {2}step 1\//);
    running.kill('SIGINT');
    stopped = await running.ended;
    expect(stopped.code).toBe(130);
    const [, again] = /going on after step (\d+) of the model/.exec(stopped.stdout)!;
    expect(Number(again)).toBeLessThan(killedAt);
    expect(stopped.stdout).toMatch(/Stopped at step \d+ of 150 of the local-only control; saved\./);

    // Killed in the evaluation.
    running = launch(printedArguments(stopped));
    await running.seen(/local-only control .*key at start/);
    running.kill('SIGKILL');
    await running.ended;

    const { code, stdout, stderr } = await run(['--resume', out]);
    expect([code, stderr]).toEqual([0, '']);
    expect(readdirSync(out).sort()).toEqual(readdirSync(reference).sort());
    expect(recorded(out)).toEqual(recorded(reference));
    for (const name of ['config.json', 'checkpoint.safetensors', 'model.safetensors', 'control.safetensors'])
      expect(readFileSync(join(out, name)).equals(readFileSync(join(reference, name))), name).toBe(true);
    expect(table(stdout)).toBe(referenceTable);
  });

  test('finished, it can be evaluated further without being trained again', async () => {
    const out = copy();
    const resumed = await run(['--resume', out, '--max-length', '512']);
    expect([resumed.code, resumed.stderr]).toEqual([0, '']);
    expect(resumed.stdout).not.toContain('step 1/');
    const cells = (folder: string, length: number): unknown[] =>
      recorded(folder).filter((line) => (line as { length?: number }).length === length);
    expect(cells(out, 128)).toEqual(cells(reference, 128));
    expect(cells(out, 512)).toHaveLength(9);
    expect(
      readFileSync(join(out, 'model.safetensors')).equals(readFileSync(join(reference, 'model.safetensors'))),
    ).toBe(true);
  });
});

describe('a run that cannot go on is told in one line, and stays as it is', () => {
  /** The error; the folder must be as before. */
  async function refused(out: string, ...more: readonly string[]): Promise<Error> {
    const before = contents(out);
    const error: unknown = await session(['--resume', out, ...more]).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message).not.toContain('\n');
    expect(contents(out)).toEqual(before);
    return error as Error;
  }

  test('a truncated checkpoint: exit code 1', async () => {
    const out = copy();
    const path = join(out, 'checkpoint.safetensors');
    truncateSync(path, 5000);
    const before = contents(out);
    const ended = await run(['--resume', out, '--samples', '1']);
    expect(ended.code).toBe(1);
    expect(complaint(ended)).toMatch(/^passkey: .*checkpoint\.safetensors: .*it is truncated$/);
    expect(contents(out)).toEqual(before);
    for (const bytes of [4000, 100, 8, 0]) {
      truncateSync(path, bytes);
      expect((await refused(out)).message).toContain(path);
    }
  });

  test('a checkpoint without a tensor', async () => {
    const out = copy();
    const path = join(out, 'checkpoint.safetensors');
    const { tensors, metadata } = await loadSafetensors(path);
    delete tensors['model.norm.weight'];
    await saveSafetensors(path, tensors, metadata);
    expect((await refused(out)).message).toMatch(/checkpoint\.safetensors does not fit this run \(.*missing/);
  });

  test('truncated weights of the model, while the control is at work', async () => {
    const out = copy();
    truncateSync(join(out, 'model.safetensors'), 5000);
    expect((await refused(out)).message).toMatch(/model\.safetensors: .*it is truncated/);
  });

  test('weights of another model', async () => {
    const out = copy();
    copyFileSync(join(out, 'control.safetensors'), join(out, 'model.safetensors'));
    expect((await refused(out)).message).toMatch(/model\.safetensors does not fit this run \(.*missing/);
  });

  test('a truncated plan', async () => {
    const out = copy();
    truncateSync(join(out, 'config.json'), 300);
    expect((await refused(out)).message).toMatch(/config\.json is damaged \(not JSON\)/);
  });

  test('lengths that make no sense are a wrong option, and the run can still be resumed', async () => {
    const out = copy();
    const error = await refused(out, '--max-length', '5');
    expect(error.message).toMatch(/--max-length 5 is below the training length/);
    expect((error as UsageError).exitCode).toBe(2);
    await session(['--resume', out]);
  });
});
