/** Ops of one step, and the one small read that ends it. */
import { inferenceMode } from '@infinigrad/autograd';
import { pin, retire, type Tensor, type TypedArray } from '@infinigrad/tensor';

/**
 * Runs `body` in inference mode and reads the tensor that it gives: at once where that can be, else when it is there. Of all
 * that was made nothing is left but what was kept.
 */
export async function readResult(body: () => Tensor): Promise<TypedArray> {
  // Where the elements cannot be read at once, the tensor outlives the scope; no handle to it leaves this function.
  const pinned: Tensor[] = [];
  const now = inferenceMode(() => {
    const result = body();
    if (result.backend.synchronous) return result.dataSync();
    pinned.push(pin(result));
    return null;
  });
  if (now) return now;
  const result = pinned[0]!;
  try {
    return await result.data();
  } finally {
    retire(result.storage);
  }
}
