/** What is tried, and what came of it. */
import type { page } from '../../browser/gpu/page.ts';
import { Tally } from '../../packages/tensor/test/gpu/conform.ts';
import { ran, type Outcome } from './outcome.ts';

/** Cases of each op and dtype. */
export const runs = Number(process.env['INFINIGRAD_GPU_RUNS'] ?? 2);

/** Ops to try; all unless told. */
export const only = new RegExp(process.env['INFINIGRAD_GPU_ONLY'] ?? '');

/** Traps to set by name; all, but none where only some ops are to be tried. */
export const onlyTraps = new RegExp(
  process.env['INFINIGRAD_GPU_TRAPS'] ?? (process.env['INFINIGRAD_GPU_ONLY'] ? '^$' : ''),
);

export const memoryTrap = '14: 1,000 steps leave the memory of the process that has the GPU where it was';

export const deathTrap = 'the process that has the GPU dies while its results are read';

/** Steps, and megabytes that may come with them: each step makes two results of 256 KiB. */
const steps = 1000;
const mostMegabytes = 100;

/** Why memory is not flat, or null. */
export async function tryMemory(
  take: (steps: number) => Promise<void>,
  megabytes: () => number,
): Promise<string | null> {
  await take(100);
  const before = megabytes();
  await take(steps);
  const after = megabytes();
  console.log(`the GPU's process: ${before} MB before ${steps} steps that make 500 MB, ${after} after`);
  return after - before < mostMegabytes ? null : `${before} MB became ${after}`;
}

/** Resident memory of a process, where the system tells; else 0. */
export const megabytesIn = (status: string): number =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);

/** The page, in whatever process it is. */
export type Page = Pick<typeof page, 'cases' | 'tryCase' | 'train' | 'traps' | 'tryTrap' | 'takeSteps'>;

/** Passes and failures, told of as they come. */
export class Count {
  readonly #name: string;
  readonly #tally = new Tally();

  constructor(name: string) {
    this.#name = name;
  }

  /** @param failure null where there is none */
  add(what: string, failure: string | null): void {
    if (failure === null) {
      this.#tally.passed++;
      return;
    }
    this.#tally.failed.push(what);
    console.log(`${this.#name}: ${what}: ${failure}`);
  }

  addCase(one: Page['cases'][number], { lack, failure }: Awaited<ReturnType<Page['tryCase']>>): void {
    if (failure === null) this.#tally.add(one, lack);
    else this.add(`${one.op} ${one.dtype}`, failure);
  }

  outcome(): Outcome {
    const { passed, failed, absentCount } = this.#tally;
    console.log(this.#tally.reasons().join('\n'));
    return ran(this.#name, passed, failed.length, absentCount);
  }
}

/** What takes longer than any case does is told, not waited for. @throws Error */
export async function within<T>(what: string, work: Promise<T>, seconds = 300): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} takes longer than ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
