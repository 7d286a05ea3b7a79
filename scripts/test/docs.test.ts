/** The reference pages that are made from the op table say what it says. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { opNames } from '@infinigrad/tensor';
import { expect, it } from 'vitest';
import { opsPage } from '../docs/ops.ts';

it('docs/reference/ops.md is as `pnpm docs:ops` writes it, and lists every op', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/reference/ops.md'), 'utf8');
  expect(page).toBe(opsPage());
  for (const op of opNames) expect(page).toContain(`| \`${op}\` |`);
});
