/** A run that is killed at fifty random moments and goes on each time is, to the bit, the run that never stopped. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TrainerState } from '@infinigrad/nn';
import { Checkpoints } from '@infinigrad/nn/node';
import { encodeSafetensors, Key } from '@infinigrad/tensor';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundle } from './bundle.ts';
import { makeTrainer, steps } from './killed-run.ts';

const folder = mkdtempSync(join(tmpdir(), 'infinigrad-killed-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hashOf = ({ tensors, meta }: TrainerState): string =>
  createHash('sha256').update(encodeSafetensors(tensors)).update(JSON.stringify(meta)).digest('hex');

/** The state after every step of a run that nothing disturbs. */
const reference = new Map<number, string>();
const child = join(folder, 'child.mjs');

beforeAll(async () => {
  const trainer = makeTrainer({
    save: async (state, { step }) => void reference.set(step, hashOf(state)),
    latest: () => Promise.resolve(null),
  });
  await trainer.fit();
  await bundle('killed-child.ts', child);
}, 60_000);

interface Kill {
  /** Before, it must have begun, saved, or begun to write. */
  readonly after: 'begun' | 'saved' | 'writing';
  readonly milliseconds: number;
}

/** Writes that were begun and not ended. */
const unfinished = (at: string): string[] => readdirSync(at).filter((name) => name.startsWith('.'));

/** Starts the run in a folder, and kills it at a moment; null: not at all. */
async function begin(
  at: string,
  kill: Kill | null,
): Promise<{ from: number; finished: boolean; torn: boolean }> {
  const before = new Set(unfinished(at));
  const writing = (): boolean => unfinished(at).some((name) => !before.has(name));
  const run = spawn(process.execPath, [child, at], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => {
    run.once('close', (_, signal) => resolve(signal));
  });
  let [said, complained] = ['', ''];
  run.stderr.on('data', (text: Buffer) => (complained += text.toString()));
  const ready = new Promise<void>((resolve) => {
    run.stdout.on('data', (text: Buffer) => {
      said += text.toString();
      if (said.includes(kill?.after === 'saved' ? 'saved' : '\n')) resolve();
    });
  });
  await Promise.race([ready, ended]);
  if (kill) {
    for (
      const until = performance.now() + 2000;
      kill.after === 'writing' && performance.now() < until;
      await sleep(0)
    )
      if (writing()) break;
    await sleep(kill.milliseconds);
    run.kill('SIGKILL');
  }
  const signal = await ended;
  expect(complained).toBe('');
  return { from: Number(/from (\d+)/.exec(said)![1]), finished: signal === null, torn: writing() };
}

async function lane(name: string, kills: number, key: Key): Promise<{ progress: number[]; torn: number }> {
  const at = join(folder, name);
  mkdirSync(at);
  const progress: number[] = [];
  let [done, torn] = [0, 0];
  for (let i = 0; done < kills; i++) {
    const after = (['begun', 'saved', 'writing', 'saved', 'writing'] as const)[i % 5]!;
    const most = after === 'writing' ? 8 : 60;
    const milliseconds = key.foldIn(i).uniform([1], { min: 0, max: most }).dataSync()[0]!;
    const { from, finished, torn: half } = await begin(at, { after, milliseconds });
    expect(from).toBe(progress.at(-1) ?? 0);
    // A write that was under way left its beginning.
    torn += Number(half);
    const state = await new Checkpoints(at, {
      onRefused: (error) => expect.unreachable(error.message),
    }).latest();
    if (state)
      expect([state.meta.step, hashOf(state)]).toEqual([state.meta.step, reference.get(state.meta.step)]);
    progress.push(state?.meta.step ?? 0);
    if (finished) {
      rmSync(at, { recursive: true });
      mkdirSync(at);
      progress.push(0);
    } else done++;
  }
  expect((await begin(at, null)).finished).toBe(true);
  const state = await new Checkpoints(at).latest();
  expect([state!.meta.step, hashOf(state!)]).toEqual([steps, reference.get(steps)]);
  expect(readdirSync(at).filter((entry) => !entry.startsWith('step-'))).toEqual([]);
  return { progress, torn };
}

describe('killed and resumed', () => {
  test('fifty times', async () => {
    expect(reference.size).toBe(steps);
    expect(new Set(reference.values()).size).toBe(steps);
    // Several runs side by side, so that a busy machine does not make it long.
    const lanes = await Promise.all(
      Array.from({ length: 5 }, (_, i) => lane(String(i), 10, new Key(20).foldIn(i))),
    );
    for (const { progress } of lanes) {
      // They were caught in the middle, and each went on from where it was.
      expect(new Set(progress).size).toBeGreaterThan(3);
      expect(Math.max(...progress)).toBeLessThanOrEqual(steps);
    }
    // Some of them while a checkpoint was being written.
    expect(lanes.reduce((total, { torn }) => total + torn, 0)).toBeGreaterThan(4);
  });
});
