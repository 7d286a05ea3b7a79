/** What is made from the op table says what it says. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { opNames, recordOf } from '@infinigrad/tensor';
import { expect, it } from 'vitest';
import { opDocsFile } from '../docs/editor.ts';
import { opsPage } from '../docs/ops.ts';

const read = (name: string): string => readFileSync(join(import.meta.dirname, '../..', name), 'utf8');

it('docs/reference/ops.md is as `pnpm docs:ops` writes it, and lists every op', () => {
  const page = read('docs/reference/ops.md');
  expect(page).toBe(opsPage());
  for (const op of opNames) expect(page).toContain(`| \`${op}\` |`);
});

it('the comments that editors show are as `pnpm docs:ops` writes them, one for every op', () => {
  const file = read('packages/tensor/src/types/op-docs.ts');
  expect(file).toBe(opDocsFile());
  for (const op of opNames)
    expect(file).toContain(`  /** ${recordOf(op).doc} */\n  readonly ${op}: unknown;`);
});
