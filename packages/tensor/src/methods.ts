/** Methods and free functions, derived from the op table and from the compositions. */
import { apply } from './apply.ts';
import { scalar } from './creation.ts';
import { compositions, type Compositions } from './compositions/index.ts';
import { isHalf, promote, scalarDType, type DType } from './dtype.ts';
import { currentBackend } from './backends/registry.ts';
import { describeValue, DTypeError } from './errors.ts';
import type { Attrs, Operand, OpRecord } from './ops/record.ts';
import { opNames, recordOf, type OpName, type OpTable } from './ops/table.ts';
import { reading, type Reading } from './read.ts';
import { Tensor } from './tensor.ts';
import type { Documented } from './types/documented.ts';

type CallOf<K extends OpName> = OpTable[K]['call'];

/** Every op of the table as a function: `ops.matmul(a, b)`. Keyed by the docs, so that editors show them. */
export type OpFunctions = {
  readonly [K in keyof Documented as K & OpName]: (...args: Parameters<CallOf<K & OpName>>) => Tensor;
};

/** The ops that are not methods: their records say `free`. */
type FreeOp = { [K in OpName]: OpTable[K] extends { readonly free: true } ? K : never }[OpName];
type Method<F> = F extends (self: infer _Self, ...rest: infer Rest) => infer Result
  ? (...rest: Rest) => Result
  : never;

/** The ops whose first argument is a tensor, as methods of it. */
export type OpMethods = {
  [K in keyof Documented as Exclude<K & OpName, FreeOp>]: Method<OpFunctions[K & OpName]>;
};
export type CompositionMethods = { [K in keyof Compositions]: Method<Compositions[K]> };
export type ReadMethods = { [K in keyof Reading]: Method<Reading[K]> };

const allTensors = (operands: readonly Operand[]): operands is readonly Tensor[] =>
  Array.isArray(operands) && operands.every((x) => x instanceof Tensor);

/** Throws a DTypeError for what is neither a tensor nor a number: types do not hold in JavaScript. */
function checkOperands(op: OpName, operands: readonly Operand[]): void {
  const listed = Array.isArray(operands);
  const wrong = listed
    ? operands.findIndex((x) => !(x instanceof Tensor) && typeof x !== 'number' && typeof x !== 'boolean')
    : 0;
  if (wrong < 0) return;
  const given: unknown = listed ? operands[wrong] : operands;
  throw new DTypeError(
    op,
    listed
      ? `input ${wrong} must be a tensor or a number, not ${describeValue(given)}`
      : `needs an array of tensors, not ${describeValue(given)}`,
    {
      operands: listed ? operands.filter((x) => x instanceof Tensor) : [],
      ...(Array.isArray(given) && { hint: 'tensor() makes one of an array' }),
    },
  );
}

/**
 * Runs an op on tensors and scalars. Scalars become tensors beside the tensors of the call; they never raise its dtype within its kind. Beside f16 and bf16
 * they are computed with in f32, where nothing of them is lost that matters; what is only compared or moved has to be of
 * the tensors' dtype.
 */
function applyBeside(op: OpName, record: OpRecord, operands: readonly Operand[], attrs?: Attrs): Tensor {
  checkOperands(op, operands);
  let beside: DType | undefined;
  let backend = currentBackend();
  operands.forEach((x, i) => {
    if (!(x instanceof Tensor)) return;
    backend = x.backend;
    if (record.promoted?.includes(i) ?? true)
      beside = beside === undefined ? x.dtype : promote(beside, x.dtype);
  });
  const half = beside !== undefined && isHalf(beside) && record.promote !== 'common' ? beside : undefined;
  const inputs = operands.map((x) => {
    if (x instanceof Tensor) return x;
    const dtype = beside === undefined ? (typeof x === 'boolean' ? 'bool' : 'f32') : scalarDType(x, beside);
    return scalar(x, half ? 'f32' : dtype, backend, op);
  });
  const output = apply(op, inputs, attrs);
  return half && output.dtype === 'f32' ? apply('cast', [output], { dtype: half }) : output;
}

function functionOf(op: OpName): (...args: unknown[]) => Tensor {
  const record = recordOf(op);
  return (...args) => {
    const { inputs, attrs, finish } = record.call(...args);
    const output = allTensors(inputs) ? apply(op, inputs, attrs) : applyBeside(op, record, inputs, attrs);
    return finish ? finish(output) : output;
  };
}

/** Every op of the table as a function. */
export const ops = Object.fromEntries(opNames.map((op) => [op, functionOf(op)])) as unknown as OpFunctions;

function install(name: string, f: (...args: never[]) => unknown): void {
  Object.defineProperty(Tensor.prototype, name, {
    configurable: true,
    writable: true,
    value: function (this: Tensor, ...rest: unknown[]) {
      return (f as (...args: unknown[]) => unknown)(this, ...rest);
    },
  });
}

for (const [name, f] of Object.entries(ops)) if (!recordOf(name as OpName).free) install(name, f);
for (const [name, f] of Object.entries(
  compositions as Readonly<Record<string, (...args: never[]) => unknown>>,
))
  install(name, f);
for (const [name, f] of Object.entries(reading)) install(name, f);
install('toString', reading.format);
Object.defineProperty(Tensor.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value: function (this: Tensor) {
    return reading.format(this);
  },
});

/** `x * 2` and `x < y` would be NaN and false without a word; `${x}` is its text. */
Object.defineProperty(Tensor.prototype, Symbol.toPrimitive, {
  value: function (this: Tensor, hint: string) {
    if (hint !== 'number') return reading.format(this);
    throw new DTypeError('Tensor', 'a tensor is no number', {
      operands: [this],
      hint: 'methods compute, as in x.mul(2) and x.lt(y); itemSync() reads a single element',
    });
  },
});

export const { concat, where, maximum, minimum } = ops;
