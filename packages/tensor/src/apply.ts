/**
 * The one place where ops happen: check, promote, plan, let interceptors see the call, run. Everything that computes
 * on tensors goes through `apply`; nothing else reaches a kernel.
 */
import { promote, type DType } from './dtype.ts';
import { BackendError, DTypeError } from './errors.ts';
import { execute, type OpCall } from './execute.ts';
import type { Attrs, OpRecord, Promotion } from './ops/record.ts';
import { recordOf, type OpName } from './ops/table.ts';
import type { Tensor } from './tensor.ts';

/** Sees every call on its way; `next` runs it (or hands it to the interceptor below). */
export type Interceptor = (call: OpCall, next: (call: OpCall) => Tensor) => Tensor;

const interceptors: Interceptor[] = [];
let chain: (call: OpCall) => Tensor = execute;

function rebuild(): void {
  chain = interceptors.reduce<(call: OpCall) => Tensor>(
    (next, interceptor) => (call) => interceptor(call, next),
    execute,
  );
}

/** Puts an interceptor on top of those there are; the function returned takes it away again. */
export function intercept(interceptor: Interceptor): () => void {
  interceptors.push(interceptor);
  rebuild();
  return () => {
    const at = interceptors.lastIndexOf(interceptor);
    if (at >= 0) interceptors.splice(at, 1);
    rebuild();
  };
}

const noAttrs: Attrs = {};

/** Runs an op of the table on tensors. Most callers want the methods of Tensor, which end up here. */
export function apply(op: OpName, inputs: readonly Tensor[], attrs: Attrs = noAttrs): Tensor {
  const record = recordOf(op);
  checkInputs(op, record, inputs);
  const ready = record.promote === 'none' ? inputs : promoteInputs(record, inputs);
  return chain({ op, inputs: ready, plan: record.infer(ready, attrs, op) });
}

function checkInputs(op: OpName, record: OpRecord, inputs: readonly Tensor[]): void {
  const { accepts } = record;
  for (let i = 0; i < inputs.length; i++) {
    const x = inputs[i]!;
    const accepted = accepts[Math.min(i, accepts.length - 1)]!;
    if (!accepted.includes(x.dtype))
      throw new DTypeError(op, `input ${i} does not accept ${x.dtype}`, {
        operands: inputs,
        hint: `accepted: ${accepted.join(', ')}; cast() converts`,
      });
    if (x.backend !== inputs[0]!.backend)
      throw new BackendError(
        op,
        `inputs live on different backends (${inputs[0]!.backend.name} and ${x.backend.name})`,
        {
          operands: inputs,
        },
      );
  }
}

const floor: Readonly<Record<Promotion, DType>> = {
  none: 'bool',
  common: 'bool',
  number: 'i32',
  total: 'i32',
  float: 'f32',
};

function promoteInputs(record: OpRecord, inputs: readonly Tensor[]): readonly Tensor[] {
  const takesPart = (i: number): boolean => record.promoted?.includes(i) ?? true;
  let dtype: DType | undefined;
  inputs.forEach((x, i) => {
    if (takesPart(i)) dtype = dtype === undefined ? x.dtype : promote(dtype, x.dtype);
  });
  if (dtype === undefined) return inputs;
  // `number` lifts bool alone: u8 stays u8.
  if (record.promote !== 'number' || dtype === 'bool') dtype = promote(dtype, floor[record.promote]);
  const target = dtype;
  if (inputs.every((x, i) => x.dtype === target || !takesPart(i))) return inputs;
  return inputs.map((x, i) =>
    x.dtype === target || !takesPart(i) ? x : apply('cast', [x], { dtype: target }),
  );
}
