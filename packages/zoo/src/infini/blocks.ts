/** A block with a memory, called so that it is called again for its gradient, or as it is. */
import { checkpoint } from '@infinigrad/autograd';
import type { MemoryState } from '@infinigrad/nn';
import type { Tensor } from '@infinigrad/tensor';

interface Made {
  readonly output: Tensor;
  readonly memory: MemoryState | null;
  readonly writeLogits?: Tensor | null;
}

interface Block {
  forward(x: Tensor, memory: MemoryState | null, mask: Tensor | null): Made;
}

/** @param saving keep what goes in alone for the backward pass */
export function throughBlock(
  block: Block,
  x: Tensor,
  memory: MemoryState | null,
  mask: Tensor | null,
  saving: boolean,
): Made {
  if (!saving) return block.forward(x, memory, mask);
  const saved = checkpoint((y: Tensor) => {
    const made = block.forward(y, memory, mask);
    return {
      output: made.output,
      ...(made.memory && { memory: made.memory }),
      ...(made.writeLogits && { writeLogits: made.writeLogits }),
    };
  });
  return { memory: null, writeLogits: null, ...saved(x) };
}
