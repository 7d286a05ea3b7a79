/** What the tests of interceptors share. */
import { intercept, type Interceptor } from '@infinigrad/tensor';

/** Runs a body under interceptors, the first one innermost. */
export function under<T>(interceptors: readonly Interceptor[], body: () => T): T {
  const stops = interceptors.map(intercept);
  try {
    return body();
  } finally {
    for (const stop of stops) stop();
  }
}
