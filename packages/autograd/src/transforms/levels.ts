/**
 * Calls of vmap at work, one inside the other, and the handles that stand for a tensor inside one: a handle shows the shape
 * of one example, the tensor behind it holds those of all of them.
 */
import {
  bytesPerElement,
  contiguousLayout,
  DisposedError,
  sizeOf,
  Storage,
  Tensor,
  ValueError,
  type BackendBuffer,
  type OperandInfo,
  type Shape,
} from '@infinigrad/tensor';

/** One call of vmap. */
export class Level {
  readonly parent: Level | null;
  readonly depth: number;
  /** The number of examples. */
  readonly size: number;
  /** `aside`: for a while, what runs sees whole batches only. */
  state: 'open' | 'aside' | 'ended' = 'open';
  /** Runs `body` as if this vmap, and all inside it, were not there; set while it is at work. */
  below: (<T>(body: () => T) => T) | null = null;

  constructor(parent: Level | null, size: number) {
    this.parent = parent;
    this.depth = (parent?.depth ?? 0) + 1;
    this.size = size;
  }
}

const unreadable = {
  problem: 'stands for every example of a vmap at once, so there is no one value to read',
  hint: 'return it from the function and read the result; choose with where() instead of if',
};

/** What lies behind a handle that stands for a tensor. A storage, so that other handles to it are found as well. */
class Standing extends Storage {
  /** With the batch as its first axis, where it has one. */
  readonly inner: Tensor;
  readonly batched: boolean;
  readonly level: Level;

  constructor(inner: Tensor, batched: boolean, level: Level, bytes: number) {
    const none = (): BackendBuffer => {
      throw new ValueError('data', unreadable.problem, { operands: [inner], hint: unreadable.hint });
    };
    super(inner.backend, none, bytes, inner.storage.madeBy, null);
    this.inner = inner;
    this.batched = batched;
    this.level = level;
  }

  override get unreadable(): typeof unreadable {
    return unreadable;
  }

  override get pending(): boolean {
    return false;
  }

  override settle(): void {
    this.inner.storage.settle();
  }

  override pin(): void {
    this.inner.storage.pin();
  }

  override unpin(): boolean {
    return this.inner.storage.unpin();
  }

  override free(): void {
    this.inner.storage.free();
  }

  override check(op: string, operands: readonly OperandInfo[]): void {
    if (this.level.state === 'ended')
      throw new DisposedError(op, 'a tensor from inside a vmap is used after it has ended', {
        operands,
        hint: 'return it from the function',
      });
    if (this.level.state === 'aside')
      throw new ValueError(
        op,
        'a tensor from inside a vmap is used in a customGradient function that it is no argument of',
        { operands, hint: 'pass it as an argument' },
      );
    this.inner.storage.check(op, operands);
  }
}

let current: Level | null = null;

/** The innermost vmap at work, or null. */
export function currentLevel(): Level | null {
  return current;
}

/** Runs `body` as if `level` were the innermost vmap. */
export function within<T>(level: Level | null, body: () => T): T {
  const before = current;
  current = level;
  try {
    return body();
  } finally {
    current = before;
  }
}

/** What stands for a tensor at a level, or the tensor itself as one for all examples. */
export function opened(x: Tensor, level: Level): { readonly inner: Tensor; readonly batched: boolean } {
  const standing = standingFor(x);
  return standing?.level === level ? standing : { inner: x, batched: false };
}

/** All examples of a tensor at a level, along its first axis. */
export function wholeOf(x: Tensor, level: Level): Tensor {
  const { inner, batched } = opened(x, level);
  return batched ? inner : inner.expand([level.size, ...inner.shape]);
}

/** What a handle stands for, or null for a tensor that stands for itself. */
export function standingFor({ storage }: Tensor): {
  readonly inner: Tensor;
  readonly batched: boolean;
  readonly level: Level;
} | null {
  return storage instanceof Standing ? storage : null;
}

/** How many calls of vmap a tensor is inside of; 0 for a plain one. */
export function depthOf({ storage }: Tensor): number {
  return storage instanceof Standing ? storage.level.depth : 0;
}

/** The depth of the graph that a call belongs to; shallower inputs are constants there, and have a graph of their own. */
export function deepest(inputs: readonly Tensor[]): number {
  return inputs.reduce((depth, x) => Math.max(depth, depthOf(x)), 0);
}

/** A handle inside a vmap: to the examples of a batch that lie along the first axis, or to a tensor that is one for all. */
export function stand(inner: Tensor, level: Level, batched: boolean): Tensor {
  const shape: Shape = batched ? inner.shape.slice(1) : inner.shape;
  const bytes = sizeOf(shape) * bytesPerElement(inner.dtype);
  return new Tensor(new Standing(inner, batched, level, bytes), contiguousLayout(shape), inner.dtype);
}

type Carrier = (from: Tensor, to: Tensor) => void;

let carriers: readonly Carrier[] = [];

/** Lets `carrier` take what it knows of a tensor over to further handles; the function returned ends that. */
export function carrying(carrier: Carrier): () => void {
  carriers = [...carriers, carrier];
  return () => {
    carriers = carriers.filter((other) => other !== carrier);
  };
}

/** Tells that a handle is another one to the elements of `from`: it has the tangents that `from` has. */
export function carry(from: Tensor, to: Tensor): Tensor {
  for (const carrier of carriers) carrier(from, to);
  return to;
}

/** Another handle to the same elements, without history at any depth; tangents stay. */
export function withoutGraph(x: Tensor): Tensor {
  const standing = standingFor(x);
  return carry(
    x,
    standing
      ? stand(withoutGraph(standing.inner), standing.level, standing.batched)
      : new Tensor(x.storage, x.layout, x.dtype),
  );
}

/** Another handle to the same elements, without history and tangents at any depth. */
export function detached(x: Tensor): Tensor {
  const standing = standingFor(x);
  return standing
    ? stand(detached(standing.inner), standing.level, standing.batched)
    : new Tensor(x.storage, x.layout, x.dtype);
}
