/** `pnpm start`: trains on passkeys and shows how far beyond the training length the memory carries one. */
import { Worker } from 'node:worker_threads';
import { createDisplay } from './display/display.ts';
import type { RunEvent } from './events.ts';
import { parseOptions, UsageError } from './options.ts';
import { resumeCommand, type RunRequest } from './plan.ts';
import type { WorkerInput } from './worker.ts';

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof exitCodes;

/** Errors are one line, or with INFINIGRAD_DEBUG set the whole stack. */
function complain(message: string, stack = message): void {
  const debug = process.env['INFINIGRAD_DEBUG'];
  process.stderr.write(debug ? `${stack}\n` : `passkey: ${message.replaceAll(/\s*\n\s*/g, ' ')}\n`);
}

function parse(): RunRequest | number {
  try {
    return parseOptions(process.argv.slice(2), (text) => process.stdout.write(text));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    if (error.exitCode !== 0) complain(`${error.message} (--help shows all options)`, error.stack);
    return error.exitCode;
  }
}

/** Runs the request in a worker; resolves to the exit code. */
function run(request: RunRequest): Promise<number> {
  const display = createDisplay(process.stdout, request);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const input: WorkerInput = { request, stop: stop.buffer as SharedArrayBuffer };
  const worker = new Worker(new URL('worker-entry.mjs', import.meta.url), { workerData: input });
  return new Promise((resolve) => {
    let code = 1;
    let signal: Signal | null = null;
    let evaluating = false;
    const quit = (): never => {
      display.end(`Stopped. Go on with: ${resumeCommand(request.out)}`);
      process.exit(exitCodes[signal ?? 'SIGINT']);
    };
    const onSignal = (name: Signal): void => {
      // Training is saved before an evaluation starts: nothing to wait for there.
      if (signal !== null || evaluating) quit();
      signal = name;
      Atomics.store(stop, 0, 1);
      display.note('Stopping after this step; Ctrl-C again stops at once.');
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
    worker.on('message', (event: RunEvent) => {
      if (event.type === 'evaluating') evaluating = true;
      if (event.type === 'training') evaluating = false;
      if (event.type === 'finished') {
        code = 0;
        display.end(`${event.table}\n\nReport: ${request.out}/report.html`);
      } else if (event.type === 'stopped') {
        code = exitCodes[signal ?? 'SIGINT'];
        display.end(`Stopped at ${event.at}; saved. Go on with: ${resumeCommand(request.out)}`);
      } else if (event.type === 'failed') {
        code = event.exitCode;
        display.end();
        complain(event.message, event.stack);
      } else display.show(event);
    });
    worker.on('error', (error) => {
      display.end();
      complain(error.message, error.stack);
    });
    worker.on('exit', () => {
      display.end();
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
      resolve(code);
    });
  });
}

// A reader that goes away (`| head`) is no error of the run: it can be resumed.
process.stdout.on('error', () => process.exit(1));
const request = parse();
process.exitCode = typeof request === 'number' ? request : await run(request);
