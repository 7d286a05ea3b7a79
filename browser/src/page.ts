/** The page: hands out `call`, which runs a case here or in a worker, one at a time. */
import { answer, type Answer, type Call, type Place, type ToWorker } from './calls.ts';
import { takeAway, takeNotes, type Lack } from './host.ts';

const lack = (new URLSearchParams(location.search).get('without') ?? undefined) as Lack | undefined;
takeAway(lack);
takeNotes();
const loaded = import('./cases.ts');

let worker: Worker | undefined;

async function inWorker(call: Call): Promise<Answer> {
  if (!worker) {
    worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    worker.postMessage({ lack } satisfies ToWorker);
  }
  const there = worker;
  return new Promise((resolve) => {
    const once = { once: true };
    there.addEventListener('message', ({ data }: MessageEvent<Answer>) => resolve(data), once);
    there.addEventListener('error', ({ message }) => resolve({ error: `worker: ${message}` }), once);
    there.postMessage(call satisfies ToWorker);
  });
}

async function call(place: Place, call: Call): Promise<Answer> {
  // What a debugger calls is above the page's Content-Security-Policy; what comes in a task of its own is not.
  await new Promise((resolve) => {
    setTimeout(resolve);
  });
  return place === 'worker' ? inWorker(call) : answer((await loaded).cases, call);
}

declare global {
  var infinigrad: { readonly call: typeof call };
}
globalThis.infinigrad = { call };
