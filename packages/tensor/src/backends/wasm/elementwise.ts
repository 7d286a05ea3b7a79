/** Elementwise ops: the record's expression over four elements at a time, row by row. */
import { bytesPerElement, isHalf, type DType } from '../../dtype.ts';
import * as ir from '../../ir.ts';
import { attrsText } from '../../ops/attrs.ts';
import type { ElementwiseRecord } from '../../ops/record.ts';
import { broadcastLayout, isContiguous, sizeOf, type Layout } from '../../shape.ts';
import type { KernelCall } from '../backend.ts';
import { collapse } from '../js/print.ts';
import { i32, type ModuleBuilder } from './assembler/index.ts';
import { eachOuter } from './chunks.ts';
import type { ConstantPool } from './constants.ts';
import type { Engine } from './engine.ts';
import type { WasmBuffer } from './heap.ts';
import { copyElements } from './indexing/copy.ts';
import type { Kernel } from './kernels.ts';
import { keep } from './lanes/lanes.ts';
import { loadLanes, storeLanes, type Access } from './lanes/memory.ts';
import { kindOf, printLanes } from './lanes/print.ts';
import { MathContext } from './math/context.ts';

/** How the elements of one row lie, by the step from one to the next in elements. */
const accessOf = (step: number): 'unit' | 'same' | 'step' =>
  step === 1 ? 'unit' : step === 0 ? 'same' : 'step';

/** Of one element, roughly. */
const nanoseconds = 2;
/** Elements that are never parted: a few whole vectors. */
const vector = 16;

const identities = new WeakMap<ElementwiseRecord, Partial<Record<DType, boolean>>>();
const first = ir.input(0);

/** True where the op, which has one input and no attributes, leaves it as it is. */
function isIdentity(record: ElementwiseRecord, dtype: DType): boolean {
  let known = identities.get(record);
  if (!known) identities.set(record, (known = {}));
  return (known[dtype] ??= record.define([first], dtype, {}) === first);
}

/** Dtypes as digits. */
const digits: Readonly<Record<DType, number>> = { bool: 0, u8: 1, i32: 2, f16: 3, bf16: 4, f32: 5, f64: 6 };
/** A number with one more operand behind those that it tells of: its dtype, and whether it is one element for all. */
const coded = (before: number, dtype: DType, same: boolean): number =>
  before * 16 + digits[dtype] * 2 + (same ? 1 : 0);
/** Inputs whose dtypes and accesses a number has digits for. */
const mostCoded = 6;
/** Elements of a row that one call of a kernel takes without being parted. */
const fewColumns = 8192;

/** The kernel of an op without attributes over one row: by the dtypes, and by which inputs are one for all. */
const rowKernels = new WeakMap<Engine, Map<string, Map<number, Kernel>>>();

/**
 * Most calls are of this kind: everything lies row-major and without gaps, or is a single element. Nothing has then to be
 * worked out.
 * @returns false where it is of another kind, or must be compiled first
 */
function runOneRow(engine: Engine, { op, inputs, output, attrs }: KernelCall, columns: number): boolean {
  const count = inputs.length;
  if (columns > fewColumns || count > mostCoded || !isContiguous(output)) return false;
  for (const _ in attrs) return false;
  let code = digits[output.dtype];
  for (let k = 0; k < count; k++) {
    const x = inputs[k]!;
    const size = sizeOf(x.shape);
    if (size !== 1 && (size !== columns || !isContiguous(x))) return false;
    code = coded(code, x.dtype, size === 1);
  }
  const kernel = rowKernels.get(engine)?.get(op)?.get(code);
  if (!kernel) return false;
  const args = [engine.address(output)];
  for (let k = 0; k < count; k++) args.push(engine.address(inputs[k]!));
  args.push(1, columns);
  for (let k = 0; k < count; k++) args.push(0);
  for (let k = 0; k < count; k++) {
    const x = inputs[k]!;
    args.push(sizeOf(x.shape) === 1 ? 0 : bytesPerElement(x.dtype));
  }
  kernel(...args);
  return true;
}

/** Remembers a kernel for `runOneRow`. */
function keepRowKernel(
  engine: Engine,
  { op, inputs, output }: KernelCall,
  accesses: readonly ('unit' | 'same' | 'step')[],
  kernel: Kernel,
): void {
  if (inputs.length > mostCoded || accesses.includes('step')) return;
  const code = inputs.reduce(
    (all, { dtype }, k) => coded(all, dtype, accesses[k] === 'same'),
    digits[output.dtype],
  );
  let byOp = rowKernels.get(engine);
  if (!byOp) rowKernels.set(engine, (byOp = new Map()));
  let byCode = byOp.get(op);
  if (!byCode) byOp.set(op, (byCode = new Map()));
  byCode.set(code, kernel);
}

export function runElementwise(engine: Engine, call: KernelCall, record: ElementwiseRecord): void {
  const { op, inputs, output, attrs } = call;
  const size = sizeOf(output.shape);
  if (size === 0 || runOneRow(engine, call, size)) return;
  const count = inputs.length;
  const dtype = inputs[count - 1]!.dtype;
  const attributes = attrsText(attrs);
  const layouts: Layout[] = [output];
  for (const x of inputs) layouts.push(broadcastLayout(x, output.shape));
  const { sizes, strides } = collapse(layouts);
  const inner = sizes.length - 1;
  const columns = inner < 0 ? 1 : sizes[inner]!;
  const rows = inner < 1 ? 1 : sizes[inner - 1]!;
  // By input: bytes from row to row and from column to column, as the kernel wants them behind the sizes.
  const tail = new Array<number>(2 * count);
  const accesses: ('unit' | 'same' | 'step')[] = [];
  let key = `${op} ${output.dtype} ${attributes}`;
  for (let k = 0; k < count; k++) {
    const own = strides[k + 1]!;
    const width = bytesPerElement(inputs[k]!.dtype);
    const step = inner < 0 ? 0 : own[inner]!;
    tail[k] = inner < 1 ? 0 : own[inner - 1]! * width;
    tail[count + k] = step * width;
    accesses.push(accessOf(step));
    key += ` ${inputs[k]!.dtype} ${accesses[k]}`;
  }
  const single = count === 1 && attributes === '' && accesses[0] !== 'same';
  if (single && dtype === output.dtype && isIdentity(record, dtype))
    return copyElements(engine, inputs[0]!, output);
  const kernel = engine.kernels.get(key, (module, constants) =>
    build(
      module,
      constants,
      inputs.map((x) => x.dtype),
      output.dtype,
      accesses,
      (args) => record.define(args, dtype, attrs),
    ),
  )['run']!;
  if (inner <= 0 && attributes === '') keepRowKernel(engine, call, accesses, kernel);

  /** Where so many rows and columns on from some positions the elements of the output and the inputs lie. */
  const at = (positions: readonly number[], rowsOn: number, columnsOn: number): number[] => {
    const width = bytesPerElement(output.dtype);
    const out = (output.buffer as WasmBuffer).pointer;
    const pointers = [out + (positions[0]! + rowsOn * columns + columnsOn) * width];
    for (let k = 0; k < count; k++) {
      const { buffer, dtype: own } = inputs[k]!;
      const start = (buffer as WasmBuffer).pointer + positions[k + 1]! * bytesPerElement(own);
      pointers.push(start + rowsOn * tail[k]! + columnsOn * tail[count + k]!);
    }
    return pointers;
  };
  const offsets = [output.offset];
  for (const x of inputs) offsets.push(x.offset);
  const outer = Math.max(0, inner - 1);
  const cost = nanoseconds * columns;
  if (outer > 0) {
    const calls: number[][] = [];
    eachOuter(sizes.slice(0, outer), strides, offsets, (positions) =>
      calls.push([...at(positions, 0, 0), rows, columns, ...tail]),
    );
    engine.overCalls(kernel, calls, cost * rows);
  } else if (rows > 1)
    engine.overItems(kernel, rows, cost, (start, count) => [
      ...at(offsets, start, 0),
      count,
      columns,
      ...tail,
    ]);
  else
    engine.overItems(kernel, Math.ceil(columns / vector), nanoseconds * vector, (start, count) => {
      const first = start * vector;
      return [...at(offsets, 0, first), 1, Math.min(count * vector, columns - first), ...tail];
    });
}

/** What an expression rounds last, where storing it will. */
function beforeRounding(expression: ir.Expr, result: DType): ir.Expr {
  return isHalf(result) && expression.kind === 'cast' && expression.dtype === result
    ? expression.arg
    : expression;
}

/** run(out, input…, rows, columns, row step of each input, column step of each input): steps in bytes, `out` row-major. */
function build(
  module: ModuleBuilder,
  constants: ConstantPool,
  dtypes: readonly DType[],
  result: DType,
  accesses: readonly ('unit' | 'same' | 'step')[],
  define: (inputs: readonly ir.Expr[]) => ir.Expr,
): void {
  const count = dtypes.length;
  const fn = module.function('run', new Array<'i32'>(3 + 3 * count).fill('i32'));
  const m = new MathContext(module, fn, constants);
  const at = (i: number) => fn.param(i, 'i32');
  const out = at(0);
  const [rows, columns] = [at(count + 1), at(count + 2)];
  const left = fn.local('i32');
  const places = dtypes.map(() => fn.local('i32'));
  const access = (k: number): Access =>
    accesses[k] === 'step' ? { step: at(count + 3 + count + k) } : (accesses[k] as Access);
  const expression = beforeRounding(define(dtypes.map((_, k) => ir.input(k))), result);
  const kind = kindOf(dtypes.at(-1)!);

  const body = (some?: typeof left): void => {
    const inputs = dtypes.map((dtype, k) => keep(fn, loadLanes(fn, dtype, places[k]!, access(k), some)));
    storeLanes(fn, result, out, printLanes(m, expression, kind, inputs), some);
  };
  fn.times(rows, () => {
    places.forEach((place, k) => fn.set(place, at(k + 1)));
    fn.set(left, columns);
    fn.steps(left, 4, () => {
      body();
      fn.advance(out, 4 * bytesPerElement(result));
      places.forEach((place, k) => {
        if (accesses[k] === 'unit') fn.advance(place, 4 * bytesPerElement(dtypes[k]!));
        else if (accesses[k] === 'step')
          fn.advance(place, i32.shl((access(k) as { step: typeof place }).step, i32.const(2)));
      });
    });
    fn.if(left, () => {
      body(left);
      fn.advance(out, i32.mul(left, i32.const(bytesPerElement(result))));
    });
    places.forEach((_, k) => fn.advance(at(k + 1), at(count + 3 + k)));
  });
}
