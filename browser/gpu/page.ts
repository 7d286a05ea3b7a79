/** The page: opens a GPU, and tries ops on it against the reference. */
import { setBackend } from '@infinigrad/tensor';
import { useGpu, type Gpu, type Mode } from '@infinigrad/tensor/gpu';
import { cases, conform, type Case } from '../../packages/tensor/test/gpu/conform.ts';

export interface Verdict {
  /** Why the GPU lacks the case, or null. */
  readonly lack: string | null;
  /** What differs, or null. */
  readonly failure: string | null;
}

const page = {
  cases,
  async open(mode: Mode): Promise<Pick<Gpu, 'mode' | 'adapter'> | string> {
    try {
      const { mode: ran, adapter } = await useGpu({ mode, force: true });
      setBackend('js');
      return { mode: ran, adapter };
    } catch (error) {
      return (error as Error).message;
    }
  },
  async tryCase(one: Case, runs: number): Promise<Verdict> {
    try {
      return { lack: await conform(one, runs), failure: null };
    } catch (error) {
      return { lack: null, failure: String((error as Error).cause ?? error) };
    }
  },
};

export type Page = typeof page;
Object.assign(globalThis, { page });
