/** A run's folder refuses what is not its run, and changes nothing before it has begun. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lockName } from '../lock.ts';
import { RunError, type RunRequest } from '../plan.ts';
import { RunFolder } from '../run-folder.ts';
import { cellLine, contents, planOf, stepLine, temporaryFolder } from './support.ts';

const plan = planOf();
const fresh = (out: string, change = plan): RunRequest => ({ kind: 'new', out, plan: change });
const resumed = (out: string, evaluation: Partial<typeof plan.evaluation> = {}): RunRequest => ({
  kind: 'resume',
  out,
  evaluation,
});

/** The error of opening; the folder must be as before. */
async function refusal(request: RunRequest): Promise<string> {
  const before = contents(request.out);
  const error = await RunFolder.open(request).then(
    () => new Error('accepted'),
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(RunError);
  expect((error as RunError).message).not.toContain('\n');
  expect(contents(request.out)).toEqual(before);
  return (error as RunError).message;
}

/** A folder that holds a run with these lines. */
async function begun(...lines: Parameters<RunFolder['append']>[0][]): Promise<string> {
  const out = join(temporaryFolder(), 'run');
  const folder = await RunFolder.open(fresh(out));
  await folder.begin(() => true);
  for (const line of lines) folder.append(line);
  folder.close();
  return out;
}

describe('a folder that is not this run', () => {
  test('holds other things', async () => {
    const out = temporaryFolder();
    writeFileSync(join(out, 'thesis.txt'), 'years of work');
    expect(await refusal(fresh(out))).toMatch(/is not empty and holds no run \(thesis\.txt\).*--out/);
    expect(await refusal(resumed(out))).toMatch(/holds no run \(no config\.json there\)/);
  });

  test.each(['{"model_type":"llama"}', 'not json', ''])('holds another config.json: %s', async (text) => {
    const out = temporaryFolder();
    writeFileSync(join(out, 'config.json'), text);
    writeFileSync(join(out, 'model.safetensors'), 'weights');
    for (const request of [fresh(out), resumed(out)])
      expect(await refusal(request)).toMatch(/config\.json (describes no|is damaged)/);
  });

  test('holds a run with another plan', async () => {
    const out = await begun(stepLine(1));
    for (const other of [planOf({ seed: 1 }), planOf({}, { control: false })])
      expect(await refusal(fresh(out, other))).toMatch(/holds another run.*--resume .*run/);
  });

  test('holds this very run, finished', async () => {
    const out = await begun({ kind: 'done' });
    expect(await refusal(fresh(out))).toMatch(/holds this very run, finished: see .*report\.html/);
  });

  test('is a file, or lies in one', async () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    await expect(RunFolder.open(fresh(file))).rejects.toThrow(/cannot be used as a run's folder \(EEXIST\)/);
    await expect(RunFolder.open(fresh(join(file, 'run')))).rejects.toThrow(/\(ENOTDIR\)/);
  });

  test('is at work under another process', async () => {
    const out = await begun();
    writeFileSync(join(out, lockName), String(process.ppid));
    expect(await refusal(resumed(out))).toMatch(/another process .* is at work/);
  });

  test('has damaged metrics', async () => {
    const out = await begun(stepLine(1));
    writeFileSync(join(out, 'metrics.jsonl'), 'x\n');
    expect(await refusal(resumed(out))).toMatch(/metrics\.jsonl is damaged in line 1/);
  });

  test('does not exist, to be resumed: it is not made', async () => {
    const parent = temporaryFolder();
    await expect(RunFolder.open(resumed(join(parent, 'none')))).rejects.toThrow(/holds no run/);
    expect(readdirSync(parent)).toEqual([]);
  });
});

describe('a run', () => {
  test('is there after it has begun, with its lines', async () => {
    const out = await begun(stepLine(1), cellLine(1));
    expect(readdirSync(out).sort()).toEqual(['config.json', 'metrics.jsonl']);
    for (const request of [fresh(out), resumed(out)]) {
      const folder = await RunFolder.open(request);
      expect([folder.plan, folder.metrics]).toEqual([plan, [stepLine(1), cellLine(1)]]);
      folder.close();
    }
  });

  test('opened and closed is unchanged, also with other lengths', async () => {
    const out = await begun(stepLine(1));
    const before = contents(out);
    const folder = await RunFolder.open(resumed(out, { maxLength: 5, samples: 1 }));
    folder.close();
    expect(contents(out)).toEqual(before);
  });

  test('resumed with other lengths: the controls stay where they end, unless they went all the way', async () => {
    const out = await begun();
    const read = async (evaluation: Partial<typeof plan.evaluation>): Promise<object> => {
      const folder = await RunFolder.open(resumed(out, evaluation));
      await folder.begin(() => true);
      folder.close();
      return folder.plan.evaluation;
    };
    expect(await read({ maxLength: 8192 })).toEqual({ maxLength: 8192, controlMaxLength: 512, samples: 4 });
    expect(await read({ maxLength: 512 })).toEqual({ maxLength: 512, controlMaxLength: 512, samples: 4 });
    expect(await read({ maxLength: 2048, samples: 2 })).toEqual({
      maxLength: 2048,
      controlMaxLength: 2048,
      samples: 2,
    });
  });

  test('what a killed write left behind is no obstacle and goes away', async () => {
    const out = join(temporaryFolder(), 'run');
    mkdirSync(out);
    writeFileSync(join(out, '.config.json.123.tmp'), 'half');
    const folder = await RunFolder.open(fresh(out));
    await folder.begin(() => true);
    folder.close();
    expect(readdirSync(out).sort()).toEqual(['config.json', 'metrics.jsonl']);
  });

  test('keeps the lines that are wanted, on the disk too', async () => {
    const out = await begun(stepLine(1), stepLine(2), stepLine(3));
    const folder = await RunFolder.open(resumed(out));
    await folder.begin((line) => line.kind === 'step' && line.step < 3);
    folder.append(stepLine(3, { loss: 1 }));
    folder.close();
    const again = await RunFolder.open(resumed(out));
    expect(again.metrics).toEqual([stepLine(1), stepLine(2), stepLine(3, { loss: 1 })]);
    again.close();
  });

  test('without a checkpoint has none', async () => {
    const folder = await RunFolder.open(resumed(await begun()));
    expect(await folder.loadCheckpoint()).toBeNull();
    folder.close();
  });
});
