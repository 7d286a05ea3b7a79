/** The main job as a user starts it: what it leaves, how it fails, how it ends. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { full } from '@infinigrad/tensor';
import { loadSafetensors, saveSafetensors } from '@infinigrad/tensor/node';
import { PasskeyTrainer } from '@infinigrad/zoo';
import { loadPretrained } from '@infinigrad/zoo/node';
import type { MetricLine } from '../events.ts';
import { planFromJson } from '../parse.ts';
import { complaint, contents, launch, recorded, run, temporaryFolder, tiny } from './support.ts';

const short = [...tiny, '--steps', '4'];
const files = ['checkpoint.safetensors', 'config.json', 'metrics.jsonl', 'model.safetensors', 'report.html'];
const kinds = (folder: string): string[] =>
  (recorded(folder) as MetricLine[]).map((line) => {
    if (line.kind === 'step') return `${line.model} ${line.step}`;
    return line.kind === 'cell' ? `${line.subject} ${line.length} ${line.position}` : line.kind;
  });
const cells = (subject: string): string[] => ['start', 'middle', 'end'].map((at) => `${subject} 128 ${at}`);
const steps = (model: string): string[] => [1, 2, 3, 4].map((step) => `${model} ${step}`);

describe('a short run', () => {
  test('without a control leaves its files, and its table on the screen', async () => {
    const out = join(temporaryFolder(), 'a run');
    const { code, stdout, stderr } = await run([...short, '--no-control', '--out', out]);
    expect([code, stderr]).toEqual([0, '']);
    expect(readdirSync(out).sort()).toEqual(files);
    expect(kinds(out)).toEqual([...steps('model'), ...cells('model'), ...cells('zeroed'), 'done']);
    expect(stdout).toMatch(/^passkey: gated, seed 0, 4 steps, into .*a run\n2,300 parameters/);
    expect(stdout).toMatch(/model {2}step 4\/4 {2}loss \d\.\d{3}/);
    expect(stdout).toMatch(/tokens +× +key at +exact match/);
    expect(stdout.trimEnd().split('\n').at(-1)).toBe(`Report: ${out}/report.html`);
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('4 of 4 steps trained');

    // The folder is a model that others can load: the one that the recipe trains.
    const { recipe } = planFromJson('config.json', readFileSync(join(out, 'config.json'), 'utf8'));
    const trainer = new PasskeyTrainer(recipe);
    for (const _ of trainer.run());
    const model = await loadPretrained(out);
    const values = (m: typeof model): number[][] =>
      Object.values(m.stateDict()).map((x) => Array.from(x.dataSync()));
    expect(values(model)).toEqual(values(trainer.model));

    // The same run again is refused, and changes nothing.
    const before = contents(out);
    const again = await run([...short, '--no-control', '--out', out]);
    expect(again.code).toBe(1);
    expect(complaint(again)).toMatch(/holds this very run, finished/);
    expect(contents(out)).toEqual(before);
  });

  test('with a control trains and evaluates that too', async () => {
    const out = temporaryFolder();
    const { code, stdout } = await run([...short, '--variant', 'published', '--out', out]);
    expect(code).toBe(0);
    expect(readdirSync(out).sort()).toEqual([...files, 'control.safetensors'].sort());
    expect(kinds(out)).toEqual([
      ...steps('model'),
      ...cells('model'),
      ...cells('zeroed'),
      ...steps('control'),
      ...cells('control'),
      'done',
    ]);
    expect(stdout).toContain('local-only control  step 4/4');
  });

  const python = process.env['INFINIGRAD_PYTHON'];
  test.skipIf(!python)('its weights are read by the Python library to the bit', async () => {
    const out = temporaryFolder();
    expect((await run([...short, '--no-control', '--out', out])).code).toBe(0);
    const script = [
      'import json, sys',
      'from safetensors.numpy import load_file',
      'state = load_file(sys.argv[1])',
      'print(json.dumps({k: [str(v.dtype), list(v.shape), v.tobytes().hex()] for k, v in state.items()}))',
    ];
    const path = join(out, 'model.safetensors');
    const text = execFileSync(python!, ['-c', script.join('\n'), path], { encoding: 'utf8' });
    const { tensors } = await loadSafetensors(path);
    const bytes = (x: ArrayBufferView): string =>
      Buffer.from(x.buffer, x.byteOffset, x.byteLength).toString('hex');
    expect(JSON.parse(text)).toEqual(
      Object.fromEntries(
        Object.entries(tensors).map(([name, x]) => [name, ['float32', [...x.shape], bytes(x.dataSync())]]),
      ),
    );
  });
  if (!python) console.log('skipped: INFINIGRAD_PYTHON names no Python that has safetensors');
});

describe('what cannot be done is one line on stderr', () => {
  test('--help is no failure: exit code 0', async () => {
    const { code, stdout, stderr } = await run(['--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('--max-length <tokens>');
  });

  test('a wrong option: exit code 2, nothing started', async () => {
    const ended = await run(['--steps', '0']);
    expect([ended.code, ended.stdout]).toEqual([2, '']);
    expect(complaint(ended)).toMatch(/^passkey: option '--steps <n>' argument '0' is invalid.*--help/);
  });

  test("someone else's folder: exit code 1, nothing touched", async () => {
    const out = temporaryFolder();
    writeFileSync(join(out, 'thesis.txt'), 'years of work');
    mkdirSync(join(out, 'figures'));
    const ended = await run([...short, '--out', out]);
    expect(ended.code).toBe(1);
    expect(complaint(ended)).toMatch(/is not empty and holds no run \(figures, thesis\.txt\)/);
    expect(readdirSync(out)).toEqual(['figures', 'thesis.txt']);
  });

  test('a reader that goes away is none: exit code 1 without a word, and the run can be resumed', async () => {
    const out = temporaryFolder();
    const running = launch([...tiny, '--steps', '20', '--no-control', '--out', out]);
    await running.seen(/parameters/);
    running.hangUp();
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([1, '']);
    expect((await run(['--resume', out])).code).toBe(0);
  });

  test('with INFINIGRAD_DEBUG set it is the whole stack', async () => {
    const { stderr } = await run(['--resume', '/nowhere'], { INFINIGRAD_DEBUG: '1' });
    expect(stderr).toMatch(/RunError: \/nowhere holds no run[^]*\n {4}at /);
  });

  test('a loss that is not a number, before there is a checkpoint: the step, and that there is none', async () => {
    const out = temporaryFolder();
    for (const _ of [1, 2]) {
      const ended = await run([
        ...tiny,
        '--steps',
        '40',
        '--no-control',
        '--learning-rate',
        '1e30',
        '--out',
        out,
      ]);
      expect(ended.code).toBe(1);
      expect(complaint(ended)).toMatch(
        /^passkey: training stopped at step \d+ of the model: .*(?:NaN|Infinity).*; there is no checkpoint yet\. Try a smaller --learning-rate/,
      );
      expect(readdirSync(out).sort()).toEqual(['config.json', 'metrics.jsonl', 'report.html']);
    }
  });

  test('a loss that is not a number, later: where the last good checkpoint is, which stays', async () => {
    const out = temporaryFolder();
    const running = launch([...tiny, '--steps', '400', '--no-control', '--out', out]);
    await running.seen(/step 1\//);
    running.kill('SIGTERM');
    const stopped = await running.ended;
    expect(stopped.code).toBe(143);
    const step = Number(/Stopped at step (\d+) of 400/.exec(stopped.stdout)![1]);
    const path = join(out, 'checkpoint.safetensors');
    const { tensors, metadata } = await loadSafetensors(path);
    await saveSafetensors(path, { ...tensors, 'model.norm.weight': full([8], NaN) }, metadata);
    const before = readFileSync(path);
    const ended = await run(['--resume', out]);
    expect(ended.code).toBe(1);
    expect(complaint(ended)).toContain(`training stopped at step ${step + 1} of the model: `);
    expect(complaint(ended)).toContain(
      `the last good checkpoint, step ${step} of the model, is kept in ${path}`,
    );
    expect(readFileSync(path).equals(before)).toBe(true);
  });
});
