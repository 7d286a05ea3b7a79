/** A tensor that is trained: it keeps its identity while its value is replaced. */
import '@infinigrad/autograd';
import { apply, DTypeError, isContiguous, isFloat, sameShape, ShapeError, Tensor } from '@infinigrad/tensor';

/** A row-major tensor with the same elements and no history. Never one that repeats elements by stride 0. */
function owned(value: Tensor): Tensor {
  const plain = value.detach();
  return isContiguous(plain.layout) ? plain : apply('clone', [plain]);
}

export class Parameter extends Tensor {
  /** @throws DTypeError unless the value is floating point */
  constructor(value: Tensor) {
    if (!isFloat(value.dtype))
      throw new DTypeError('Parameter', 'only floating-point tensors can be trained', { operands: [value] });
    const { storage, layout, dtype } = owned(value);
    super(storage, layout, dtype);
    this.requiresGrad = true;
  }

  /**
   * Gives the parameter a new value. Not between a forward pass and its backward pass: that is refused there.
   * @throws ShapeError or DTypeError where the value does not have the parameter's shape and dtype
   */
  assign(value: Tensor): void {
    if (!sameShape(value.shape, this.shape))
      throw new ShapeError('Parameter.assign', 'the value has another shape', { operands: [this, value] });
    if (value.dtype !== this.dtype)
      throw new DTypeError('Parameter.assign', 'the value has another dtype', { operands: [this, value], hint: `cast('${this.dtype}')` });
    const { storage, layout } = owned(value);
    this.storage = storage;
    this.layout = layout;
    this.version++;
  }
}
