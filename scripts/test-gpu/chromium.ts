/** WebGPU and WebGL 2 in Chromium: a bundled page, as an app would serve it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bundle, serve } from '../../browser/test/serve.ts';
import type { Page as Cases } from '../../browser/gpu/page.ts';
import { launchChromium } from '../../browser/test/chromium.ts';
import { Tally, type Case } from '../../packages/tensor/test/gpu/conform.ts';
import { notRun, ran, type Outcome } from './outcome.ts';

/** A driver that computes on the CPU, so that no GPU is needed. CHROMIUM_FLAGS puts others in their place. */
const software = ['--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'];
const flags: Readonly<Record<'webgpu' | 'webgl2', readonly string[]>> = {
  webgl2: software,
  webgpu: [...software, '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
};

const runs = Number(process.env['INFINIGRAD_GPU_RUNS'] ?? 2);

/** Ops to try; all unless told. */
const only = new RegExp(process.env['INFINIGRAD_GPU_ONLY'] ?? '');

declare const page: Cases;

export async function tryInChromium(mode: 'webgpu' | 'webgl2'): Promise<Outcome> {
  const name = `${mode} in Chromium`;
  const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) return notRun(name, `there is no Chromium at ${executablePath}`);
  const own = process.env['CHROMIUM_FLAGS']?.split(' ').filter(Boolean);
  const files = await bundle(join(import.meta.dirname, '../../browser/gpu'));
  const { url, server } = await serve(files);
  const browser = await launchChromium(own ?? flags[mode]);
  try {
    const tab = await browser.newPage();
    tab.on('pageerror', (error) => console.log(`the page: ${error}`));
    await tab.goto(`${url}/open/`);
    await tab.waitForFunction(() => 'page' in globalThis);
    const opened = await tab.evaluate((wanted) => page.open(wanted), mode);
    if (typeof opened === 'string') return notRun(name, opened);
    console.log(`${name}: ${opened.adapter}`);
    const cases = await tab.evaluate(() => page.cases);
    const tally = new Tally();
    for (const one of cases.filter(({ op }) => only.test(op))) {
      const { lack, failure } = await tab.evaluate(([here, count]) => page.tryCase(here, count), [
        one,
        runs,
      ] as [Case, number]);
      if (failure === null) tally.add(one, lack);
      else {
        tally.failed.push(`${one.op} ${one.dtype}`);
        console.log(`${name}: ${one.op} ${one.dtype}: ${failure}`);
      }
    }
    const trained = await tab.evaluate(() => page.train());
    if (trained === null) tally.passed++;
    else {
      tally.failed.push('training');
      console.log(`${name}: training: ${trained}`);
    }
    console.log(tally.reasons().join('\n'));
    return ran(name, tally.passed, tally.failed.length, tally.absentCount);
  } finally {
    await browser.close();
    server.close();
  }
}
