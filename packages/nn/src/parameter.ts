/** Parameters: the tensors that training changes. */
import { noGrad } from '@infinigrad/autograd';
import {
  bytesPerElement,
  contiguousLayout,
  retire,
  DTypeError,
  isContiguous,
  isFloat,
  sameShape,
  ShapeError,
  Tensor,
} from '@infinigrad/tensor';

/**
 * The same elements, row-major, without history, in storage that holds nothing else. What already lies so is shared,
 * not copied: elements never change under a handle.
 */
function owned(value: Tensor): Tensor {
  const { layout, storage, dtype, shape, size } = value;
  const alone =
    size > 0 &&
    layout.offset === 0 &&
    isContiguous(layout) &&
    storage.bytes === size * bytesPerElement(dtype);
  if (alone) return new Tensor(storage, contiguousLayout(shape), dtype);
  return noGrad(() => value.detach().clone());
}

/** A leaf that requires a gradient, found by `Module.namedParameters` and updated by optimizers. */
export class Parameter extends Tensor {
  /**
   * @param value the initial elements, of floating point; its history is left behind
   * @throws DTypeError for other dtypes
   */
  constructor(value: Tensor) {
    if (!isFloat(value.dtype))
      throw new DTypeError('Parameter', 'needs a floating-point tensor', {
        operands: [value],
        hint: "cast('f32') converts",
      });
    const { storage, layout, dtype } = owned(value);
    super(storage, layout, dtype);
    storage.pin();
    this.requiresGrad = true;
  }

  /**
   * Replaces the elements. A graph that saved the old ones refuses to run backward from then on.
   * @throws ShapeError, DTypeError where the value's shape or dtype is not the parameter's
   */
  assign(value: Tensor): void {
    if (!sameShape(value.shape, this.shape))
      throw new ShapeError('Parameter.assign', 'parameter and value must have one shape', {
        operands: [this, value],
      });
    if (value.dtype !== this.dtype)
      throw new DTypeError('Parameter.assign', 'parameter and value must have one dtype', {
        operands: [this, value],
        hint: `cast('${this.dtype}') converts`,
      });
    this.adopt(owned(value));
  }

  /**
   * As `assign` for a row-major value of this shape and dtype, whose storage it takes over as it is, whatever else lies in
   * it. The old storage is given back unless somebody may still hold a handle to it.
   */
  adopt(value: Tensor): void {
    const { storage: before } = this;
    const { storage, layout } = value;
    storage.pin();
    this.storage = storage;
    this.layout = layout;
    this.version++;
    if (before !== storage) retire(before);
  }
}
