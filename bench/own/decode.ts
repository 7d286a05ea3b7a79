/**
 * Greedy decoding after one token. The framework has no cache of keys and values of its own: the benchmark's GPT joins
 * those of the positions before with `concat`. Beside it the same without a cache, everything computed anew.
 */
import { noGrad } from '@infinigrad/autograd';
import { fromData, scope, type Tensor } from '@infinigrad/tensor';
import type { Cache, Gpt } from '../gpt.ts';
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
  // Caches are small and go together when decoding ends; all else goes token by token.
  scope(() => {
    let caches: readonly Cache[] | undefined;
    for (let i = 0; i < count; i++)
      caches = scope(() => {
        const step = model.forward(row([out.at(-1)!]), i, caches);
        out.push(mostLikely(step.logits));
        return step.caches;
      });
  });
  return out.slice(1);
}

function anew(model: Gpt, first: number, count: number): number[] {
  const out = [first];
  for (let i = 0; i < count; i++) scope(() => void out.push(mostLikely(model.forward(row(out)).logits)));
  return out.slice(1);
}

/** A number that depends on all tokens and their order. */
export function digest(tokens: readonly number[]): number {
  return tokens.reduce((hash, token) => (hash * 31 + token) % 1_000_003, 7);
}

export async function decode(work: Work): Promise<void> {
  const { tokens, runs } = work.file.settings.decode;
  const { model } = new Training(work, 'small');
  const { firstToken } = work.file.gpts.small!;
  for (const [name, method] of [
    ['decode/cached keys and values', cached],
    ['decode/everything anew', anew],
  ] as const) {
    const run = (): number[] => noGrad(() => method(model, firstToken, tokens));
    const check = digest(run());
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
