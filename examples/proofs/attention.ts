/** An attention layer, and the same with a leak in it. */
import { Key, type Tensor } from '@infinigrad/tensor';
import { domains, subject, type Subject } from '@infinigrad/tensor/testing';

const heads = 2;
const width = 4;

/** Causal attention of two heads with projections of its own: [batch, time, 4] to the same. */
export class Attention {
  readonly #weights = [0, 1, 2, 3].map((i) => new Key(i).normal([width, width], { dtype: 'f64' }));

  readonly leaks: boolean;

  constructor(leaks = false) {
    this.leaks = leaks;
  }

  forward(x: Tensor): Tensor {
    const [batch, time] = x.shape as [number, number, number];
    const split = (w: Tensor): Tensor =>
      x
        .matmul(w)
        .reshape([batch, time, heads, width / heads])
        .transpose(1, 2);
    const [q, k, v] = this.#weights.slice(0, 3).map(split) as [Tensor, Tensor, Tensor];
    const scores = q.matmul(k.transpose()).div(Math.sqrt(width / heads));
    // A score of 0 is not a weight of 0: only -Infinity keeps the future out.
    const seen = this.leaks ? scores.tril() : scores.triangleMask().where(scores, -Infinity);
    const mixed = seen.softmax(-1).matmul(v).transpose(1, 2);
    return mixed.reshape([batch, time, width]).matmul(this.#weights[3]!);
  }
}

/** The layer as the subject of laws: one or two sequences of up to five tokens. */
export const subjectOf = (layer: Attention): Subject =>
  subject(
    'attention',
    (x) => layer.forward(x),
    (draw) => [{ shape: [draw.int(1, 2), draw.int(1, 5), width], domain: domains.real }],
  );
