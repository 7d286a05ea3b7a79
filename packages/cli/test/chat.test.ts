/** Turns with a model that has a chat template. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { cli, launch, temporaryFolder, tiny, writeText } from './support.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);
const few = ['--steps', '2', ...tiny];

test('--chat answers a turn by the template, and further ones from the input', async () => {
  const model = join(folder, 'model');
  const data = writeText(folder);
  const made = await cli('train', '--data', data, '--tokenizer', 'bpe:270', ...few, '--out', model);
  expect(made.err).toBe('');
  const path = join(model, 'tokenizer_config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as object;
  const template =
    '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}';
  writeFileSync(path, JSON.stringify({ ...config, chat_template: template }));

  const draws = ['--max-tokens', '6', '--seed', '2'];
  const turns = await cli('generate', model, 'hi', '--chat', '--system', 'be kind', ...draws);
  expect([turns.code, turns.err]).toEqual([0, '']);
  // What the template writes is what a plain prompt would be.
  const plain = await cli('generate', model, 'system: be kind\nuser: hi\nassistant:', ...draws);
  expect(turns.out).toBe(plain.out);

  const piped = await launch(['generate', model, '--chat', ...draws], 'hi\n\nand you\n').ended;
  expect([piped.code, piped.err]).toEqual([0, '']);
  const [first] = (await cli('generate', model, 'user: hi\nassistant:', ...draws)).out.split(/\n$/);
  expect(piped.out.startsWith(`${first}\n`)).toBe(true);
  expect(piped.out.length).toBeGreaterThan(first!.length + 2);
});
