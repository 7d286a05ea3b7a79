/** The same cases in Node, to compare with. */
import { setFlagsFromString } from 'node:v8';
import { vi } from 'vitest';
import type { Digest } from '../src/bits.ts';
import type { Cases } from '../src/cases.ts';
import { takeAway } from '../src/host.ts';

export interface Reference {
  readonly work: Record<string, Digest>;
  readonly train: ReturnType<Cases['train']>;
  readonly product: Digest;
}

/**
 * `fused` is wasm with relaxed SIMD, whose multiply-add rounds once, as in today's browsers; `plain` is wasm without, as in
 * Node 20.
 */
export type Engine = 'js' | 'plain' | 'fused';

export async function reference(engine: Engine, steps: number): Promise<Reference> {
  // There it is behind a flag; later it is on.
  if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');
  const putBack = takeAway(engine === 'plain' ? 'relaxed' : undefined);
  try {
    vi.resetModules();
    const { cases } = await import('../src/cases.ts');
    if (engine === 'js') cases.setBackend('js');
    cases.setThreads(1);
    return { work: cases.work(), train: cases.train(steps), product: cases.grow().product };
  } finally {
    putBack();
  }
}
