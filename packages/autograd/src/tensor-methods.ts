/** PyTorch's door to the engine: `requiresGrad`, `grad`, `backward`, `detach` and hooks on every tensor. */
import { GradientError, isFloat, sameShape, Tensor, type Shape } from '@infinigrad/tensor';
import { backward, type BackwardOptions } from './backward.ts';
import { Leaf, Result, sealed, sourceOf, type Source } from './graph.ts';
import type { GradientHook } from './source.ts';
import { detached } from './transforms/levels.ts';

declare module '@infinigrad/tensor' {
  interface Tensor<S extends Shape = Shape> {
    /** Whether ops on this tensor are recorded. Set it on a tensor that you made; results of ops have it from their inputs. */
    requiresGrad: boolean;
    /** What `backward` has added up for this leaf (or result, after `retainGrad`), or null. Set it to null to start anew. */
    grad: Tensor<S> | null;
    /** True for a tensor that no recorded op has made. */
    readonly isLeaf: boolean;
    /**
     * Adds the gradient of this tensor to `grad` of every leaf it depends on.
     * @param gradient the gradient with respect to this tensor; left out, it is 1 and the tensor must be a single number
     * @throws GradientError where there is nothing to differentiate
     */
    backward(gradient?: Tensor, options?: BackwardOptions): void;
    /** The same elements without their history. */
    detach(): Tensor<S>;
    /** This tensor, with `requiresGrad` set. */
    requireGrad(): this;
    /**
     * Calls `hook` in every pass that brings a gradient to this tensor: once, with all of it, before it goes on. A tensor that
     * the hook returns takes the gradient's place. Hooks run in the order in which they were registered.
     * @returns takes the hook away
     * @throws GradientError where the tensor needs no gradient or the hook is no function, or, in the pass, for what is no gradient of its
     * shape and dtype
     */
    registerHook(hook: GradientHook): () => void;
    /**
     * Lets `backward` leave the gradient of this result in its `grad`, after the hooks; it lives as long as a tensor made where
     * `backward` is called. Leaves do so anyway. Returns this tensor.
     * @throws GradientError where the tensor needs no gradient
     */
    retainGrad(): this;
  }
}

function sourceNeeded(op: string, x: Tensor): Source {
  const source = sourceOf(x);
  if (!source)
    throw new GradientError(op, 'the tensor needs no gradient', {
      operands: [x],
      hint: 'set requiresGrad on it, or on what it is made of',
    });
  return source;
}

Object.defineProperties(Tensor.prototype, {
  requiresGrad: {
    configurable: true,
    get(this: Tensor): boolean {
      return sourceOf(this) !== null;
    },
    set(this: Tensor, value: boolean) {
      const source = sourceOf(this);
      if (value === (source !== null)) return;
      if (source instanceof Result)
        throw new GradientError('requiresGrad', 'cannot be taken from the result of an op', {
          operands: [this],
          hint: 'detach() it',
        });
      if (value && !isFloat(this.dtype))
        throw new GradientError('requiresGrad', 'only floating-point tensors have gradients', {
          operands: [this],
        });
      if (this.attachment === sealed)
        throw new GradientError('requiresGrad', 'the tensor was made in inferenceMode and has no gradients', {
          operands: [this],
          hint: 'clone() it, or make it under noGrad',
        });
      this.attachment = value ? new Leaf(this.shape, this.dtype) : undefined;
    },
  },
  grad: {
    configurable: true,
    get(this: Tensor): Tensor | null {
      const source = sourceOf(this);
      return source?.grad ?? null;
    },
    set(this: Tensor, value: Tensor | null) {
      const source = sourceOf(this);
      if (!source || (source instanceof Result && !source.retainsGrad)) {
        if (value === null) return;
        throw new GradientError('grad', 'only a leaf that requires a gradient holds one', {
          operands: [this],
          hint: 'requireGrad() on a leaf, retainGrad() on a result',
        });
      }
      if (value && !(sameShape(value.shape, this.shape) && value.dtype === this.dtype))
        throw new GradientError('grad', 'tensor and gradient must have one shape and one dtype', {
          operands: [this, value],
        });
      source.grad = value;
    },
  },
  isLeaf: {
    configurable: true,
    get(this: Tensor): boolean {
      return !(this.attachment instanceof Result);
    },
  },
  backward: {
    configurable: true,
    writable: true,
    value: function (this: Tensor, gradient?: Tensor, options?: BackwardOptions): void {
      backward(this, gradient, options);
    },
  },
  detach: {
    configurable: true,
    writable: true,
    value: function (this: Tensor): Tensor {
      const same = detached(this);
      if (this.attachment === sealed) same.attachment = sealed;
      return same;
    },
  },
  registerHook: {
    configurable: true,
    writable: true,
    value: function (this: Tensor, hook: GradientHook): () => void {
      if (typeof hook !== 'function')
        throw new GradientError('registerHook', `a hook must be a function, got ${String(hook)}`, {
          operands: [this],
        });
      return sourceNeeded('registerHook', this).addHook(hook);
    },
  },
  retainGrad: {
    configurable: true,
    writable: true,
    value: function (this: Tensor): Tensor {
      const source = sourceNeeded('retainGrad', this);
      if (source instanceof Result) source.retainsGrad = true;
      return this;
    },
  },
  requireGrad: {
    configurable: true,
    writable: true,
    value: function (this: Tensor): Tensor {
      this.requiresGrad = true;
      return this;
    },
  },
});
