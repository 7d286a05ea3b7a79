/** Resident memory while the small GPT trains. */
import { memoryStats } from '@infinigrad/tensor';
import { say } from '../run/lines.ts';
import type { Work } from '../workload/folder.ts';
import { breathe } from './sample.ts';
import { Training } from './training.ts';
import type { MemoryWay } from './ways.ts';

const labels: Readonly<Record<MemoryWay, string>> = {
  scoped: 'training',
  yielding: 'outside scopes',
  synchronous: 'outside scopes, never yielding',
};

/** Steps after which memory is read. */
const marks = new Set([1, 10, 50, 100, 200, 300]);
/** Outside scopes it is enough to see whether it grows. */
const unscopedSteps = 50;
/** Nobody is served by a machine that swaps. */
const limitBytes = 6 * 2 ** 30;
const mega = 2 ** 20;

function byHand(training: Training, step: number): void {
  const loss = training.loss(step);
  loss.itemSync();
  loss.backward();
  training.optimizer.step();
  training.optimizer.zeroGrad();
}

export async function memory(way: MemoryWay, work: Work): Promise<void> {
  const all = work.file.settings.steps.memory;
  const steps = way === 'scoped' ? all : Math.min(all, unscopedSteps);
  const training = new Training(work, 'small');
  const rss = (when: string): void =>
    say({
      name: `memory/${labels[way]}: resident ${when}`,
      value: process.memoryUsage.rss() / mega,
      unit: 'MB',
    });
  rss('before');
  for (let step = 0; step < steps; step++) {
    if (way === 'scoped') training.step(step);
    else byHand(training, step);
    if (way !== 'synchronous') await breathe();
    if (marks.has(step + 1)) rss(`at step ${step + 1}`);
    if (process.memoryUsage.rss() > limitBytes) {
      say({ note: `memory: ${labels[way]}, stopped at step ${step + 1}: above ${limitBytes / 2 ** 30} GB` });
      break;
    }
  }
  say({ name: `memory/${labels[way]}: peak`, value: process.resourceUsage().maxRSS / 1024, unit: 'MB' });
  say({ name: `memory/${labels[way]}: tensors at the end`, value: memoryStats().bytes / mega, unit: 'MB' });
}
