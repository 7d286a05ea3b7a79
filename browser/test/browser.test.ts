/**
 * The engine in Chromium, in pages and in workers, with and without what it can use: the numbers that Node gives, and a word
 * where something is missing.
 */
import type { Server } from 'node:http';
import { resolve } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compare, ulpApart } from '../src/bits.ts';
import type { Place } from '../src/calls.ts';
import type { Growth, State, Tally } from '../src/cases.ts';
import { launch, missing, visit, type Run, type Visit } from './chromium.ts';
import { filesOfGuide, serveGuide } from './guide.ts';
import { reference, type Engine, type Reference } from './reference.ts';
import { bundle, serve } from './serve.ts';

if (missing) console.log(missing);

const steps = 8;
const lawRuns = 6;
/** Fixed, as it is the host that is tried here: other tests draw ever new calls. */
const seed = 20;
const megabytes = 2 ** 20;

describe.skipIf(missing !== null)('in Chromium', () => {
  let browser: Browser;
  let server: Server;
  let url: string;
  const inNode = {} as Record<Engine, Reference>;

  beforeAll(async () => {
    ({ url, server } = await serve(await bundle(resolve(import.meta.dirname, '..'))));
    browser = await launch();
    console.log(`Chromium ${browser.version()}`);
    for (const engine of ['js', 'plain', 'fused'] as const) inNode[engine] = await reference(engine, steps);
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  const look = (how: Visit, body: (run: Run) => Promise<void>): Promise<void> =>
    visit(browser, url, how, body);

  const sameWork = async (run: Run, engine: 'plain' | 'fused', times = 1): Promise<void> => {
    const work = await run('work', times);
    const expected = inNode[engine].work;
    const apart = Object.keys(expected).map((name) => [name, compare(work[name]!, expected[name]!)]);
    expect(apart).toEqual(Object.keys(expected).map((name) => [name, 'equal bits']));
  };

  const sameTraining = async (run: Run, engine: 'plain' | 'fused'): Promise<void> => {
    const { losses, parameters } = await run('train', steps);
    const expected = inNode[engine].train;
    expect(losses).toEqual(expected.losses);
    expect(losses.at(-1)).toBeLessThan(losses[0]! - 0.5);
    expect(parameters.map((part, i) => compare(part, expected.parameters[i]!))).toEqual(
      parameters.map(() => 'equal bits'),
    );
  };

  /** Says how many laws hold, and which do not. */
  const allHold = ({ passed, failed }: Tally, where: string): void => {
    console.log(`${where}: ${passed} passed, ${failed.length} failed`);
    expect(failed).toEqual([]);
    expect(passed).toBeGreaterThan(400);
  };

  const grewWell = ({ before, after, wrong, product }: Growth): void => {
    expect(before).toBeLessThanOrEqual(16 * megabytes);
    expect(after).toBeGreaterThan(64 * megabytes);
    expect(wrong).toEqual([]);
    expect(compare(product, inNode.fused.product)).toBe('equal bits');
  };

  describe.each(['page', 'worker'] as const)('in a %s', (place: Place) => {
    describe('that is cross-origin isolated', () => {
      it('computes with one thread and with two what Node computes, and never sleeps', () =>
        look({ place, policy: 'isolated' }, async (run) => {
          expect(await run('state')).toMatchObject({
            backend: 'wasm',
            crossOriginIsolated: true,
            threads: { lack: null },
          });
          await run('setThreads', 1);
          await sameWork(run, 'fused');
          console.log(`${place}: a thread is up after ${await run('startThreads', 2)} ms`);
          expect((await run('state')).threads).toEqual({ count: 2, helpersReady: 1, lack: null });
          await sameWork(run, 'fused', 2);
          await sameTraining(run, 'fused');
          expect((await run('state')).waits).toBe(0);
          expect(await run('sleepOnAtomics')).toMatch(
            place === 'page' ? /^TypeError: Atomics\.wait cannot be called/ : 'timed-out',
          );
        }));

      it('keeps the laws of the op table, with kernels small enough to be compiled at once', () =>
        look({ place, policy: 'isolated' }, async (run) => {
          await run('startThreads', 2);
          allHold(await run('laws', lawRuns, seed), `op table in the ${place}`);
          const { waits, modules, largestModule } = await run('state');
          console.log(`${place}: ${modules} modules, the largest of ${largestModule} bytes`);
          expect(waits).toBe(0);
          expect(modules).toBeGreaterThan(100);
          // Browsers compile no more than some megabytes at once on a page's main thread.
          expect(largestModule).toBeLessThan(megabytes / 16);
        }));

      it('lets its memory grow under tensors, views and threads', () =>
        look({ place, policy: 'isolated' }, async (run) => {
          await run('startThreads', 2);
          grewWell(await run('grow'));
          expect((await run('state')).threads).toEqual({ count: 2, helpersReady: 1, lack: null });
        }));

      it('rounds as Node does without relaxed SIMD', () =>
        look({ place, policy: 'isolated', lack: 'relaxed' }, async (run) => {
          expect((await run('state')).backend).toBe('wasm');
          await sameWork(run, 'plain');
          await sameTraining(run, 'plain');
        }));
    });

    describe('that is not', () => {
      it('computes the same on one thread, and says what to do for more', () =>
        look({ place, policy: 'open' }, async (run) => {
          const state = await run('state');
          expect(state).toMatchObject({ backend: 'wasm', crossOriginIsolated: false });
          expect(state.threads).toMatchObject({ count: 1, helpersReady: 0 });
          expect(state.threads.lack).toMatch(
            /not cross-origin isolated \(serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp\)/,
          );
          expect(await run('setThreads', 4)).toEqual(state.threads);
          await sameWork(run, 'fused');
          await sameTraining(run, 'fused');
        }));

      it('lets its memory grow under tensors and views', () =>
        look({ place, policy: 'open' }, async (run) => grewWell(await run('grow'))));
    });

    describe.each(['wasm', 'simd'] as const)('without %s', (lack) => {
      it('computes in JavaScript, and says so', () =>
        look({ place, policy: 'isolated', lack }, async (run) => {
          expect(await run('state')).toMatchObject({
            backend: 'js',
            backends: ['js'],
            threads: { count: 1, helpersReady: 0, lack: 'this host has no WebAssembly with SIMD' },
            modules: 0,
          } satisfies Partial<State>);
          const { losses } = await run('train', steps);
          // Math.exp and the like are not specified to the last bit.
          losses.forEach((loss, i) => expect(loss / inNode.js.train.losses[i]! - 1).toBeCloseTo(0, 6));
          if (lack === 'simd') return;
          const work = await run('work');
          for (const [name, expected] of Object.entries(inNode.js.work))
            expect(ulpApart(work[name]!, expected), name).toBeLessThanOrEqual(1);
          allHold(await run('callAll', 2, seed), `calls on js in the ${place}`);
        }));
    });

    describe('under a Content-Security-Policy', () => {
      it('that forbids workers from blobs, goes on alone and says what is needed', () =>
        look({ place, policy: 'noBlobs' }, async (run) => {
          expect((await run('state')).threads.lack).toBeNull();
          await run('startThreads', 2);
          expect((await run('state')).threads).toMatchObject({
            count: 1,
            helpersReady: 0,
            lack: expect.stringContaining('worker-src blob:'),
          });
          await sameTraining(run, 'fused');
        }));

      it('that lets nothing but WebAssembly be compiled, computes every op, on threads', () =>
        look({ place, policy: 'noEval' }, async (run) => {
          await run('startThreads', 2);
          expect((await run('state')).threads).toEqual({ count: 2, helpersReady: 1, lack: null });
          allHold(await run('callAll', lawRuns, seed), `calls without unsafe-eval in the ${place}`);
          await sameTraining(run, 'fused');
        }));

      it('that lets nothing be compiled, says so', () =>
        look({ place, policy: 'noCompiling' }, async (run) => {
          await expect(run('work')).rejects.toThrow(
            /forbids compiling WebAssembly. Hint: allow script-src 'wasm-unsafe-eval'/,
          );
        }));
    });
  });

  it('the app in the guide trains, as it stands', async () => {
    expect([...filesOfGuide().keys()]).toEqual(['index.html', 'page.js', 'worker.js', 'vite.config.js']);
    const app = await serveGuide();
    const page = await browser.newPage();
    try {
      await page.goto(app.url);
      const text = page.locator('#loss');
      await page.waitForFunction(() => document.querySelector('#loss')?.textContent?.startsWith('step 100:'));
      expect(await text.textContent()).toMatch(/^step 100: loss 0\.0\d+ on wasm, [1-8] threads$/);
    } finally {
      await page.close();
      await app.close();
    }
  });
});
