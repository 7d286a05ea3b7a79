/** The session's thread, so that the display moves and Ctrl-C is heard however long a step takes. */
import { parentPort, workerData } from 'node:worker_threads';
import { UsageError } from './options.ts';
import type { RunEvent } from './events.ts';
import type { RunRequest } from './plan.ts';
import { runSession } from './session.ts';

export interface WorkerInput {
  readonly request: RunRequest;
  /** One i32: not 0 where the user wants to stop. */
  readonly stop: SharedArrayBuffer;
}

const { request, stop } = workerData as WorkerInput;
const flag = new Int32Array(stop);
const emit = (event: RunEvent): void => parentPort!.postMessage(event);

try {
  await runSession(request, emit, () => Atomics.load(flag, 0) !== 0);
} catch (error) {
  const { message, stack = message } = error instanceof Error ? error : new Error(String(error));
  emit({ type: 'failed', message, stack, exitCode: error instanceof UsageError ? error.exitCode : 1 });
}
