/** Folders laid out as well-known checkpoints were published. Each loads strictly, and computes what the model computes that it was made from. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Key, tensor, type Tensor } from '@infinigrad/tensor';
import type { PretrainedModel } from '@infinigrad/zoo';
import { loadSafetensors, saveSafetensors } from '@infinigrad/tensor/node';
import { fromPretrained, savePretrained } from '@infinigrad/zoo/node';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pretrainedClasses } from '../../src/core/registry.ts';
import { published } from './published.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'infinigrad-published-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

type Model = PretrainedModel<object> & { forward(ids: Tensor, call?: object): { readonly logits: Tensor } };
const ids = tensor([[3, 1, 4, 1, 5, 9, 2, 6]], { dtype: 'i32' });
const logits = (model: PretrainedModel<object>): ArrayLike<number> =>
  (model as Model).forward(ids, { decoderInputIds: ids }).logits.dataSync();

test.each(Object.keys(published))('%s', async (name) => {
  const { config, key = (same) => same, also = () => ({}) } = published[name]!;
  const [architecture] = config['architectures'] as [string];
  const Class = pretrainedClasses.find(({ meta }) => meta.architecture === architecture)!;
  const model = new Class(Class.meta.config.fromJson(config) as never, new Key(3)).eval();
  const made = join(folder, 'made');
  await savePretrained(model, made);
  const { tensors } = await loadSafetensors(join(made, 'model.safetensors'));
  const at = join(folder, 'published');
  mkdirSync(at);
  writeFileSync(join(at, 'config.json'), JSON.stringify(config));
  const file = {
    ...Object.fromEntries(Object.entries(tensors).map(([k, x]) => [key(k), x])),
    ...also(tensors),
  };
  await saveSafetensors(join(at, 'model.safetensors'), file);
  const loaded = await fromPretrained(at);
  expect(loaded.constructor).toBe(Class);
  expect(logits(loaded)).toEqual(logits(model));
  // What nobody reads here stays as it is.
  await savePretrained(loaded, at);
  const written = JSON.parse(readFileSync(join(at, 'config.json'), 'utf8')) as Record<string, unknown>;
  expect(Class.meta.config.fromJson(written)).toEqual(loaded.config);
  for (const k of ['task_specific_params', 'transformers.js_config', 'pretraining_tp', 'n_ctx'])
    if (k in config) expect(written[k], k).toEqual(config[k]);
});
