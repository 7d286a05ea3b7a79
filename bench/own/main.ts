/** Measures the framework: `main.ts PART FOLDER`, in a process of its own. Prints lines as `run/lines.ts` has them. */
import { getBackend, ones, scope, setBackend } from '@infinigrad/tensor';
import { say } from '../run/lines.ts';
import { Work } from '../workload/folder.ts';
import { decode } from './decode.ts';
import { infini } from './infini.ts';
import { layers } from './layers.ts';
import { memory } from './memory.ts';
import { micro } from './micro.ts';
import { breathe } from './sample.ts';
import { training } from './training.ts';
import { memoryWays } from './ways.ts';

/** A backend that can spread its work over threads. */
interface Threaded {
  readonly threads: { readonly count: number; readonly helpersReady: number; readonly lack: string | null };
  setThreads(count: number): void;
}

/** Has the backend use this many threads. @returns how many it has */
async function useThreads(backend: string, wanted: number): Promise<number> {
  const threaded = getBackend(backend) as Partial<Threaded>;
  if (!threaded.setThreads || !threaded.threads) {
    if (wanted > 1) say({ note: `infinigrad: the ${backend} backend has no threads` });
    return 1;
  }
  threaded.setThreads(wanted);
  const { count, lack } = threaded.threads;
  if (count < wanted)
    say({ note: `infinigrad: asked for ${wanted} threads, has ${count}: ${lack ?? 'no reason given'}` });
  // Large work starts them, and they come up when the event loop turns.
  for (let i = 0; i < 200 && threaded.threads.helpersReady < count - 1; i++) {
    scope(
      () =>
        void ones([512, 512])
          .clone()
          .matmul(ones([512, 512]).clone()),
    );
    await breathe();
  }
  return count;
}

const [part, folder] = process.argv.slice(2) as [string, string];
const work = new Work(folder);
const { backend, threads } = work.file.settings;
setBackend(backend);
say({ threads: await useThreads(backend, threads) });

const way = memoryWays.find((name) => part === `memory:${name}`);
if (part === 'gpt-small' || part === 'gpt-large')
  await training(part === 'gpt-small' ? 'small' : 'large', work);
else if (part === 'decode') await decode(work);
else if (part === 'infini') await infini(work);
else if (part === 'layers') await layers(work);
else if (way) await memory(way, work);
else await micro(part, work);
// Helper threads would keep the process alive.
process.exit(0);
