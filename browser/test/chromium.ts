/** Chromium, driven by playwright-core. */
import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';
import type { Call, Place } from '../src/calls.ts';
import type { Cases } from '../src/cases.ts';
import type { Lack } from '../src/host.ts';
import type { Policy } from './serve.ts';

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** Why nothing can be tried here, or null. */
export const missing = existsSync(executablePath)
  ? null
  : `browser tests are skipped: there is no Chromium at ${executablePath} (apt-get install chromium, or CHROMIUM=<path>)`;

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Headless, with a profile of its own that goes away with it. */
export const launch = (): Promise<Browser> => chromium.launch({ executablePath, args: flags });

/** As `launch`, with flags that say how it reaches a GPU. */
export const launchChromium = (gpu: readonly string[]): Promise<Browser> =>
  chromium.launch({
    executablePath,
    args: [...flags.filter((flag) => flag !== '--disable-gpu'), '--disable-dev-shm-usage', ...gpu],
  });

/** Runs a case. */
export type Run = <K extends keyof Cases>(
  name: K,
  ...args: Parameters<Cases[K]>
) => Promise<Awaited<ReturnType<Cases[K]>>>;

export interface Visit {
  readonly place: Place;
  /** What the page is served with. */
  readonly policy: Policy;
  readonly lack?: Lack | undefined;
}

/** Opens a page and hands `body` what runs cases in it. @throws where the page had errors */
export async function visit(
  browser: Browser,
  url: string,
  { place, policy, lack }: Visit,
  body: (run: Run) => Promise<void>,
): Promise<void> {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  try {
    await page.goto(`${url}/${policy}/${lack ? `?without=${lack}` : ''}`);
    await page.waitForFunction(() => 'infinigrad' in globalThis);
    const run = async (name: keyof Cases, ...args: readonly unknown[]): Promise<unknown> => {
      const answer = await page.evaluate(async ([place, call]) => globalThis.infinigrad.call(place, call), [
        place,
        { name, args },
      ] as [Place, Call]);
      if ('error' in answer) throw new Error(`${name} in the ${place}: ${answer.error}`);
      return answer.value;
    };
    await body(run as Run);
    if (errors.length > 0) throw new Error(`errors in the page: ${errors.join('\n')}`);
  } finally {
    await page.close();
  }
}
