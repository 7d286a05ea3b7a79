/**
 * Greedy decoding after one token, with nn's caches of keys and values. Beside it the same without a cache, everything computed anew.
 */
import { noGrad } from '@infinigrad/autograd';
import { fromData, scope, type Tensor } from '@infinigrad/tensor';
import type { Gpt } from '../gpt.ts';
import { say } from '../run/lines.ts';
import type { Work } from '../workload/folder.ts';
import { breathe, median, withCpu } from './sample.ts';
import { Training } from './training.ts';

const row = (ids: readonly number[]): Tensor => fromData(Int32Array.from(ids), [1, ids.length]);

function mostLikely(logits: Tensor): number {
  return logits
    .select(1, logits.shape[1]! - 1)
    .argMax(-1)
    .itemSync();
}

function cached(model: Gpt, first: number, count: number): number[] {
  const out = [first];
  const caches = model.newCaches();
  for (let i = 0; i < count; i++)
    scope(() => void out.push(mostLikely(model.forward(row([out.at(-1)!]), caches))));
  return out.slice(1);
}

function anew(model: Gpt, first: number, count: number): number[] {
  const out = [first];
  for (let i = 0; i < count; i++) scope(() => void out.push(mostLikely(model.forward(row(out)))));
  return out.slice(1);
}

/** A number that depends on all tokens and their order. */
export function digest(tokens: readonly number[]): number {
  return tokens.reduce((hash, token) => (hash * 31 + token) % 1_000_003, 7);
}

export async function decode(work: Work): Promise<void> {
  const { tokens, warmups, runs } = work.file.settings.decode;
  const { model } = new Training(work, 'small');
  const { firstToken } = work.file.gpts.small!;
  for (const [name, method] of [
    ['decode/cached keys and values', cached],
    ['decode/everything anew', anew],
  ] as const) {
    const run = (): number[] => noGrad(() => method(model, firstToken, tokens));
    const began = performance.now();
    const check = digest(run());
    const first = performance.now() - began;
    if (method === cached)
      say({
        name: 'decode/cached keys and values, the first time',
        value: (tokens / first) * 1e3,
        unit: 'tokens/s',
        check,
      });
    for (let i = 0; i < warmups; i++) {
      run();
      await breathe();
    }
    const times: number[] = [];
    const { cpu } = await withCpu(async () => {
      for (let i = 0; i < runs; i++) {
        const before = performance.now();
        run();
        times.push(performance.now() - before);
        await breathe();
      }
    });
    say({ name, value: (tokens / median(times)) * 1e3, unit: 'tokens/s', cpu, check });
  }
}
