/** What the tokens of a chunk get from each other, where every channel fades at a rate of its own. */
import { sizeOf, type Tensor } from '@infinigrad/tensor';
import { left, sumAfter } from './decays.ts';

/**
 * o_i = Σ_{j ≤ i} Σ_d q_id e^{log_{j+1,d} + … + log_{i,d}} k_jd v_j for chunks of C tokens, a power of two.
 *
 * A decay from j to i is no product of a part of i and a part of j that are both at most 1, unless a place between them
 * is given. So: halves. What the second half of 2, 4, … C tokens gets from the first goes by the border between them,
 * q e^{from border} · (k e^{to border})ᵀ, with exponents ≤ 0 on both sides; no factor ever overflows, as e^{-b} of the
 * usual factorisation (arXiv 2312.06635, section 4.3) does.
 * @param run the number of borders of documents up to each token, [batch, 1, chunks, C, 1]
 */
export function withinChunk(q: Tensor, k: Tensor, v: Tensor, log: Tensor, run: Tensor | null): Tensor {
  const lead = q.shape.slice(0, -2);
  const [length, dv] = [q.shape.at(-2)!, v.shape.at(-1)!];
  const total = sizeOf(lead) * length;
  const runs = run?.expand([...lead, length, 1]);
  // Tokens in blocks of two halves; the first or second half of each.
  const halves =
    (half: number) =>
    (x: Tensor, which: 0 | 1): Tensor =>
      x.reshape([total / (2 * half), 2, half, x.shape.at(-1)!]).select(1, which);
  const logs = log.expand([...lead, length, log.shape.at(-1)!]);
  let output = q.mul(k).sum(-1, true).mul(v).reshape([total, dv]);
  for (let half = 1; half < length; half *= 2) {
    const part = halves(half);
    const border = runs && part(runs, 0).narrow(-2, half - 1, 1);
    const read = part(q, 1).mul(
      left(part(logs, 1).cumsum(-2), border ? part(runs, 1).eq(border) : null, q.dtype)!,
    );
    const written = part(k, 0).mul(
      left(sumAfter(part(logs, 0)), border ? part(runs, 0).eq(border) : null, q.dtype)!,
    );
    const gained = read.matmul(written.transpose()).matmul(part(v, 0));
    const blocks = output.reshape([total / (2 * half), 2, half, dv]);
    output = blocks.add(
      gained.unsqueeze(1).pad([
        [0, 0],
        [1, 0],
        [0, 0],
        [0, 0],
      ]),
    );
  }
  return output.reshape(v.shape);
}
