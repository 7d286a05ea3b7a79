// Runs the tests with 10,000 generated cases for each law.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const vitest = join(dirname(fileURLToPath(import.meta.resolve('vitest/package.json'))), 'vitest.mjs');
const env = { INFINIGRAD_RUNS: '10000', INFINIGRAD_SEED: 'random', ...process.env };
const run = spawnSync(process.execPath, [vitest, 'run', '--testTimeout=36000000', ...process.argv.slice(2)], {
  stdio: 'inherit',
  env,
});
process.exit(run.status ?? 1);
