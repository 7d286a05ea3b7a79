/** The single ops that are timed, with their inputs: what `op` means is the same in every peer. */
import { integers, symmetric } from './numbers.ts';

/**
 * - `matmul` a · b, `transposed` ones being handed over as transposed views;
 * - `gelu` geluTanh(1.1 x + 0.1) · 0.7, as one pass where a peer can; `geluSteps`: op by op where it can do both;
 * - `add` of two tensors;
 * - `single` one op of the framework's table, which `single` names;
 * - `softmax` over the last axis;
 * - `layerNorm` (x, weight, bias) with eps 1e-5, `rmsNorm` (x, weight) with eps 1e-6;
 * - `embedding` the rows of a table at the indices;
 * - `attention` causal, queries, keys and values [batch, heads, T, d], with the scale 1/√d.
 */
export type MicroOp =
  | 'matmul'
  | 'gelu'
  | 'geluSteps'
  | 'add'
  | 'single'
  | 'softmax'
  | 'layerNorm'
  | 'rmsNorm'
  | 'embedding'
  | 'attention';

/** Ops of the framework's table whose kernels are watched one by one. */
export const singleOps = [
  'exp',
  'log1p',
  'tanh',
  'sigmoid',
  'relu',
  'silu',
  'gelu',
  'geluTanh',
  'add to itself',
  'add a row',
  'sum of all',
  'sum of rows',
  'sum of columns',
  'max of rows',
  'logSoftmax',
  'copy',
  'transposed copy',
] as const;
export type SingleOp = (typeof singleOps)[number];

export interface MicroCase {
  /** Benchmark and case: `matmul/256`. */
  readonly name: string;
  readonly op: MicroOp;
  /** Names of inputs. */
  readonly inputs: readonly string[];
  readonly transposed?: readonly [boolean, boolean];
  /** Time the result and the gradients of all floating-point inputs, given the gradient of the result: an input, or ones. */
  readonly gradient?: { readonly upstream: string | null };
  /** Floating-point operations, where the figure is a rate. */
  readonly flops?: number;
  /** Tell microseconds instead of milliseconds. */
  readonly micro?: true;
  /** Not for the peers. */
  readonly alone?: true;
  readonly single?: SingleOp;
}

export interface Input {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

const inputs = new Map<string, () => Input>();
const cases: MicroCase[] = [];

function real(seed: number, shape: readonly number[], bound = 1): string {
  const name = `${seed}:${shape.join('x')}:${bound}`;
  const size = shape.reduce((a, b) => a * b, 1);
  inputs.set(name, () => ({ shape, data: symmetric(seed, size, bound) }));
  return name;
}

function index(seed: number, shape: readonly [number, number], below: number): string {
  const name = `${seed}:${shape.join('x')}:below${below}`;
  inputs.set(name, () => ({ shape, data: integers(seed, shape[0] * shape[1], below) }));
  return name;
}

/** Forward, and forward with all gradients. */
function both(
  name: string,
  op: MicroOp,
  names: readonly string[],
  upstream: string | null,
  rest: Pick<MicroCase, 'alone'> = {},
): void {
  const common = { op, inputs: names, ...rest };
  cases.push({ name, ...common }, { name: `${name} + gradient`, ...common, gradient: { upstream } });
}

function product(name: string, m: number, k: number, n: number, form = 'nn'): void {
  const transposed: [boolean, boolean] = [form[0] === 't', form[1] === 't'];
  const a = real(1, transposed[0] ? [k, m] : [m, k]);
  const b = real(2, transposed[1] ? [n, k] : [k, n]);
  cases.push({ name: `matmul/${name}`, op: 'matmul', inputs: [a, b], transposed, flops: 2 * m * k * n });
}

for (const n of [64, 128, 256, 512, 1024]) product(String(n), n, n, n);
product('256 A·Bᵀ', 256, 256, 256, 'nt');
product('256 Aᵀ·B', 256, 256, 256, 'tn');
product('256 Aᵀ·Bᵀ', 256, 256, 256, 'tt');
product('1024×128×512', 1024, 128, 512);
product('1024×64×168', 1024, 64, 168);
product('1×512×2048', 1, 512, 2048);
cases.push({
  name: 'batched/32 × 128×64×128',
  op: 'matmul',
  inputs: [real(1, [32, 128, 64]), real(2, [32, 64, 128])],
  flops: 2 * 32 * 128 * 64 * 128,
});
const million = real(3, [1 << 20], 2);
both('elementwise/gelu of 1M', 'gelu', [million], null);
both('elementwise/gelu of 1M, op by op', 'geluSteps', [million], null, { alone: true });
cases.push({ name: 'elementwise/add of 4', op: 'add', inputs: [real(1, [4]), real(2, [4])], micro: true });
for (const single of singleOps)
  cases.push({
    name: `elementwise/${single}, 1024×128`,
    op: 'single',
    single,
    inputs: [real(3, [1024, 128], 0.9)],
    micro: true,
    alone: true,
  });
both('softmax/256×1024', 'softmax', [real(4, [256, 1024], 3)], real(5, [256, 1024]));
const lines = [real(6, [1024, 512], 3), real(8, [512]), real(9, [512])];
both('norms/layerNorm 1024×512', 'layerNorm', lines, real(7, [1024, 512]));
both('norms/rmsNorm 1024×512', 'rmsNorm', lines.slice(0, 2), real(7, [1024, 512]));
both(
  'embedding/8×256 of 32000×256',
  'embedding',
  [real(10, [32000, 256]), index(12, [8, 256], 32000)],
  real(13, [8, 256, 256]),
);
for (const length of [128, 256, 512, 1024]) {
  const shape = [2, 4, length, 64];
  both(
    `attention/2×4×${length}×64`,
    'attention',
    [real(14, shape), real(15, shape), real(16, shape)],
    real(17, shape),
  );
}

/** The cases of a benchmark. */
export function microCases(benchmark: string): MicroCase[] {
  return cases.filter(({ name }) => name.startsWith(`${benchmark}/`));
}

/** An input by its name. */
export function microInput(name: string): Input {
  return inputs.get(name)!();
}
