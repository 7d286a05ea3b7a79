/** WebGPU and WebGL 2 in Chromium: a bundled page, as an app would serve it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle, serve } from '../../browser/test/serve.ts';
import type { Page as There } from '../../browser/gpu/page.ts';
import { launchChromium } from '../../browser/test/chromium.ts';
import type { Case } from '../../packages/tensor/test/gpu/conform.ts';
import { notRun, type Outcome } from './outcome.ts';
import {
  Count,
  deathTrap,
  megabytesIn,
  memoryTrap,
  only,
  onlyTraps,
  runs,
  tryMemory,
  within,
} from './tries.ts';

type Mode = 'webgpu' | 'webgl2';
type Browser = Awaited<ReturnType<typeof launchChromium>>;
type Tab = Awaited<ReturnType<Browser['newPage']>>;

/** A driver that computes on the CPU, so that no GPU is needed. CHROMIUM_FLAGS puts others in their place. */
const software = ['--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'];
const flags: Readonly<Record<Mode, readonly string[]>> = {
  webgl2: software,
  webgpu: [...software, '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
};

declare const page: There;

export async function tryInChromium(mode: Mode): Promise<Outcome> {
  const name = mode;
  const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) return notRun(name, `there is no Chromium at ${executablePath}`);
  const own = process.env['CHROMIUM_FLAGS']?.split(' ').filter(Boolean);
  const files = await bundle(join(import.meta.dirname, '../../browser/gpu'));
  const { url, server } = await serve(files);
  const browser = await launchChromium(own ?? flags[mode]);
  /** What nobody in a page has caught. */
  const errors: string[] = [];
  /** A page with the GPU opened; adapter, or why there is none. */
  const openTab = async (
    side: number | null,
  ): Promise<{ tab: Tab; opened: { adapter: string } | string }> => {
    const tab = await browser.newPage();
    tab.on('pageerror', (error) => errors.push(String(error)));
    await tab.goto(`${url}/open/`);
    await tab.waitForFunction(() => 'page' in globalThis);
    const opened = await tab.evaluate(([wanted, most]) => page.open(wanted, most ?? undefined), [
      mode,
      side,
    ] as [Mode, number | null]);
    return { tab, opened };
  };
  try {
    const { tab, opened } = await openTab(null);
    if (typeof opened === 'string') return notRun(name, opened);
    console.log(`${name}: ${opened.adapter}`);
    const count = new Count(name);
    const cases = await tab.evaluate(() => page.cases);
    for (const one of cases.filter(({ op }) => only.test(op))) {
      const given = [one, runs] as [Case, number];
      const trying = tab.evaluate(([here, times]) => page.tryCase(here, times), given);
      count.addCase(one, await within(`${one.op} ${one.dtype}`, trying));
    }
    count.add('training', await tab.evaluate(() => page.train()));
    if (onlyTraps.test(memoryTrap)) {
      const take = (steps: number): Promise<void> => tab.evaluate((n) => page.takeSteps(n), steps);
      count.add(
        memoryTrap,
        await within(memoryTrap, tryMemory(take, await memoryOfGpu(browser))).catch(String),
      );
    }
    const traps = await tab.evaluate((wanted) => page.traps(wanted), mode);
    for (const { name: trap, side } of traps.filter((one) => onlyTraps.test(one.name))) {
      const there = side === null ? tab : (await openTab(side)).tab;
      const trying = there.evaluate((which) => page.tryTrap(which), trap);
      count.add(trap, await within(trap, trying).catch(String));
      if (there !== tab) await there.close();
    }
    if (onlyTraps.test(deathTrap)) {
      const reading = tab.evaluate(() => page.readUntilLost());
      const session = await browser.newBrowserCDPSession();
      // By then it reads.
      setTimeout(() => void session.send('Browser.crashGpuProcess').catch(() => {}), 1000);
      count.add(deathTrap, await within(deathTrap, reading).catch(String));
    }
    count.add('nothing fails unseen', errors.length === 0 ? null : errors.join('; '));
    return count.outcome();
  } finally {
    await browser.close();
    server.close();
  }
}

/** Asks the process that has the GPU for its memory, where the system tells. */
async function memoryOfGpu(browser: Browser): Promise<() => number> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  const status = `/proc/${processInfo.find(({ type }) => type === 'GPU')?.id}/status`;
  return () => (existsSync(status) ? megabytesIn(readFileSync(status, 'utf8')) : 0);
}
