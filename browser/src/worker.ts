/** The worker: runs the cases it is told to. */
import { answer, type ToWorker } from './calls.ts';
import { takeAway, takeNotes } from './host.ts';

let loaded: Promise<typeof import('./cases.ts')> | undefined;

addEventListener('message', async ({ data }: MessageEvent<ToWorker>) => {
  if ('lack' in data) {
    takeAway(data.lack);
    takeNotes();
    loaded = import('./cases.ts');
  } else postMessage(await answer((await loaded!).cases, data));
});
