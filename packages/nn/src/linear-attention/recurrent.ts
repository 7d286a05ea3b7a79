/** A linear recurrence token by token: the definition of the others. */
import { concat, type Tensor } from '@infinigrad/tensor';
import type { Problem } from './problem.ts';

/** @returns [batch, heads, T, d_value], and the state after the last token */
export function recurrent({ q, k, v, decay, beta, borders, state }: Problem): {
  output: Tensor;
  state: Tensor;
} {
  let kept = decay?.exp() ?? null;
  if (borders) {
    const stays = borders.neg().add(1);
    kept = kept ? kept.mul(stays) : stays;
  }
  const [qs, ks, vs] = [q, k, v].map(tokensOf) as [Tensor[], Tensor[], Tensor[]];
  const betas = beta && tokensOf(beta);
  const factors = kept && tokensOf(kept);
  const outputs: Tensor[] = [];
  let s = state;
  qs.forEach((query, t) => {
    const key = ks[t]!;
    let written = vs[t]!;
    if (s && factors) s = s.mul(factors[t]!.transpose());
    if (betas) written = betas[t]!.mul(s ? written.sub(key.matmul(s)) : written);
    const added = key.transpose().mul(written);
    s = s ? s.add(added) : added;
    outputs.push(query.matmul(s));
  });
  return { output: outputs.length === 1 ? outputs[0]! : concat(outputs, 2), state: s! };
}

/** [batch, heads, 1, d] for each token, by halves of halves: so gradients are put together in T log T, not T². */
function tokensOf(x: Tensor): Tensor[] {
  const length = x.shape[2]!;
  if (length === 1) return [x];
  const half = Math.ceil(length / 2);
  return [...tokensOf(x.narrow(2, 0, half)), ...tokensOf(x.narrow(2, half, length - half))];
}
