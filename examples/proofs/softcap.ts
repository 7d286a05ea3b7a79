/** A custom op with a gradient of its own, and the same with a slip in it. */
import type { Tensor } from '@infinigrad/tensor';
import { customGradient } from '@infinigrad/autograd';
import { domains, subject, type Subject } from '@infinigrad/tensor/testing';

/** cap · tanh(x / cap): logits that stay within ±cap (arXiv 2408.00118, section 2). */
export const softcap = customGradient(
  (x: Tensor, cap: number) => {
    const output = x.div(cap).tanh().mul(cap);
    return { output, saved: { output, cap } };
  },
  (g, { output, cap }) => g.mul(output.div(cap).square().neg().add(1)),
  { name: 'softcap' },
);

/** The gradient forgets to divide by the cap: right only where the cap is 1. */
export const wrongSoftcap = customGradient(
  (x: Tensor, cap: number) => {
    const output = x.div(cap).tanh().mul(cap);
    return { output, saved: { output, cap } };
  },
  (g, { output }) => g.mul(output.square().neg().add(1)),
  { name: 'softcap' },
);

/** The op as the subject of laws: any shape, real numbers of a few units, cap 2. */
export const subjectOf = (f: (x: Tensor, cap: number) => Tensor): Subject =>
  subject(
    'softcap',
    (x) => f(x, 2),
    (draw) => [{ shape: draw.shape(), domain: domains.real }],
  );
