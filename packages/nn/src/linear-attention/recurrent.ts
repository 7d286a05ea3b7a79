/** A linear recurrence token by token: the definition of the others. */
import { concat, type Tensor } from '@infinigrad/tensor';
import { partsOf } from './parts.ts';
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
  const [qs, ks, vs] = [q, k, v].map((x) => partsOf(x, 2)) as [Tensor[], Tensor[], Tensor[]];
  const betas = beta && partsOf(beta, 2);
  const factors = kept && partsOf(kept, 2);
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
