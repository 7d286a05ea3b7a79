/** What a module is made of and what a call of it costs, as a table and as data. */
import { noGrad } from '@infinigrad/autograd';
import {
  bytesPerElement,
  intercept,
  recordOf,
  scope,
  sizeOf,
  Tensor,
  ValueError,
  type Shape,
} from '@infinigrad/tensor';
import { functionalCall } from './functional-call.ts';
import { hookAfter, hookBefore } from './hooks.ts';
import { Module } from './module.ts';

export interface SummaryRow {
  /** Of `namedModules()`. */
  readonly name: string;
  /** The name of the class. */
  readonly kind: string;
  /** How many modules are around it. */
  readonly depth: number;
  /** Of the last call; null where the module was not called or gave no single tensor. */
  readonly outputShape: Shape | null;
  /** What the last call gave, in words: `[2, 3] f32`, `{ logits: [2, 8] f32 }`; empty where it was not called. */
  readonly output: string;
  readonly calls: number;
  /** Numbers in its parameters and those of all modules below; shared ones count once. */
  readonly parameters: number;
  /** Those of them that need gradients. */
  readonly trainable: number;
  /** Floating-point operations of its calls, forward, with all that is called inside. */
  readonly flops: number;
  /** Bytes of all that its calls compute, with all that is called inside; views count for nothing. */
  readonly activationBytes: number;
}

export interface Summary {
  /** In the order of `namedModules()`: the module itself first. */
  readonly rows: readonly SummaryRow[];
  readonly parameters: number;
  readonly trainable: number;
  readonly parameterBytes: number;
  readonly bufferBytes: number;
  readonly flops: number;
  readonly activationBytes: number;
  /** The table. */
  toString(): string;
}

interface Tally {
  calls: number;
  flops: number;
  bytes: number;
  output: unknown;
}

const bytesOf = (tensors: readonly Tensor[]): number =>
  tensors.reduce((total, { size, dtype }) => total + size * bytesPerElement(dtype), 0);

/**
 * Calls a module once, without gradients, and tells of every module inside: name, kind, output shape, parameters, and FLOPs and memory
 * of the call as the ops themselves count them. Nothing is changed, buffers neither.
 *
 * ```ts
 * console.log(String(summary(model, [tokens])));
 * ```
 *
 * @param inputs of `forward`; or what calls the module, where that takes more
 * @throws ValueError where inputs are given for a module without `forward`
 */
export function summary<M extends Module>(
  module: M,
  inputs: readonly unknown[] | ((module: M) => unknown),
): Summary {
  const { forward } = module as { forward?: (...inputs: readonly unknown[]) => unknown };
  if (typeof inputs !== 'function' && typeof forward !== 'function')
    throw new ValueError('summary', `a ${module.constructor.name} has no forward`, {
      hint: 'give a function that calls it',
    });
  const modules = module.namedModules();
  const tallies = new Map<Module, Tally>();
  for (const one of modules.values()) tallies.set(one, { calls: 0, flops: 0, bytes: 0, output: undefined });
  const stack: Module[] = [];
  const off: (() => void)[] = [];
  for (const [one, tally] of tallies) {
    if (typeof (one as { forward?: unknown }).forward !== 'function') continue;
    off.push(
      hookBefore(one, () => void stack.push(one)),
      hookAfter(one, ({ output }) => {
        stack.pop();
        tally.calls++;
        // Shapes, not tensors: what is made inside ends with the scope.
        tally.output = outline(output);
      }),
    );
  }
  const total = { flops: 0, bytes: 0 };
  const run = (): unknown =>
    typeof inputs === 'function'
      ? inputs(module)
      : (module as unknown as { forward(...given: readonly unknown[]): unknown }).forward(...inputs);
  const stop = intercept((call, next) => {
    const record = recordOf(call.op);
    const flops = record.flops(call.inputs, call.plan);
    const bytes = record.kind === 'view' ? 0 : sizeOf(call.plan.shape) * bytesPerElement(call.plan.dtype);
    for (const to of [total, ...new Set(stack)].map((at) => (at instanceof Module ? tallies.get(at)! : at))) {
      to.flops += flops;
      to.bytes += bytes;
    }
    return next(call);
  });
  try {
    // In the place of buffers stand their values: updates go to those.
    const buffers = Object.fromEntries([...module.namedBuffers()].map(([name, b]) => [name, b.detach()]));
    scope(() => {
      const result = noGrad(() => functionalCall(module, buffers, run));
      if (result instanceof Promise)
        throw new ValueError('summary', 'the function is asynchronous', { hint: 'await outside' });
    });
  } finally {
    stop();
    for (const end of off) end();
  }
  const names = [...modules.keys()];
  const rows = [...modules].map(([name, one]): SummaryRow => {
    const { calls, flops, bytes, output } = tallies.get(one)!;
    const parameters = one.parameters();
    const around = names.filter((other) => other !== name && (other === '' || name.startsWith(`${other}.`)));
    return {
      name,
      kind: one.constructor.name,
      depth: around.length,
      outputShape: output instanceof Outline ? output.shape : null,
      output: calls === 0 ? '' : describe(output),
      calls,
      parameters: parameters.reduce((sum, { size }) => sum + size, 0),
      trainable: parameters.reduce((sum, { size, requiresGrad }) => sum + (requiresGrad ? size : 0), 0),
      flops,
      activationBytes: bytes,
    };
  });
  const result = {
    rows,
    parameters: rows[0]!.parameters,
    trainable: rows[0]!.trainable,
    parameterBytes: bytesOf(module.parameters()),
    bufferBytes: bytesOf(module.buffers()),
    flops: total.flops,
    activationBytes: total.bytes,
  };
  return Object.defineProperty(result, 'toString', { value: () => table(result) });
}

/** What is left of a tensor. */
class Outline {
  readonly shape: Shape;
  readonly dtype: string;

  constructor({ shape, dtype }: Tensor) {
    this.shape = shape;
    this.dtype = dtype;
  }
}

function outline(value: unknown): unknown {
  if (value instanceof Tensor) return new Outline(value);
  if (Array.isArray(value)) return value.map(outline);
  if (typeof value !== 'object' || value === null) return value;
  if (Object.getPrototypeOf(value) !== Object.prototype) return value.constructor.name;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, outline(part)]));
}

function describe(value: unknown): string {
  if (value instanceof Outline) return `[${value.shape.join(', ')}] ${value.dtype}`;
  if (Array.isArray(value)) return `(${value.map(describe).join(', ')})`;
  if (typeof value !== 'object' || value === null) return String(value);
  const parts = Object.entries(value).map(([key, part]) => `${key}: ${describe(part)}`);
  return `{ ${parts.join(', ')} }`;
}

const grouped = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ',');

/** 1.23 M and the like; whole numbers below 1000. */
function scaled(n: number, unit: string): string {
  const steps = ['', 'k', 'M', 'G', 'T', 'P'];
  const step = n < 1000 ? 0 : Math.min(steps.length - 1, Math.floor(Math.log10(n) / 3));
  const digits = step === 0 ? String(n) : (n / 1000 ** step).toPrecision(3);
  return `${digits} ${steps[step]}${unit}`.trimEnd();
}

function table({ rows, ...totals }: Omit<Summary, 'toString'>): string {
  const head = ['module', 'output', 'parameters', 'FLOPs', 'memory'];
  const lines = rows.map((row) => [
    `${'  '.repeat(row.depth)}${row.name === '' ? '' : `${row.name} `}(${row.kind})${row.calls > 1 ? ` × ${row.calls}` : ''}`,
    row.output,
    grouped(row.parameters),
    row.calls === 0 ? '' : scaled(row.flops, ''),
    row.calls === 0 ? '' : scaled(row.activationBytes, 'B'),
  ]);
  const widths = head.map((text, i) => Math.max(text.length, ...lines.map((line) => line[i]!.length)));
  const print = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd();
  const rule = '─'.repeat(widths.reduce((sum, width) => sum + width, 2 * (widths.length - 1)));
  return [
    print(head),
    rule,
    ...lines.map(print),
    rule,
    `${grouped(totals.parameters)} parameters (${grouped(totals.trainable)} trainable), ${scaled(totals.parameterBytes, 'B')}; ` +
      `buffers ${scaled(totals.bufferBytes, 'B')}; forward ${scaled(totals.flops, 'FLOPs')}, ${scaled(totals.activationBytes, 'B')} computed`,
  ].join('\n');
}
