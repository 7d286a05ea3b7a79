/** The page: opens a GPU, tries ops on it against the reference, and sets traps. Runs in Node as well. */
import { AdamW, crossEntropy, Linear } from '@infinigrad/nn';
import { arange, Key, setBackend, type Tensor } from '@infinigrad/tensor';
import { useGpu, type Gpu, type Mode } from '@infinigrad/tensor/gpu';
import { cases, conform, type Case } from '../../packages/tensor/test/gpu/conform.ts';
import { reads } from './check.ts';
import { alive, countObjects, offend, pretendSide, sources } from './counting.ts';
import { takeSteps, lifeTraps } from './traps-lives.ts';
import { valueTraps } from './traps-values.ts';

export interface Verdict {
  /** Why the GPU lacks the case, or null. */
  readonly lack: string | null;
  /** What differs, or null. */
  readonly failure: string | null;
}

/** Losses of a small classifier in training. */
async function losses(backend: string, steps: number): Promise<number[]> {
  setBackend(backend);
  try {
    const x = new Key(1).normal([32, 4]);
    const targets = arange(32).remainder(3);
    const [first, second] = [new Linear(4, 16, { key: new Key(2) }), new Linear(16, 3, { key: new Key(3) })];
    const parameters = [...first.parameters(), ...second.parameters()];
    const optimizer = new AdamW(parameters, { learningRate: 0.02, maxGradNorm: 1 });
    const out: number[] = [];
    for (let step = 0; step < steps; step++) {
      const loss = optimizer.minimize(() => crossEntropy(second.forward(first.forward(x).gelu()), targets));
      if (step % 10 === 9) out.push(await loss.item());
    }
    return out;
  } finally {
    setBackend('js');
  }
}

/** Reads again and again. @returns what is wrong */
async function readWrongly(x: Tensor): Promise<string> {
  for (let by = 2; ; by++) {
    const data = await x.mul(by).data();
    const at = data.findIndex((y, i) => y !== Math.fround((i + 1) * by));
    if (at >= 0) return `${data[at]} instead of ${(at + 1) * by} was read`;
  }
}

/** A browser needs a moment to have a GPU again. */
async function patiently<T>(body: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++)
    try {
      return await body();
    } catch (error) {
      if (tries === 40) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
}

const traps = [...valueTraps, ...lifeTraps];
let opened: Gpu | undefined;

export const page = {
  cases,
  /**
   * @param side of textures, at most, where one is to be pretended
   * @returns why there is no GPU, as text
   */
  async open(mode: Mode, side?: number): Promise<Pick<Gpu, 'mode' | 'adapter'> | string> {
    try {
      if (!opened) countObjects(mode);
      if (side !== undefined) pretendSide(side);
      opened = await useGpu({ mode, force: true });
      setBackend('js');
      return { mode: opened.mode, adapter: opened.adapter };
    } catch (error) {
      const { message } = error as Error;
      if (message.includes('no GPU is at hand')) return message;
      throw error;
    }
  },
  /** What differs between training on the GPU and on the reference, or null. */
  async train(): Promise<string | null> {
    try {
      const [there, here] = [await losses('gpu', 100), await losses('js', 100)];
      const agree = there.every((loss, i) => Math.abs(loss - here[i]!) < 0.01);
      const learns = there.at(-1)! < there[0]! - 0.1;
      return agree && learns
        ? null
        : `losses on the GPU ${there.join(', ')}; on the reference ${here.join(', ')}`;
    } catch (error) {
      return String(error);
    }
  },
  traps(mode: Mode): { readonly name: string; readonly side: number | null }[] {
    return traps
      .filter(({ modes }) => modes?.includes(mode) ?? true)
      .map(({ name, side }) => ({ name, side: side ?? null }));
  },
  /** How a trap snapped, or null. */
  async tryTrap(name: string): Promise<string | null> {
    const { mode } = opened!;
    const open = async (kernels?: number): Promise<Gpu> =>
      (opened = await useGpu({ mode, force: true, ...(kernels !== undefined && { kernels }) }));
    try {
      const gpu = await open();
      const bench = { mode, gpu, open, alive: () => ({ ...alive }), sources: () => sources, offend };
      await traps.find((trap) => trap.name === name)!.run(bench);
      return null;
    } catch (error) {
      return String(error);
    } finally {
      setBackend('js');
    }
  },
  async takeSteps(count: number): Promise<void> {
    setBackend('gpu');
    await takeSteps(count);
    setBackend('js');
  },
  /** Reads until the GPU is lost, opens another and reads from that. @returns what was wrong, or null */
  async readUntilLost(): Promise<string | null> {
    const { mode } = opened!;
    try {
      await useGpu({ mode, force: true });
      const x = arange(1, 1001, 1, { dtype: 'f32' }).clone();
      const lost = await readWrongly(x).catch(String);
      if (!/BackendError: .*the GPU was lost.*useGpu\(\) again/.test(lost)) return lost;
      await patiently(() => useGpu({ mode, force: true }));
      return await reads(arange(1, 4).mul(2), [2, 4, 6]).then(() => null);
    } catch (error) {
      return String(error);
    } finally {
      setBackend('js');
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
