/** Lines of JSON: what is logged is read back; a run that goes on takes away what will come again. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JsonLines } from '@infinigrad/nn';
import { JsonLinesFile } from '@infinigrad/nn/node';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'infinigrad-lines-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a line for each call, with words for what JSON does not have', () => {
  const lines: string[] = [];
  const log = new JsonLines((line) => void lines.push(line));
  void log.scalars(3, { loss: 0.1, worst: NaN, best: Infinity });
  void log.text(4, 'note', 'a\nb');
  expect(lines).toEqual([
    '{"step":3,"loss":0.1,"worst":"NaN","best":"Infinity"}',
    '{"step":4,"note":"a\\nb"}',
  ]);
});

test('a file is appended to; going on takes away later lines, and one that was cut off', async () => {
  const path = join(folder, 'deep', 'log.jsonl');
  const log = new JsonLinesFile(path);
  await log.resume(5);
  for (const step of [1, 2, 3]) await log.scalars(step, { loss: step / 2 });
  appendFileSync(path, '{"step":1,"lo');
  const again = new JsonLinesFile(path);
  await again.resume(2);
  await again.scalars(3, { loss: 7 });
  expect(readFileSync(path, 'utf8')).toBe(
    '{"step":1,"loss":0.5}\n{"step":2,"loss":1}\n{"step":3,"loss":7}\n',
  );
});
