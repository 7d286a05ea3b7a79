/** `pnpm test:deep` runs, and raises the number of cases. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const script = join(import.meta.dirname, '../test-deep.mjs');

it.runIf(process.env['INFINIGRAD_RUNS'] === undefined)(
  'runs the tests with 10,000 cases',
  { timeout: 120_000 },
  () => {
    const said = execFileSync(
      process.execPath,
      [script, '--project', 'scripts', 'deep', '--reporter=verbose'],
      {
        cwd: join(import.meta.dirname, '../..'),
        encoding: 'utf8',
      },
    );
    expect(said).toContain('is told to draw 10,000');
    expect(said).toMatch(/1 passed/);
  },
);

it.runIf(process.env['INFINIGRAD_RUNS'] !== undefined)(
  'is told to draw 10,000 or what it was asked for',
  () => {
    expect(Number(process.env['INFINIGRAD_RUNS'])).toBeGreaterThanOrEqual(100);
  },
);
