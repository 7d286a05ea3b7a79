/** PyTorch's door to the engine: `requiresGrad`, `grad`, `backward` and `detach` on every tensor. */
import { GradientError, isFloat, sameShape, Tensor, type Shape } from '@infinigrad/tensor';
import { backward, type BackwardOptions } from './backward.ts';
import { Leaf, Node, sourceOf } from './graph.ts';

declare module '@infinigrad/tensor' {
  interface Tensor<S extends Shape = Shape> {
    /** Whether ops on this tensor are recorded. Set it on a tensor that you made; results of ops have it from their inputs. */
    requiresGrad: boolean;
    /** What `backward` has added up for this leaf, or null. Set it to null to start anew. */
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
  }
}

Object.defineProperties(Tensor.prototype, {
  requiresGrad: {
    configurable: true,
    get(this: Tensor): boolean {
      return this.attachment !== undefined;
    },
    set(this: Tensor, value: boolean) {
      if (value === (this.attachment !== undefined)) return;
      if (this.attachment instanceof Node)
        throw new GradientError('requiresGrad', 'cannot be taken from the result of an op', {
          operands: [this],
          hint: 'detach() it',
        });
      if (value && !isFloat(this.dtype))
        throw new GradientError('requiresGrad', 'only floating-point tensors have gradients', {
          operands: [this],
        });
      this.attachment = value ? new Leaf() : undefined;
    },
  },
  grad: {
    configurable: true,
    get(this: Tensor): Tensor | null {
      const source = sourceOf(this);
      return source instanceof Leaf ? source.grad : null;
    },
    set(this: Tensor, value: Tensor | null) {
      const source = sourceOf(this);
      if (!(source instanceof Leaf))
        throw new GradientError('grad', 'only a leaf that requires a gradient holds one', {
          operands: [this],
        });
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
      return !(this.attachment instanceof Node);
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
      return new Tensor(this.storage, this.layout, this.dtype);
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
