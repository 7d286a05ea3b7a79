/** The methods through which shapes that the compiler knows flow. All others give tensors of any shape. */
import type { OpName, OpTable } from '../ops/table.ts';
import type { Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import type { Documented } from './documented.ts';
import type {
  Broadcast,
  FitsAxes,
  FitsBroadcast,
  FitsMatMul,
  FitsPermutation,
  FitsReshape,
  Known,
  MatMul,
  Permuted,
  Reduced,
  Reshaped,
  Transposed,
  Unsqueezed,
} from './shapes.ts';

type Rest<F> = F extends (self: infer _Self, ...rest: infer Rest) => unknown ? Rest : never;
type OpsWhere<Trait> = { [K in OpName]: OpTable[K] extends Trait ? K : never }[OpName];
type SameShapeOp = OpsWhere<{ readonly shapes: 'same' }>;
type BroadcastOp = OpsWhere<{ readonly shapes: 'broadcast' }>;
type ReductionOp = OpsWhere<{ readonly kind: 'reduction' }>;

type SameShapeMethods = {
  [K in keyof Documented as K & SameShapeOp]: <S extends Shape>(
    this: Tensor<S>,
    ...rest: Rest<OpTable[K & SameShapeOp]['call']>
  ) => Tensor<Known<S>>;
};

type BroadcastMethods = {
  [K in keyof Documented as K & BroadcastOp]: <S extends Shape, O extends Shape = readonly []>(
    this: Tensor<S>,
    other: number | boolean | (Tensor<O> & FitsBroadcast<S, O>),
  ) => Tensor<Broadcast<S, O>>;
};

type ReductionMethods = {
  [K in keyof Documented as K & ReductionOp]: <
    S extends Shape,
    const A extends number | readonly number[] | undefined = undefined,
    Keep extends boolean = false,
  >(
    this: Tensor<S>,
    axes?: A & FitsAxes<S, A>,
    keepDims?: Keep,
  ) => Tensor<Reduced<S, A, Keep>>;
};

interface OtherMethods {
  /** Matrix product over the last two axes, [..., m, k] × [..., k, n] → [..., m, n]; leading axes broadcast. A vector acts as a row or a column. */
  matmul<S extends Shape, O extends Shape>(
    this: Tensor<S>,
    b: Tensor<O> & FitsMatMul<S, O>,
  ): Tensor<MatMul<S, O>>;
  /** The same elements in row-major order under another shape; one size may be -1. A view wherever strides allow. */
  reshape<S extends Shape, const To extends Shape>(
    this: Tensor<S>,
    shape: To & FitsReshape<S, To>,
  ): Tensor<Reshaped<S, To>>;
  /** Axes in another order: axis i of the result is axis `axes[i]` of x. A view. */
  permute<S extends Shape, const A extends readonly number[]>(
    this: Tensor<S>,
    axes: A & FitsPermutation<S, A>,
  ): Tensor<Permuted<S, A>>;
  /** Two axes swapped (the last two unless told). A view. */
  transpose<S extends Shape, const A extends number = -2, const B extends number = -1>(
    this: Tensor<S>,
    a?: A & FitsAxes<S, A>,
    b?: B & FitsAxes<S, B>,
  ): Tensor<Transposed<S, A, B>>;
  /** With a new axis of size 1 at a place counted in the result. A view. */
  unsqueeze<S extends Shape, const A extends number>(this: Tensor<S>, axis: A): Tensor<Unsqueezed<S, A>>;
}

/** In place of the plain signatures of the same names. */
export interface ShapedMethods extends SameShapeMethods, BroadcastMethods, ReductionMethods, OtherMethods {}
