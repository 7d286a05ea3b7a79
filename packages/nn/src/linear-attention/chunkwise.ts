/** A linear recurrence by chunks: pairs of tokens inside each, a state from one to the next. */
import { concat, zeros, type Tensor } from '@infinigrad/tensor';
import { fromStart, pairDecay, throughout, toEnd, type ChunkGates } from './decays.ts';
import { partsOf } from './parts.ts';
import type { Problem } from './problem.ts';
import { unitLowerInverse } from './unit-inverse.ts';
import { withinChunk } from './within-chunk.ts';

/**
 * One chunk of all tokens is the parallel form.
 * @returns [batch, heads, T, d_value], and the state after the last token
 */
export function chunkwise(problem: Problem, chunkSize: number): { output: Tensor; state: Tensor } {
  const [batch, heads, length, dk] = problem.q.shape as readonly [number, number, number, number];
  const dv = problem.v.shape[3]!;
  const size = Math.min(chunkSize, 2 ** Math.ceil(Math.log2(length)));
  const chunks = Math.ceil(length / size);
  const filling = chunks * size - length;
  // Tokens filled up at the end write nothing and let nothing fade.
  const cut = (x: Tensor): Tensor => {
    const whole =
      filling === 0
        ? x
        : x.pad([
            [0, 0],
            [0, 0],
            [0, filling],
            [0, 0],
          ]);
    return whole.reshape([x.shape[0]!, x.shape[1]!, chunks, size, x.shape[3]!]);
  };
  const [q, k, v] = [problem.q, problem.k, problem.v].map(cut) as [Tensor, Tensor, Tensor];
  const gates: ChunkGates = {
    log: problem.decay && cut(problem.decay),
    run: problem.borders && cut(problem.borders).cumsum(-2),
  };
  const { dtype } = q;
  const start =
    problem.state ?? zeros([batch, heads, dk, dv], { dtype: q.dtype as 'f32' | 'f64', backend: q.backend });
  const times = (x: Tensor, factor: Tensor | null): Tensor => (factor ? x.mul(factor) : x);
  const entering = fromStart(gates, dtype);
  const writing = times(k, toEnd(gates, dtype)).transpose();
  const passing = throughout(gates, dtype);
  const slices = (x: Tensor): Tensor[] => partsOf(x, 2).map((part) => part.squeeze(2));
  const kept = passing && slices(passing);

  let inside: Tensor;
  let states: Tensor;
  let state: Tensor;
  if (problem.beta) {
    // (I + strictly lower part of β K Kᵀ ⊙ D) U = β (V - e^b K S): U is what the delta rule writes (arXiv 2406.06484, 2412.06464).
    const beta = cut(problem.beta);
    const decayed = pairDecay(gates, size, q);
    const inverse = unitLowerInverse(decayed(k.mul(beta).matmul(k.transpose()), true));
    const fresh = inverse.matmul(v.mul(beta));
    const known = inverse.matmul(times(k.mul(beta), entering));
    const erased = slices(writing.matmul(known));
    const added = slices(writing.matmul(fresh));
    ({ states, state } = walk(start, chunks, (s, n) =>
      times(s, kept && kept[n]!)
        .sub(erased[n]!.matmul(s))
        .add(added[n]!),
    ));
    const written = fresh.sub(known.matmul(states));
    inside = decayed(q.matmul(k.transpose())).matmul(written);
  } else {
    inside =
      gates.log && gates.log.shape[4] !== 1
        ? withinChunk(q, k, v, gates.log, gates.run)
        : pairDecay(gates, size, q)(q.matmul(k.transpose())).matmul(v);
    const added = writing.matmul(v);
    if (kept || chunks === 1) {
      const parts = slices(added);
      ({ states, state } = walk(start, chunks, (s, n) => times(s, kept && kept[n]!).add(parts[n]!)));
    } else {
      // Nothing fades: the states are sums.
      const sums = concat([start.unsqueeze(2), added], 2).cumsum(2);
      states = sums.narrow(2, 0, chunks);
      state = sums.select(2, chunks);
    }
  }
  const output = inside.add(times(q, entering).matmul(states)).reshape([batch, heads, chunks * size, dv]);
  return { output: filling === 0 ? output : output.narrow(2, 0, length), state };
}

/** The state before each chunk, [batch, heads, chunks, d_key, d_value], and after the last. */
function walk(
  start: Tensor,
  chunks: number,
  next: (state: Tensor, chunk: number) => Tensor,
): { states: Tensor; state: Tensor } {
  const before: Tensor[] = [];
  let state = start;
  for (let n = 0; n < chunks; n++) {
    before.push(state.unsqueeze(2));
    state = next(state, n);
  }
  return { states: chunks === 1 ? before[0]! : concat(before, 2), state };
}
