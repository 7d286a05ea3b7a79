/** WebGPU in Node: the tests of the gpu backend, in a process of their own. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { notRun, ran, type Outcome } from './outcome.ts';

const root = resolve(import.meta.dirname, '../..');
/** Where Debian's Chromium keeps a Vulkan loader, for machines that have no other. */
const loaderFolder = '/usr/lib/chromium';

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numFailedTestSuites: number;
}

export function tryInNode(): Outcome {
  const name = 'webgpu in Node';
  const folder = mkdtempSync(join(tmpdir(), 'infinigrad-gpu-'));
  const report = join(folder, 'tests.json');
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const env = { ...process.env };
  if (existsSync(join(loaderFolder, 'libvulkan.so.1')))
    env['LD_LIBRARY_PATH'] = [env['LD_LIBRARY_PATH'], loaderFolder].filter(Boolean).join(':');
  const projects = ['tensor', 'gpu'].flatMap((project) => ['--project', project]);
  // What is only pretended is for the ordinary tests.
  const args = ['run', ...projects, 'test/gpu/', '--exclude', '**/{pretend,traps}.test.ts'];
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  try {
    const { stdout } = spawnSync(process.execPath, [vitest, ...args, ...reporters], {
      cwd: root,
      env: { ...env, NO_COLOR: '1' },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: 2 ** 28,
    });
    const lines = stdout.split('\n');
    console.log(lines.filter((line) => !/^\s*✓/.test(line)).join('\n'));
    const missing = lines.map((line) => /webgpu: not run \((.*)\)/.exec(line)?.[1]).find(Boolean);
    if (missing) return notRun(name, missing);
    const tests = JSON.parse(readFileSync(report, 'utf8')) as Report;
    const absent = Number(lines.map((line) => /, (\d+) declared absent/.exec(line)?.[1]).find(Boolean) ?? 0);
    const failed = Math.max(tests.numFailedTests, tests.numFailedTestSuites > 0 ? 1 : 0);
    return ran(name, tests.numPassedTests - absent, failed, absent);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
