/** The tensor: an immutable handle to elements that a backend owns. */
import type { Backend, BufferView } from './backends/backend.ts';
import { sizeOf, type Layout, type Shape } from './shape.ts';
import type { DType } from './dtype.ts';
import { inScope, recogniseTensors } from './memory/scope.ts';
import type { Storage } from './memory/storage.ts';
import type { CompositionMethods, OpMethods, ReadMethods } from './methods.ts';
import type { ShapedMethods } from './types/methods.ts';

// oxlint-disable-next-line no-unused-vars -- the class below has it too
export interface Tensor<S extends Shape = Shape>
  extends
    ShapedMethods,
    Omit<OpMethods, keyof ShapedMethods>,
    Omit<CompositionMethods, keyof ShapedMethods>,
    ReadMethods {}

/**
 * An n-dimensional array of one dtype. Ops return new tensors; views (transpose, slice, expand, most reshapes) share
 * the elements of the tensor they come from. Every op of the table, every composition and every way of reading is a
 * method, installed from its table.
 */
export class Tensor<S extends Shape = Shape> {
  /** Where the elements lie. Changes only when a parameter is given a new value. */
  layout: Layout;
  /** The buffer behind it. Changes only when a parameter is given a new value. */
  storage: Storage;
  readonly dtype: DType;
  /** What an interceptor has attached (autograd: the node that made the tensor); nothing here looks inside. */
  attachment: unknown = undefined;
  /** How often the value has been replaced. */
  version = 0;

  constructor(storage: Storage, layout: Layout, dtype: DType) {
    this.storage = storage;
    this.layout = layout;
    this.dtype = dtype;
    // A handle made outside every scope may live as long as it likes.
    if (storage.pinned && !inScope()) storage.exported = true;
  }

  /** The size along each axis. */
  get shape(): S {
    return this.layout.shape as S;
  }

  /** The number of axes. */
  get rank(): number {
    return this.layout.shape.length;
  }

  /** The number of elements. */
  get size(): number {
    return sizeOf(this.layout.shape);
  }

  /** The backend that owns the elements. */
  get backend(): Backend {
    return this.storage.backend;
  }

  /** The elements as a backend sees them. */
  view(): BufferView {
    const { shape, strides, offset } = this.layout;
    return { buffer: this.storage.buffer, dtype: this.dtype, shape, strides, offset };
  }
}

recogniseTensors((value) => value instanceof Tensor);
