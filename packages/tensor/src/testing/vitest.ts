/** @infinigrad/tensor/testing/vitest: `expect(x).toBeAllClose(y, { rtol, atol, ulp })` in vitest. Import it once, in a setup file or a test. */
import { expect } from 'vitest';
import type { Tensor } from '../tensor.ts';
import type { Tolerance } from './close.ts';
import { matchers } from './matchers.ts';

declare module 'vitest' {
  interface Matchers<T = any> {
    /** Elements agree within `rtol`, `atol` or `ulp`; equal where none is given. */
    toBeAllClose(expected: Tensor | readonly number[], tolerance?: Tolerance): T;
  }
}

expect.extend(matchers);
