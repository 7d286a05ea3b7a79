/** Progress: a moving line in a terminal, plain lines elsewhere, and nothing left behind. */
import { PassThrough } from 'node:stream';
import { showProgress } from '@infinigrad/nn/node';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { makeTrainer } from './killed-run.ts';

function terminal(isTTY: boolean): { stream: NodeJS.WriteStream; text: () => string } {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return {
    stream: Object.assign(stream, { isTTY, columns: 120, rows: 40 }) as unknown as NodeJS.WriteStream,
    text: () => text,
  };
}

async function run(isTTY: boolean): Promise<string> {
  const { stream, text } = terminal(isTTY);
  const trainer = makeTrainer();
  let now = 0;
  await showProgress(trainer, { stream, now: () => (now += 1000) });
  for await (const { step } of trainer.run()) if (step === 20) break;
  await sleep(5);
  return text();
}

test('elsewhere than in a terminal every log and every evaluation is a line', async () => {
  const lines = (await run(false)).trimEnd().split('\n');
  expect(lines.map((line) => line.replaceAll(/\d+(\.\d+)?(e-\d+)?/g, '#'))).toEqual([
    'evaluated at step #  loss #  (best so far)',
    expect.stringMatching(
      /^█+░+  step #\/#  # s left  loss #  learningRate #  gradNorm #  weightPerSecond #$/,
    ),
    'evaluated at step #  loss #  (best so far)',
    expect.stringMatching(/^█+░+  step #\/#/),
  ]);
  expect(lines[1]).toContain('step 10/30');
});
test('in a terminal a line moves', async () => {
  const text = await run(true);
  expect(text).toContain('step 20/30');
  // Drawn anew for every step, with what was there taken away.
  expect(text.split('step ').length).toBeGreaterThan(15);
  expect(text).toContain('\u001B[');
  expect(text).toContain('evaluated at step 7');
});
test('ends when told, and says no more', async () => {
  const { stream, text } = terminal(false);
  const trainer = makeTrainer();
  const end = await showProgress(trainer, { stream });
  end();
  for await (const { step } of trainer.run()) if (step === 10) break;
  expect(text()).toBe('');
});
