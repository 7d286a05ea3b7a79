/** Checkpoints in a folder: whole or refused, rotated, the best kept, the one before taken where the newest is damaged. */
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TrainerState } from '@infinigrad/nn';
import { CheckpointError, Checkpoints } from '@infinigrad/nn/node';
import { tensor, ValueError } from '@infinigrad/tensor';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { makeTrainer } from './killed-run.ts';

const root = mkdtempSync(join(tmpdir(), 'infinigrad-checkpoints-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const fresh = (): string => join(root, String(folders++));

const stateAt = (step: number): TrainerState => ({
  tensors: { 'model.x': tensor([step, 0.1, NaN]), 'model.y': tensor([[step]], { dtype: 'i32' }) },
  meta: {
    format: 1,
    step,
    epoch: 0,
    optimizerStep: step,
    key: [1, 2],
    data: { words: ['a', 'ü'] },
    precision: null,
    monitor: null,
    run: 'r',
  },
});
const seen = (state: TrainerState | null): unknown =>
  state && {
    meta: state.meta,
    tensors: Object.entries(state.tensors).map(([name, x]) => [name, x.dtype, x.shape, [...x.dataSync()]]),
  };
/** A store with checkpoints of these steps. */
async function store(steps: readonly number[], options = {}): Promise<Checkpoints> {
  const made = new Checkpoints(fresh(), { keep: 10, ...options });
  for (const step of steps) await made.save(stateAt(step), { step });
  return made;
}
const file = ({ folder }: Checkpoints, step: number, name: string): string =>
  join(folder, `step-${String(step).padStart(8, '0')}`, name);

describe('what is saved', () => {
  test('is loaded', async () => {
    const one = await store([5, 20, 100]);
    expect(seen(await one.latest())).toEqual(seen(stateAt(100)));
    expect(seen(await one.load(20))).toEqual(seen(stateAt(20)));
    expect(await one.steps()).toEqual([5, 20, 100]);
    expect(await new Checkpoints(fresh()).latest()).toBeNull();
  });
  test('stays by number, and the best beside it', async () => {
    const kept = async (options: object, values: readonly (number | undefined)[]): Promise<number[]> => {
      const one = new Checkpoints(fresh(), { keep: 2, ...options });
      for (const [i, value] of values.entries())
        await one.save(stateAt(i), { step: i, ...(value !== undefined && { value }) });
      return one.steps();
    };
    expect(await kept({}, [undefined, undefined, undefined, undefined])).toEqual([2, 3]);
    expect(await kept({}, [3, 1, 2, 5, 4])).toEqual([1, 3, 4]);
    expect(await kept({ best: 'max' }, [3, 9, 2, 5, 4])).toEqual([1, 3, 4]);
    expect(await kept({ best: null }, [3, 1, 2, 5, 4])).toEqual([3, 4]);
    expect(await kept({}, [NaN, 7, undefined, 8, 9])).toEqual([1, 3, 4]);
    const one = await store([]);
    for (const [step, value] of [4, 2, 3].entries()) await one.save(stateAt(step), { step, value });
    expect(seen(await one.best())).toEqual(seen(stateAt(1)));
    expect(await (await store([1])).best()).toBeNull();
  });
  test('twice at one step: the later one counts', async () => {
    const one = await store([7]);
    const other = { ...stateAt(7), meta: { ...stateAt(7).meta, epoch: 3 } };
    await one.save(other, { step: 7 });
    await one.save(other, { step: 7 });
    expect((await one.latest())!.meta.epoch).toBe(3);
    expect(readdirSync(one.folder)).toEqual(['step-00000007', 'step-00000007-2', 'step-00000007-3']);
  });
  test('stays where an older step is gone on from', async () => {
    const one = await store([100, 200], { keep: 1 });
    await one.save(stateAt(150), { step: 150 });
    expect(await one.steps()).toEqual([150, 200]);
  });
  test('leftovers of a write that was killed go with the next save', async () => {
    const one = await store([1]);
    mkdirSync(join(one.folder, '.x.tmp'));
    writeFileSync(join(one.folder, 'notes.txt'), 'mine');
    await one.save(stateAt(2), { step: 2 });
    expect(readdirSync(one.folder)).toEqual(['notes.txt', 'step-00000001', 'step-00000002']);
  });
});

describe('damage', () => {
  const damages: [string, (one: Checkpoints, step: number) => void, string][] = [
    [
      'tensors cut off',
      (one, step) => truncateSync(file(one, step, 'state.safetensors'), 90),
      'state.safetensors has 90 bytes, not the',
    ],
    [
      'tensors with more behind',
      (one, step) => appendFileSync(file(one, step, 'state.safetensors'), 'x'),
      'bytes, not the',
    ],
    [
      'a bit of the tensors turned',
      (one, step) => flip(file(one, step, 'state.safetensors'), -1),
      'state.safetensors has been altered',
    ],
    [
      'a bit of the JSON turned',
      (one, step) => flip(file(one, step, 'state.json'), 120),
      'state.json has been altered',
    ],
    [
      'JSON cut off',
      (one, step) => truncateSync(file(one, step, 'state.json'), 100),
      'state.json has been altered',
    ],
    [
      'JSON of nothing',
      (one, step) => truncateSync(file(one, step, 'state.json'), 0),
      'state.json has been altered',
    ],
    [
      'no tensors',
      (one, step) => rmSync(file(one, step, 'state.safetensors')),
      'state.safetensors is missing',
    ],
    ['no JSON', (one, step) => rmSync(file(one, step, 'state.json')), 'state.json is missing'],
    [
      'the tensors of another step',
      (one, step) => renameSync(file(one, 10, 'state.safetensors'), file(one, step, 'state.safetensors')),
      'state.safetensors has been altered',
    ],
  ];
  test.each(damages)('%s: refused, and the one before is taken', async (_, damage, says) => {
    const refused: CheckpointError[] = [];
    const one = await store([10, 20, 30], { onRefused: (error: CheckpointError) => refused.push(error) });
    damage(one, 30);
    expect(seen(await one.latest())).toEqual(seen(stateAt(20)));
    expect(refused).toHaveLength(1);
    expect(refused[0]).toBeInstanceOf(CheckpointError);
    expect(refused[0]!.message).toContain(
      `step-00000030: ${says === 'bytes, not the' ? 'state.safetensors' : says.split(' ')[0]}`,
    );
    expect(refused[0]!.message).toContain(says);
    expect(refused[0]!.path).toBe(join(one.folder, 'step-00000030'));
    await expect(one.load(30)).rejects.toThrow(CheckpointError);
    // It goes with the next save, and counts for nothing meanwhile.
    await one.save(stateAt(25), { step: 25 });
    expect(await one.steps()).toEqual([10, 20, 25]);
  });
  test('of all of them is an error', async () => {
    const one = await store([10, 20]);
    for (const step of [10, 20]) truncateSync(file(one, step, 'state.safetensors'), 50);
    await expect(one.latest()).rejects.toThrow(/step-00000020: state.safetensors has 50 bytes/);
  });
  test('any bit turned in either file is noticed', async () => {
    const one = await store([1]);
    const names = ['state.safetensors', 'state.json'] as const;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        fc.nat(),
        fc.integer({ min: 0, max: 7 }),
        async (name, at, bit) => {
          const path = file(one, 1, name);
          const before = readFileSync(path);
          const after = Buffer.from(before);
          after[at % after.length]! ^= 1 << bit;
          writeFileSync(path, after);
          await expect(one.latest()).rejects.toThrow(CheckpointError);
          writeFileSync(path, before);
        },
      ),
    );
    expect(seen(await one.latest())).toEqual(seen(stateAt(1)));
  });
});

describe('a trainer', () => {
  test('goes on from the checkpoint before a damaged one, to the same end', async () => {
    const one = new Checkpoints(fresh(), { keep: 5 });
    const first = makeTrainer(one);
    for await (const { step } of first.run()) if (step === 12) break;
    expect((await one.steps()).at(-1)).toBe(12);
    flip(file(one, 12, 'state.safetensors'), -1);
    const second = makeTrainer(one);
    expect(await second.resume()).toBe(11);
    for await (const { step } of second.run()) if (step === 20) break;
    const whole = makeTrainer();
    for await (const { step } of whole.run()) if (step === 20) break;
    expect(seen(second.state())).toEqual(seen(whole.state()));
  });
  test('starts anew where there is nothing', async () =>
    expect(await makeTrainer(new Checkpoints(fresh())).resume()).toBeNull());
});

describe('errors', () => {
  test.each<[string, () => unknown, string]>([
    ['keep', () => new Checkpoints('x', { keep: 0 }), 'Checkpoints: keep must be an integer ≥ 1, got 0'],
    [
      'best',
      () => new Checkpoints('x', { best: 'low' as 'min' }),
      "Checkpoints: best must be min, max or null, got 'low'",
    ],
  ])('%s', (_, body, says) => {
    expect(body).toThrow(ValueError);
    expect(body).toThrow(says);
  });
  test('a step that is not there', async () => {
    const one = await store([3]);
    await expect(one.load(4)).rejects.toThrow(
      `Checkpoints.load: there is no checkpoint of step 4 in ${one.folder}. Hint: steps: 3`,
    );
  });
  test('a folder that cannot be made', async () => {
    const path = fresh();
    writeFileSync(path, 'a file');
    await expect(new Checkpoints(path).save(stateAt(1), { step: 1 })).rejects.toThrow(/EEXIST|ENOTDIR/);
  });
});

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[(at + bytes.length) % bytes.length]! ^= 4;
  writeFileSync(path, bytes);
}
