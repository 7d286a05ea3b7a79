/**
 * Chains of elementwise ops as one: inside a scope that fuses, such an op waits, and when its elements are wanted they are
 * computed in one pass with those of the ops before it that still wait. The same functions are applied to the same f32
 * numbers in the same order, so the results are the same to the bit.
 */
import type { Backend, BackendBuffer } from './backends/backend.ts';
import { bytesPerElement, isHalf, type DType } from './dtype.ts';
import type { OpCall } from './execute.ts';
import * as ir from './ir.ts';
import { fusingScope } from './memory/scope.ts';
import { Storage } from './memory/storage.ts';
import { attrsText } from './ops/attrs.ts';
import type { ElementwiseRecord } from './ops/record.ts';
import { contiguousLayout, sameShape, sizeOf } from './shape.ts';
import { Tensor } from './tensor.ts';

/** A call that waits. */
interface Waiting {
  readonly call: OpCall;
  readonly record: ElementwiseRecord;
}

const waiting = new WeakMap<Storage, Waiting>();

/** Ops and inputs of one pass: kernels stay small, and inputs are few enough to keep their addresses in registers. */
const mostOps = 40;
const mostInputs = 8;

const fusable = (dtype: DType): boolean => dtype === 'f32' || dtype === 'bool' || isHalf(dtype);

/** The result of an elementwise call, to be computed when it is wanted; null where it should be computed at once. */
export function defer(call: OpCall, record: ElementwiseRecord): Tensor | null {
  const owner = fusingScope();
  if (!owner) return null;
  const { op, inputs, plan } = call;
  const { backend } = inputs[0]!;
  const size = sizeOf(plan.shape);
  if (!backend.fuses || size === 0 || !fusable(plan.dtype) || !inputs.every((x) => fusable(x.dtype)))
    return null;
  // It says so at once.
  if (backend.lacks(op, inputs[0]!.dtype) !== null) return null;
  const make = (): BackendBuffer => compute(backend, { call, record });
  const storage = new Storage(backend, make, size * bytesPerElement(plan.dtype), op, owner);
  waiting.set(storage, { call, record });
  return new Tensor(storage, contiguousLayout(plan.shape), plan.dtype);
}

/** The call behind a tensor that waits and is read element by element as it was made; null for all others. */
function waitingBehind(x: Tensor, shape: readonly number[]): Waiting | null {
  const { storage, layout } = x;
  if (!storage.pending || !sameShape(layout.shape, shape)) return null;
  const behind = waiting.get(storage);
  if (!behind || !sameShape(behind.call.plan.shape, shape)) return null;
  const plain = contiguousLayout(shape).strides;
  return layout.offset === 0 && plain.every((step, i) => step === layout.strides[i] || shape[i] === 1)
    ? behind
    : null;
}

/** What waits to be widened to f32, and is nothing but that: the tensor of 16 bits; null for all others. */
export function narrowBehind(x: Tensor): Tensor | null {
  const behind = x.storage.pending && x.dtype === 'f32' ? waitingBehind(x, x.shape) : null;
  if (!behind) return null;
  const { call, record } = behind;
  const input = call.inputs[0]!;
  if (call.inputs.length > 1 || !isHalf(input.dtype)) return null;
  const element = ir.input(0);
  const value = record.define([element], input.dtype, call.plan.attrs);
  return value.kind === 'cast' && value.arg === element ? input : null;
}

/** One pass in the making. */
class Pass {
  readonly inputs: Tensor[] = [];
  readonly #shape: readonly number[];
  readonly #known = new Map<Storage, { readonly value: ir.Expr; readonly name: string }>();
  #ops = 0;

  constructor(shape: readonly number[]) {
    this.#shape = shape;
  }

  /** The expression of a call's result, and a name that tells its structure. */
  of({ call, record }: Waiting): { value: ir.Expr; name: string } {
    this.#ops++;
    const parts = call.inputs.map((x) => this.#input(x));
    const dtype = call.inputs.at(-1)!.dtype;
    const { op, plan } = call;
    const value = record.define(
      parts.map((part) => part.value),
      dtype,
      plan.attrs,
    );
    return { value, name: `${op}${attrsText(plan.attrs)}(${parts.map((part) => part.name).join()})` };
  }

  #input(x: Tensor): { value: ir.Expr; name: string } {
    const behind = waitingBehind(x, this.#shape);
    if (behind) {
      const known = this.#known.get(x.storage);
      if (known) return { value: known.value, name: known.name };
      if (this.#ops < mostOps && this.inputs.length + behind.call.inputs.length <= mostInputs) {
        const made = this.of(behind);
        this.#known.set(x.storage, made);
        return made;
      }
    }
    let index = this.inputs.findIndex((y) => y.storage === x.storage && sameLayout(y, x));
    if (index < 0) index = this.inputs.push(x) - 1;
    return { value: ir.input(index), name: `${x.dtype}${index}` };
  }
}

function sameLayout({ layout: a }: Tensor, { layout: b }: Tensor): boolean {
  return a.offset === b.offset && sameShape(a.shape, b.shape) && sameShape(a.strides, b.strides);
}

function compute(backend: Backend, root: Waiting): BackendBuffer {
  const { shape, dtype } = root.call.plan;
  const pass = new Pass(shape);
  const { value, name } = pass.of(root);
  const record: ElementwiseRecord = { ...root.record, define: () => value };
  // Before the output, which must not be moved while inputs that still wait are computed.
  for (const x of pass.inputs) x.storage.settle();
  const buffer = backend.allocate(dtype, sizeOf(shape));
  backend.run({
    op: name,
    record,
    inputs: pass.inputs.map((x) => x.view()),
    output: { buffer, dtype, ...contiguousLayout(shape) },
    attrs: {},
  });
  return buffer;
}
