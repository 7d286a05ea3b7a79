/** Matchers for `expect.extend` of vitest or jest. */
import { Tensor } from '../tensor.ts';
import { allClose, type Tolerance } from './close.ts';

interface Verdict {
  readonly pass: boolean;
  readonly message: () => string;
}

export const matchers = {
  /**
   * `expect(x).toBeAllClose(y)`, with `{ rtol, atol }` (|x - y| ≤ atol + rtol·|y|) or `{ ulp }`; equal where no
   * tolerance is given. `y`: a tensor of the same shape, or as many numbers.
   */
  toBeAllClose(actual: unknown, expected: Tensor | readonly number[], tolerance: Tolerance = {}): Verdict {
    if (!(actual instanceof Tensor))
      return { pass: false, message: () => `expected a tensor, got ${String(actual)}` };
    const difference = allClose(actual, expected, tolerance);
    return {
      pass: difference === null,
      message: () => difference ?? 'expected the tensors to differ, but they agree',
    };
  },
};
