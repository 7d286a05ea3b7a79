/** The commands as a user starts them, stopped and gone on with. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cli, launch, temporaryFolder, tiny, writeText } from './support.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);
const model = at('model');
const steps = 120;
const settings = `--steps ${steps} --log-every 1 --save-every 50`.split(' ');
const training = (out: string): string[] => [
  'train',
  '--data',
  at('text.txt'),
  ...settings,
  ...tiny,
  '--out',
  out,
];
const weights = (out: string): string => readFileSync(join(out, 'model.safetensors'), 'base64');
const losses = (out: string): unknown[] =>
  readFileSync(join(out, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const { step, loss } = JSON.parse(line) as { step: number; loss: number };
      return [step, loss];
    });

beforeAll(async () => {
  writeText(folder);
  const whole = await cli(...training(model));
  expect([whole.code, whole.err]).toEqual([0, '']);
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('a run that %s stops goes on to the bit', async (signal, code) => {
  const out = at(`stopped by ${signal}`);
  const running = launch(training(out));
  await running.seen(/step 3\//);
  running.kill(signal);
  const stopped = await running.ended;
  expect(stopped.code).toBe(code);
  const [, step] = /^Stopped at step (\d+) of 120; saved\. Go on with: infinigrad train --resume '/.exec(
    stopped.err,
  )!;
  expect(Number(step)).toBeLessThan(steps);
  expect(stopped.out).toContain('Stopping after this step');
  expect(existsSync(join(out, 'model.safetensors'))).toBe(false);
  expect((await cli('generate', out, 'a')).err).toMatch(/not finished/);

  const again = await cli('train', '--resume', out);
  expect([again.code, again.err]).toEqual([0, '']);
  expect(again.out).toContain(`from step ${step}, `);
  expect(weights(out)).toBe(weights(model));
  expect(losses(out)).toEqual(losses(model));
  expect(readdirSync(out).sort()).toEqual(readdirSync(model).sort());

  // What is finished is not trained further.
  expect((await cli('train', '--resume', out)).code).toBe(0);
  expect(weights(out)).toBe(weights(model));
});

test('a run that is killed before its first checkpoint goes on from the model that it began with', async () => {
  const args = (out: string): string[] => ['train', '--from', model, '--data', at('text.txt'), '--out', out];
  const few = '--steps 30 --save-every 1000 --batch-size 2 --length 16 --log-every 1'.split(' ');
  const [whole, killed] = [at('tuned'), at('killed')];
  expect((await cli(...args(whole), ...few)).code).toBe(0);
  const running = launch([...args(killed), ...few]);
  await running.seen(/step 2\//);
  running.kill('SIGKILL');
  await running.ended;
  const again = await cli('train', '--resume', killed);
  expect([again.code, again.err]).toEqual([0, '']);
  expect(again.out).toContain('from step 0, ');
  expect(weights(killed)).toBe(weights(whole));
  expect(losses(killed)).toEqual(losses(whole));
});

test('generate, eval, inspect, convert and a mistake as processes of their own', async () => {
  const [written, measured, looked, converted, wrong] = await Promise.all([
    launch(['generate', model, '--seed', '3', '--max-tokens', '12'], 'the cat').ended,
    launch(['eval', model, at('text.txt'), '--json']).ended,
    launch(['inspect', model, '--json']).ended,
    launch(['convert', model, at('half'), '--dtype', 'f16', '--json']).ended,
    launch(['eval', model]).ended,
  ]);
  for (const { code, err } of [written, measured, looked, converted]) expect([err, code]).toEqual(['', 0]);
  const here = await cli('generate', model, 'the cat', '--seed', '3', '--max-tokens', '12');
  expect(written.out).toBe(here.out);
  expect(written.out.length).toBeGreaterThan(3);
  expect((JSON.parse(measured.out) as { perplexity: number }).perplexity).toBeLessThan(20);
  expect((JSON.parse(looked.out) as { config: object }).config).toMatchObject({ model_type: 'llama' });
  expect((JSON.parse(converted.out) as { files: string[] }).files).toContain('model.safetensors');
  expect([wrong.code, wrong.err.split('\n').length]).toEqual([2, 2]);
});
