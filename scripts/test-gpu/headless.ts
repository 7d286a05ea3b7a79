/** WebGL in Node, by the package `gl`, which is not installed here: INFINIGRAD_GL names a folder that has it. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { notRun, ran, type Outcome } from './outcome.ts';

const name = 'headlessgl';
const root = resolve(import.meta.dirname, '../..');

export function tryHeadless(): Outcome {
  const folder = process.env['INFINIGRAD_GL'];
  if (!folder) return notRun(name, "INFINIGRAD_GL names no folder that has the package 'gl'");
  const modules = join(folder, 'node_modules');
  if (!existsSync(join(modules, 'gl'))) return notRun(name, `there is no package 'gl' in ${folder}`);
  const script = join(import.meta.dirname, 'headless-process.ts');
  const node = [process.execPath, '--conditions=@infinigrad/source', '--import', 'tsx', script];
  const display = ['xvfb-run', '-a', '-s', '-ac -screen 0 640x480x24'];
  const [command, ...args] = process.env['DISPLAY'] ? node : [...display, ...node];
  const { stdout, error } = spawnSync(command!, args, {
    cwd: root,
    // gpu.js asks for the package by its name.
    env: { ...process.env, NODE_PATH: modules },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  });
  if (error) return notRun(name, `there is no display, and no xvfb-run: ${error.message}`);
  console.log(stdout);
  const missing = /not run \((.*)\)$/m.exec(stdout)?.[1];
  if (missing) return notRun(name, missing);
  const counts = /: (\d+) passed, (\d+) failed, (\d+) declared absent$/m.exec(stdout)?.slice(1).map(Number);
  const [passed, failed, absent] = counts ?? [0, 1, 0];
  return ran(name, passed!, failed!, absent!);
}
