/** Folders that transformers has written, of every family: loaded, saved, and loaded again. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSafetensors } from '@infinigrad/tensor/node';
import { fromPretrained, savePretrained } from '@infinigrad/zoo/node';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pretrainedClasses } from '../../src/core/registry.ts';

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url));
const families = new Set(pretrainedClasses.map(({ meta }) => meta.config.modelType.replace('_', '-')));
const folders = readdirSync(fixtures, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('config.json') && families.has(path.split('/')[0]!))
  .map((path) => path.slice(0, -'/config.json'.length));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'infinigrad-folders-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const json = (...path: string[]): Record<string, unknown> =>
  JSON.parse(readFileSync(join(...path), 'utf8')) as Record<string, unknown>;

test('there are folders of families', () => {
  expect(folders.length).toBeGreaterThan(5);
});

describe.each(folders)('%s', (name) => {
  const from = join(fixtures, name);

  test('is loaded whole, and saved with the same keys, shapes and bytes', async () => {
    const model = await fromPretrained(from);
    const [architecture] = json(from, 'config.json')['architectures'] as [string];
    expect(model.constructor.name).toBe(architecture);
    expect(model.training).toBe(false);
    await savePretrained(model, folder);
    const [before, after] = await Promise.all(
      [from, folder].map(async (at) => (await loadSafetensors(join(at, 'model.safetensors'))).tensors),
    );
    expect(Object.keys(after!).toSorted()).toEqual(Object.keys(before!).toSorted());
    for (const [key, value] of Object.entries(before!)) {
      expect(after![key]!.shape, key).toEqual(value.shape);
      expect(after![key]!.dataSync(), key).toEqual(value.dataSync());
    }
    const written = json(folder, 'config.json');
    expect(written).toMatchObject({ architectures: [architecture], model_type: model.modelType });
    const again = await fromPretrained(folder);
    expect(again.config).toEqual(model.config);
    await savePretrained(again, join(folder, 'again'));
    for (const part of ['config.json', 'model.safetensors'])
      expect(readFileSync(join(folder, 'again', part)).equals(readFileSync(join(folder, part))), part).toBe(
        true,
      );
  });
});
