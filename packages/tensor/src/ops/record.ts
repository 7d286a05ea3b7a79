/**
 * What an op is: one record. Methods, docs, the support matrix, laws, gradient checks and benchmark rows are
 * derived from the fields here; nothing outside a record branches on an op's name.
 */
import type { DType } from '../dtype.ts';
import type { OperandInfo } from '../errors.ts';
import type { Expr } from '../ir.ts';
import type { Layout, Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import type { Batch } from './batch.ts';

/** A tensor, or a plain scalar that takes a dtype beside the tensors of the same call. */
export type Operand = Tensor | number | boolean;

/** Attributes are plain data, so that a call can be recorded, compared and printed. */
export type AttrValue = number | string | boolean | null | readonly AttrValue[];
export type Attrs = Readonly<Record<string, AttrValue>>;

/** What a user's call means: inputs, attributes, and what to do with the result where that is not the answer yet. */
export interface Request {
  readonly inputs: readonly Operand[];
  readonly attrs?: Attrs;
  readonly finish?: (output: Tensor) => Tensor;
}

/** The result's shape and dtype, and the attributes in canonical form (axes ≥ 0, defaults filled in). */
export interface Plan {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly attrs: Attrs;
}

/**
 * Kinds of matrices, all well conditioned: of full rank with singular values apart; symmetric with eigenvalues apart, of
 * either sign or positive; square and dominated by the diagonal.
 */
export type MatrixKind = 'full-rank' | 'symmetric' | 'positive-definite' | 'dominant';

/** The inputs on which an op makes sense, and on which its gradient exists. The laws draw from it. */
export interface Domain {
  readonly min: number;
  readonly max: number;
  /** Points of which no value comes nearer than 0.05. */
  readonly avoid?: readonly number[];
  /** Whole numbers only. */
  readonly integer?: boolean;
  /** All values of all inputs so marked differ by at least 0.05. */
  readonly distinct?: boolean;
  /** The last two axes hold matrices of this kind; the range does not count. */
  readonly matrix?: MatrixKind;
  /** Ascending along the last axis. */
  readonly sorted?: boolean;
}

export interface InputSpec {
  readonly shape: Shape;
  /** Left out: the dtype that the law is being tried in. */
  readonly dtype?: DType;
  readonly domain: Domain;
}

/** One way to call the op, drawn by the laws. */
export interface Sample {
  readonly inputs: readonly InputSpec[];
  readonly attrs?: Attrs;
}

/** The source of choices behind a sample; fast-check stands behind it in the tests, so that failures shrink. */
export interface Draw {
  int(min: number, max: number): number;
  bool(): boolean;
  pick<T>(items: readonly T[]): T;
  /** A shape of small sizes (1 … 4 unless told), of rank 0 … 3 unless told. */
  shape(options?: { minRank?: number; maxRank?: number; minSize?: number; maxSize?: number }): number[];
  /** Shapes that broadcast together. */
  broadcastable(count: number): number[][];
}

/** A call that must be refused: the inputs (all zeros), the attributes, and the error. */
export interface ErrorCase {
  readonly inputs: readonly { readonly shape: Shape; readonly dtype?: DType; readonly fill?: number }[];
  readonly attrs?: Attrs;
  readonly error: 'ShapeError' | 'DTypeError' | 'IndexError' | 'ValueError';
  /** Words that the message must contain. */
  readonly says: string;
}

/** A call and its result, both written out: shown in the docs, and held against what the op gives. */
export interface Example {
  readonly inputs: readonly {
    readonly shape: Shape;
    readonly values: readonly number[];
    readonly dtype?: DType;
  }[];
  readonly attrs?: Attrs;
  /** Row-major. */
  readonly output: readonly number[];
}

/**
 * How inputs of different dtypes meet before the op runs:
 * `common` in the highest, `number` likewise but bool in i32, `total` likewise but at least i32 (for sums of many),
 * `float` likewise but at least f32, `none`: as they come.
 */
export type Promotion = 'common' | 'number' | 'total' | 'float' | 'none';

interface Common<Args extends readonly unknown[]> {
  /** One line, starting with a verb's third person or a noun phrase; used in docs. */
  readonly doc: string;
  /** From the arguments of a user's call to inputs and attributes. */
  readonly call: (...args: Args) => Request;
  /** How the result's shape follows from the inputs', where it is as simple as that: for shapes known to the compiler. */
  readonly shapes?: 'same' | 'broadcast';
  /** Set where the first argument is not a tensor: a function, not a method. */
  readonly free?: true;
  /**
   * Set where elements are moved or converted, never computed with: f16 and bf16 then come to the kernel as the 16-bit
   * words that they are. All other ops but views get them widened to f32, and a result is rounded back once.
   */
  readonly moves?: true;
  readonly promote: Promotion;
  /** Which inputs take part in promotion; all where left out. */
  readonly promoted?: readonly number[];
  /** Dtypes accepted by each input, before promotion; the last entry stands for all further inputs. */
  readonly accepts: readonly (readonly DType[])[];
  /** The shape, dtype and canonical attributes of the result; throws typed errors. Sees promoted inputs. */
  readonly infer: (inputs: readonly OperandInfo[], attrs: Attrs, op: string) => Plan;
  readonly sample: (draw: Draw) => Sample;
  readonly errors: readonly ErrorCase[];
  /** Results known from elsewhere (a handbook, another library), for ops that the tests have no second definition of. */
  readonly examples?: readonly Example[];
  /** How a whole batch runs at once, where it does not follow from the kind (see batch.ts). */
  readonly batch?: Batch;
  /** Floating-point operations of one call. */
  readonly flops: (inputs: readonly OperandInfo[], plan: Plan) => number;
}

/** One output element from one element of each (broadcast) input. */
export interface ElementwiseRecord<Args extends readonly unknown[] = any> extends Common<Args> {
  readonly kind: 'elementwise';
  /** `inputs` are expressions of the promoted dtype `dtype`. */
  readonly define: (inputs: readonly Expr[], dtype: DType, attrs: Attrs) => Expr;
}

/** One output element from all elements along some axes (`attrs.axes`, ascending). Floats accumulate in f64 or better. */
export interface ReductionRecord<Args extends readonly unknown[] = any> extends Common<Args> {
  readonly kind: 'reduction';
  readonly initial: (dtype: DType) => number;
  readonly combine: (accumulator: Expr, element: Expr) => Expr;
  readonly finish?: (accumulator: Expr, count: Expr) => Expr;
}

/** A new layout over the same buffer; null where no layout will do and the input must be copied first. */
export interface ViewRecord<Args extends readonly unknown[] = any> extends Common<Args> {
  readonly kind: 'view';
  readonly view: (layout: Layout, plan: Plan) => Layout | null;
}

/** An op with a kernel of its own on each backend. */
export interface StructuredRecord<Args extends readonly unknown[] = any> extends Common<Args> {
  readonly kind: 'structured';
}

/** An op made of others, that has a kernel of its own where a backend is faster or more exact with one. */
export interface FusedRecord<Args extends readonly unknown[] = any> extends Common<Args> {
  readonly kind: 'fused';
  /** The same from other ops of the table: what runs where the backend has no kernel, and what higher derivatives see. */
  readonly compose: (inputs: readonly Tensor[], attrs: Attrs, free: FreeFunctions) => Tensor;
}

/** What compositions need that is not a method of a tensor. */
export interface FreeFunctions {
  concat(tensors: readonly Tensor[], axis: number): Tensor;
}

export type OpRecord<Args extends readonly unknown[] = any> =
  | ElementwiseRecord<Args>
  | ReductionRecord<Args>
  | ViewRecord<Args>
  | StructuredRecord<Args>
  | FusedRecord<Args>;
