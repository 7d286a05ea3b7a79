/** Anomaly detection: the first NaN or infinity that an op makes, forward or backward, is an error that tells where. */
import { intercept, ValueError } from '@infinigrad/tensor';
import { setWatcher } from '../watcher.ts';
import { Detector } from './detector.ts';

const detector = new Detector();
let stop: (() => void) | null = null;
let always = false;
let bodies = 0;
/** Bodies that are waited for. */
let waiting = 0;

function update(): void {
  if (always || bodies > 0) {
    stop ??= intercept(detector.see);
    setWatcher(detector);
  } else {
    stop?.();
    stop = null;
    setWatcher(null);
  }
}

/**
 * Turns anomaly detection on or off. While it is on, the first op that makes a NaN or an infinity throws a NumericError: which
 * op, whether in the forward pass or in the gradient of which of its inputs, where your code called it, and the shapes,
 * dtypes and ranges of what went in. Infinities that were there before, as in a mask, are let pass until one makes
 * NaN. NaN that an input holds already is reported as such, once. Every result is read, so it is slow; off, it costs nothing.
 * On a GPU, where nothing is read at once, every op throws a BackendError: see `detectAnomalyAsync`.
 */
export function setAnomaly(on: boolean): void {
  always = on;
  update();
}

/**
 * Runs `body` (synchronous) with anomaly detection on, and returns what it returns. Calls of `backward` belong inside.
 * @throws NumericError for the first NaN or infinity that an op makes; see `setAnomaly`
 */
export function detectAnomaly<T>(body: () => T): T {
  bodies++;
  update();
  try {
    const result = body();
    if (result instanceof Promise)
      throw new ValueError('detectAnomaly', 'the body is asynchronous', {
        hint: 'await detectAnomalyAsync(body)',
      });
    return result;
  } finally {
    bodies--;
    update();
  }
}

/**
 * As `detectAnomaly`, where the body is asynchronous, or on a GPU: there, every result is read as it is made, and judged when
 * the body has ended. What else runs in the meantime is seen as well.
 * @throws NumericError for the first NaN or infinity that an op made; see `setAnomaly`
 */
export async function detectAnomalyAsync<T>(body: () => T | Promise<T>): Promise<T> {
  if (waiting++ === 0) detector.collect();
  bodies++;
  update();
  try {
    return await body();
  } finally {
    bodies--;
    update();
    // What made NaN may be why the body has failed: that is told first.
    if (--waiting === 0) await detector.settle();
  }
}
