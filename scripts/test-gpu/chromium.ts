/** WebGPU and WebGL 2 in Chromium: a bundled page, as an app would serve it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle, serve } from '../../browser/test/serve.ts';
import type { Page as There } from '../../browser/gpu/page.ts';
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

/** The same for traps; none where only some ops are to be tried, unless named. */
const onlyTraps = new RegExp(
  process.env['INFINIGRAD_GPU_TRAPS'] ?? (process.env['INFINIGRAD_GPU_ONLY'] ? '^$' : ''),
);

declare const page: There;

type Mode = 'webgpu' | 'webgl2';
type Browser = Awaited<ReturnType<typeof launchChromium>>;
type Page = Awaited<ReturnType<Browser['newPage']>>;

/** A page with the GPU opened, or why there is none. */
async function openTab(browser: Browser, url: string, mode: Mode, side: number | null): Promise<Tab> {
  const tab = await browser.newPage();
  const errors: string[] = [];
  tab.on('pageerror', (error) => errors.push(String(error)));
  await tab.goto(`${url}/open/`);
  await tab.waitForFunction(() => 'page' in globalThis);
  const opened = await tab.evaluate(([wanted, most]) => page.open(wanted, most ?? undefined), [
    mode,
    side,
  ] as [Mode, number | null]);
  return { tab, opened, errors };
}

interface Tab {
  readonly tab: Page;
  readonly opened: string | { readonly adapter: string };
  /** What nobody in the page has caught. */
  readonly errors: string[];
}

export async function tryInChromium(mode: Mode): Promise<Outcome> {
  const name = `${mode} in Chromium`;
  const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) return notRun(name, `there is no Chromium at ${executablePath}`);
  const own = process.env['CHROMIUM_FLAGS']?.split(' ').filter(Boolean);
  const files = await bundle(join(import.meta.dirname, '../../browser/gpu'));
  const { url, server } = await serve(files);
  const browser = await launchChromium(own ?? flags[mode]);
  const tally = new Tally();
  const count = (what: string, failure: string | null): void => {
    if (failure === null) tally.passed++;
    else {
      tally.failed.push(what);
      console.log(`${name}: ${what}: ${failure}`);
    }
  };
  try {
    const first = await openTab(browser, url, mode, null);
    const { tab, opened, errors } = first;
    if (typeof opened === 'string') return notRun(name, opened);
    console.log(`${name}: ${opened.adapter}`);
    const cases = await tab.evaluate(() => page.cases);
    for (const one of cases.filter(({ op }) => only.test(op))) {
      const { lack, failure } = await tab.evaluate(([here, times]) => page.tryCase(here, times), [
        one,
        runs,
      ] as [Case, number]);
      if (failure === null) tally.add(one, lack);
      else count(`${one.op} ${one.dtype}`, failure);
    }
    count('training', await tab.evaluate(() => page.train()));
    if (onlyTraps.test(memoryTrap)) count(memoryTrap, await tryMemory(browser, tab).catch(String));
    const traps = await tab.evaluate((wanted) => page.traps(wanted), mode);
    for (const trap of traps.filter((one) => onlyTraps.test(one.name))) {
      const own = trap.side === null ? null : await openTab(browser, url, mode, trap.side);
      count(trap.name, await (own?.tab ?? tab).evaluate((which) => page.tryTrap(which), trap.name));
      await own?.tab.close();
    }
    count('nothing fails unseen', errors.length === 0 ? null : errors.join('; '));
    console.log(tally.reasons().join('\n'));
    return ran(name, tally.passed, tally.failed.length, tally.absentCount);
  } finally {
    await browser.close();
    server.close();
  }
}

const memoryTrap = "14: 1,000 steps leave the GPU process's memory where it was";

/** Why memory of the process that has the GPU is not flat, or null. */
async function tryMemory(browser: Browser, tab: Page): Promise<string | null> {
  const megabytes = await memoryOfGpuProcess(browser);
  await tab.evaluate(() => page.takeSteps(100));
  const before = await megabytes();
  await tab.evaluate(() => page.takeSteps(1000));
  const after = await megabytes();
  console.log(`the GPU process: ${before} MB before 1,000 steps of 500 KiB, ${after} after`);
  return after - before < 100 ? null : `${before} MB became ${after}`;
}

/** Asks for what is resident, where the system tells. */
async function memoryOfGpuProcess(browser: Browser): Promise<() => Promise<number>> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  const id = processInfo.find(({ type }) => type === 'GPU')?.id;
  return async () => {
    const file = `/proc/${id}/status`;
    if (!existsSync(file)) return 0;
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(file, 'utf8'))?.[1] ?? 0) / 1024);
  };
}
