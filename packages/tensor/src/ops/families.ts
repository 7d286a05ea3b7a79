/** Constructors for the families of op records that share shape rules, calls, samples and error rows. */
import { dtypes, isFloat, type DType } from '../dtype.ts';
import { ValueError, type OperandInfo } from '../errors.ts';
import type { Expr } from '../ir.ts';
import { broadcastShapes, normalizeAxes, reducedShape, sizeOf } from '../shape.ts';
import { real } from './domains.ts';
import type {
  Attrs,
  Domain,
  Draw,
  ElementwiseRecord,
  ErrorCase,
  Example,
  Operand,
  Promotion,
  ReductionRecord,
} from './record.ts';
import type { Tensor } from '../tensor.ts';

export const anyDType: readonly DType[] = dtypes;
export const numeric: readonly DType[] = ['u8', 'i32', 'f16', 'bf16', 'f32', 'f64'];
export const floats: readonly DType[] = ['f16', 'bf16', 'f32', 'f64'];
export const indices: readonly DType[] = ['i32', 'u8'];

type ResultDType = 'same' | 'bool';

interface UnaryOptions {
  readonly doc: string;
  readonly define: (x: Expr, dtype: DType) => Expr;
  readonly promote?: Promotion;
  readonly accepts?: readonly DType[];
  readonly result?: ResultDType;
  readonly domain?: Domain;
  readonly moves?: true;
  /** Per element; 1 unless told. */
  readonly flops?: number;
  readonly examples?: readonly Example[];
}

/** y = f(x), element by element. In floating point unless told otherwise. */
export function unary(options: UnaryOptions): ElementwiseRecord<[x: Tensor]> & { readonly shapes: 'same' } {
  const {
    doc,
    define,
    promote = 'float',
    accepts = anyDType,
    result = 'same',
    domain = real,
    moves,
    flops = 1,
  } = options;
  return {
    kind: 'elementwise',
    shapes: 'same',
    doc,
    ...(moves && { moves }),
    promote,
    accepts: [accepts],
    call: (x) => ({ inputs: [x] }),
    infer: ([x], attrs) => ({
      shape: x!.shape,
      dtype: result === 'bool' ? 'bool' : (x!.dtype as DType),
      attrs,
    }),
    define: ([x], dtype) => define(x!, dtype),
    sample: (draw) => ({ inputs: [{ shape: draw.shape(), domain }] }),
    errors: refused(accepts, (dtype) => [{ shape: [2], dtype }]),
    ...(options.examples && { examples: options.examples }),
    flops: (_, plan) => flops * sizeOf(plan.shape),
  };
}

interface UnaryWithOptions {
  readonly doc: string;
  /** The attribute. */
  readonly name: string;
  /** Its value where none is given. */
  readonly preset: number;
  readonly define: (x: Expr, value: number) => Expr;
  /** What is wrong with a value; null where it is right. */
  readonly wrong: (value: number) => string | null;
  /** Values that are wrong. */
  readonly bad: readonly number[];
  readonly draw: (draw: Draw) => number;
  readonly domain: Domain;
  readonly flops: number;
}

/** y = f(x), element by element, in floating point, with one number that shapes f. */
export function unaryWith({
  doc,
  name,
  preset,
  define,
  wrong,
  bad,
  draw: drawValue,
  domain,
  flops,
}: UnaryWithOptions): ElementwiseRecord<[x: Tensor, value?: number]> & { readonly shapes: 'same' } {
  return {
    kind: 'elementwise',
    shapes: 'same',
    doc,
    promote: 'float',
    accepts: [anyDType],
    call: (x, value = preset) => ({ inputs: [x], attrs: { [name]: value } }),
    infer: ([x], attrs, op) => {
      const value = attrs[name] as number;
      const problem = wrong(value);
      if (problem !== null) throw new ValueError(op, problem, { operands: [x!] });
      return { shape: x!.shape, dtype: x!.dtype as DType, attrs: { [name]: value } };
    },
    define: ([x], _, attrs) => define(x!, attrs[name] as number),
    sample: (draw) => ({
      inputs: [{ shape: draw.shape(), domain }],
      attrs: { [name]: drawValue(draw) },
    }),
    errors: bad.map((value) => ({
      inputs: [{ shape: [2] }],
      attrs: { [name]: value },
      error: 'ValueError',
      says: wrong(value)!,
    })),
    flops: (_, plan) => flops * sizeOf(plan.shape),
  };
}

interface BinaryOptions {
  readonly doc: string;
  readonly define: (x: Expr, y: Expr, dtype: DType) => Expr;
  readonly promote?: Promotion;
  readonly accepts?: readonly DType[];
  readonly result?: ResultDType;
  readonly domains?: readonly [Domain, Domain];
  readonly flops?: number;
  readonly examples?: readonly Example[];
}

/** z = f(x, y), element by element, broadcasting. */
export function binary(
  options: BinaryOptions,
): ElementwiseRecord<[x: Operand, other: Operand]> & { readonly shapes: 'broadcast' } {
  const {
    doc,
    define,
    promote = 'number',
    accepts = anyDType,
    result = 'same',
    domains = [real, real],
    flops = 1,
  } = options;
  return {
    kind: 'elementwise',
    shapes: 'broadcast',
    doc,
    promote,
    accepts: [accepts],
    call: (x, other) => ({ inputs: [x, other] }),
    infer: (inputs, attrs, op) => ({
      shape: broadcastShapes(op, inputs),
      dtype: result === 'bool' ? 'bool' : (inputs[0]!.dtype as DType),
      attrs,
    }),
    define: ([x, y], dtype) => define(x!, y!, dtype),
    sample: (draw) => {
      const [a, b] = draw.broadcastable(2);
      return {
        inputs: [
          { shape: a!, domain: domains[0] },
          { shape: b!, domain: domains[1] },
        ],
      };
    },
    errors: [
      { inputs: [{ shape: [2, 3] }, { shape: [4] }], error: 'ShapeError', says: 'do not broadcast' },
      ...refused(accepts, (dtype) => [{ shape: [2], dtype }, { shape: [2] }]),
    ],
    ...(options.examples && { examples: options.examples }),
    flops: (_, plan) => flops * sizeOf(plan.shape),
  };
}

interface ReductionOptions {
  readonly doc: string;
  readonly initial: (dtype: DType) => number;
  readonly combine: (accumulator: Expr, element: Expr) => Expr;
  readonly finish?: (accumulator: Expr, count: Expr) => Expr;
  readonly promote?: Promotion;
  readonly accepts?: readonly DType[];
  readonly result?: ResultDType;
  readonly domain?: Domain;
  /** An empty range has no answer (max, min): refuse it. */
  readonly refuseEmpty?: boolean;
}

/** One value from all elements along `axes` (all axes where none are named); `keepDims` leaves them at size 1. */
export function reduction(
  options: ReductionOptions,
): ReductionRecord<[x: Tensor, axes?: number | readonly number[], keepDims?: boolean]> {
  const {
    doc,
    initial,
    combine,
    finish,
    promote = 'total',
    accepts = anyDType,
    result = 'same',
    domain = real,
  } = options;
  return {
    kind: 'reduction',
    doc,
    promote,
    accepts: [accepts],
    initial,
    combine,
    ...(finish && { finish }),
    call: (x, axes, keepDims = false) => ({ inputs: [x], attrs: { axes: axes ?? null, keepDims } }),
    infer: ([x], attrs, op) => {
      const axes = normalizeAxes(op, axesOf(attrs), x!);
      const keepDims = attrs['keepDims'] === true;
      const shape = reducedShape(x!.shape, axes, keepDims);
      if (options.refuseEmpty && sizeOf(shape) > 0) refuseEmpty(op, axes, x!);
      return { shape, dtype: result === 'bool' ? 'bool' : (x!.dtype as DType), attrs: { axes, keepDims } };
    },
    sample: (draw) => {
      const shape = draw.shape();
      return {
        inputs: [{ shape, domain }],
        attrs: { axes: sampleAxes(draw, shape.length), keepDims: draw.bool() },
      };
    },
    errors: [
      {
        inputs: [{ shape: [2, 3] }],
        attrs: { axes: [2] },
        error: 'IndexError',
        says: 'axis 2 is out of range',
      },
      {
        inputs: [{ shape: [2, 3] }],
        attrs: { axes: [0, -2] },
        error: 'ValueError',
        says: 'name one axis twice',
      },
      ...(options.refuseEmpty
        ? [{ inputs: [{ shape: [2, 0] }], attrs: { axes: [1] }, error: 'ValueError', says: 'empty' } as const]
        : []),
      ...refused(accepts, (dtype) => [{ shape: [2], dtype }]),
    ],
    flops: ([x]) => sizeOf(x!.shape),
  };
}

export function axesOf(attrs: Attrs): number | readonly number[] | undefined {
  return (attrs['axes'] ?? undefined) as number | readonly number[] | undefined;
}

export function sampleAxes(draw: Draw, rank: number): number[] | null {
  if (rank === 0 || draw.bool()) return null;
  const axes = Array.from({ length: rank }, (_, i) => i).filter(() => draw.bool());
  return axes.length > 0
    ? axes.map((axis) => (draw.bool() ? axis - rank : axis))
    : [draw.int(-rank, rank - 1)];
}

/** Error rows for the dtypes that a record does not accept. */
export function refused(
  accepts: readonly DType[],
  inputs: (dtype: DType) => ErrorCase['inputs'],
): ErrorCase[] {
  return dtypes
    .filter((dtype) => !accepts.includes(dtype))
    .map((dtype) => ({ inputs: inputs(dtype), error: 'DTypeError', says: `does not accept ${dtype}` }));
}

export function refuseEmpty(op: string, axes: readonly number[], x: OperandInfo): void {
  const empty = axes.find((axis) => x.shape[axis] === 0);
  if (empty !== undefined)
    throw new ValueError(op, `no value for an empty range (axis ${empty} has size 0)`, { operands: [x] });
}

/** The lowest and highest value of a dtype, where reductions over max and min start. */
export const lowest = (dtype: DType): number =>
  isFloat(dtype) ? -Infinity : dtype === 'i32' ? -(2 ** 31) : 0;
export const highest = (dtype: DType): number =>
  isFloat(dtype) ? Infinity : dtype === 'i32' ? 2 ** 31 - 1 : dtype === 'u8' ? 255 : 1;
