/** The tensors that a module holds: parameters, which training changes, and buffers, which the module changes itself. */
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
  type DType,
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

/** A handle whose elements can be replaced. They outlive every scope until they are. */
export abstract class StateTensor extends Tensor {
  /** What errors call it. */
  protected abstract get kind(): string;

  constructor(value: Tensor) {
    const { storage, layout, dtype } = owned(value);
    super(storage, layout, dtype);
    storage.pin();
  }

  /**
   * Replaces the elements. A graph that saved the old ones refuses to run backward from then on.
   * @throws ShapeError, DTypeError where the value's shape or dtype is not the one it has
   */
  assign(value: Tensor): void {
    const { kind } = this;
    const [op, what] = [`${kind}.assign`, kind.toLowerCase()];
    if (!sameShape(value.shape, this.shape))
      throw new ShapeError(op, `${what} and value must have one shape`, { operands: [this, value] });
    if (value.dtype !== this.dtype)
      throw new DTypeError(op, `${what} and value must have one dtype`, {
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

  /** As `assign` for a value of this shape that may be of another dtype, or live on another backend. A gradient is forgotten. */
  convert(value: Tensor): void {
    const { requiresGrad } = this;
    // A leaf knows its dtype.
    if (requiresGrad) this.requiresGrad = false;
    this.adopt(owned(value));
    (this as { dtype: DType }).dtype = value.dtype;
    if (requiresGrad) this.requiresGrad = true;
  }
}

/** A leaf that requires a gradient, found by `Module.namedParameters` and updated by optimizers. */
export class Parameter extends StateTensor {
  protected override get kind(): string {
    return 'Parameter';
  }

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
    super(value);
    this.requiresGrad = true;
  }
}

export interface BufferOptions {
  /** Whether it is part of `stateDict`. Default true. */
  readonly persistent?: boolean;
}

/**
 * State of a module that is no parameter: running statistics, tables, counters. Found by `Module.namedBuffers`; of any dtype,
 * without gradients.
 */
export class ModuleBuffer extends StateTensor {
  readonly persistent: boolean;

  protected override get kind(): string {
    return 'Buffer';
  }

  /** @param value the initial elements; its history is left behind */
  constructor(value: Tensor, { persistent = true }: BufferOptions = {}) {
    super(value);
    this.persistent = persistent;
  }
}
