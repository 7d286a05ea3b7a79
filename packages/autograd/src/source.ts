/** Where gradients arrive: at the tensors that want one, and at the results on the way to them. */
import {
  bytesPerElement,
  GradientError,
  inScope,
  isContiguous,
  retire,
  sameShape,
  Tensor,
  type DType,
  type Shape,
} from '@infinigrad/tensor';

let created = 0;

/** The order of the source that will be made next. */
export function nextOrder(): number {
  return created;
}

/** Sees the gradient of a tensor; what it returns, if anything, takes its place. */
export type GradientHook = (gradient: Tensor) => Tensor | void;

/** A place where a gradient arrives, behind a leaf or a result. */
export abstract class Source {
  /** Grows with every source; what a result is made of is always older than the result. */
  readonly order = created++;
  /** The order of the oldest source that it depends on. */
  oldest = this.order;
  readonly shape: Shape;
  readonly dtype: DType;
  /** In the order in which they run; null where there has been none. */
  hooks: readonly { readonly hook: GradientHook }[] | null = null;

  constructor(shape: Shape, dtype: DType) {
    this.shape = shape;
    this.dtype = dtype;
  }

  /** What `backward` has added up here. */
  abstract get grad(): Tensor | null;
  abstract set grad(value: Tensor | null);

  /** Adds to the gradient. */
  accumulate(g: Tensor): void {
    this.grad = this.grad ? this.grad.add(g) : g;
  }

  /** Puts a hook behind those there are; the function returned takes it away. */
  addHook(hook: GradientHook): () => void {
    const own = { hook };
    this.hooks = [...(this.hooks ?? []), own];
    return () => {
      const left = this.hooks?.filter((other) => other !== own) ?? [];
      this.hooks = left.length > 0 ? left : null;
    };
  }

  /** What a hook has returned for a gradient, if it may stand in for it. */
  checkHooked(given: unknown, g: Tensor): Tensor {
    if (!(given instanceof Tensor))
      throw new GradientError(
        'registerHook',
        `a hook must return a tensor or nothing, got ${given instanceof Promise ? 'a promise' : String(given)}`,
        { operands: [g], hint: 'a hook is synchronous; void what it returns by the way' },
      );
    if (!sameShape(given.shape, g.shape) || given.dtype !== g.dtype)
      throw new GradientError('registerHook', 'a hook must keep the shape and the dtype of the gradient', {
        operands: [g, given],
      });
    return given;
  }
}

/** A tensor for which a gradient is collected. */
export class Leaf extends Source {
  #grad: Tensor | null = null;

  /** It outlives the scope it was made in, until another takes its place. */
  get grad(): Tensor | null {
    // Whoever asks outside every scope may hold on to it.
    if (this.#grad && !inScope()) this.#grad.storage.exported = true;
    return this.#grad;
  }

  set grad(value: Tensor | null) {
    const before = this.#grad;
    this.#grad = value && alone(value);
    this.#grad?.storage.pin();
    if (before && before.storage !== this.#grad?.storage) retire(before.storage);
  }
}

/** The tensor where its storage holds nothing else and nobody else's gradient, else a copy. */
function alone(x: Tensor): Tensor {
  const { storage } = x;
  const whole = storage.bytes === x.size * bytesPerElement(x.dtype) && isContiguous(x.layout);
  return whole && !storage.pinned ? x : x.clone();
}

/** The result of an op, or of what is recorded like one. */
export abstract class Result extends Source {
  /** Whether `backward` leaves the gradient in `grad`. */
  retainsGrad = false;
  /** Lives as long as any tensor made where `backward` was called. */
  grad: Tensor | null = null;
}
