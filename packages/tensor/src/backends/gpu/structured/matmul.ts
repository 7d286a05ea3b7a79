/** Matrix product: a thread for each element. Operands are read where they lie, transposed or not. */
import { broadcastLayout, contiguousLayout, type Layout } from '../../../shape.ts';
import { collapse } from '../../js/print.ts';
import type { KernelCall } from '../../backend.ts';
import type { Launcher } from '../launcher.ts';
import { homeOf, type Home } from '../memory.ts';
import { affine, Source } from '../source.ts';
import { cutOf, printMatmul, type Operand } from '../wgsl/matmul.ts';
import type { GpuKernel } from './kernel.ts';
import { product } from './kernel.ts';

/** Products that are added up before they are added to the sum: independent, and rounding less. */
const unroll = 8;

const leading = (x: Layout): Layout => ({
  shape: x.shape.slice(0, -2),
  strides: x.strides.slice(0, -2),
  offset: 0,
});

/** A side shorter than this fills too little of a tile. */
const shortSide = 16;

export const matmul: GpuKernel = (launcher, call) => {
  if (!launcher.device.prefersOwn || !matmulByTiles(launcher, call)) matmulByThreads(launcher, call);
};

const operand = (x: KernelCall['inputs'][0], batch: readonly number[]): Operand => ({
  row: x.strides.at(-2)!,
  column: x.strides.at(-1)!,
  batch,
  aligned: x.offset % 4 === 0,
});

/** In WGSL. @returns false where tiles do not fit the product */
function matmulByTiles(launcher: Launcher, { op, inputs, output }: KernelCall): boolean {
  const [a, b] = inputs as [(typeof inputs)[0], (typeof inputs)[0]];
  const [m, n] = output.shape.slice(-2) as [number, number];
  const k = a.shape.at(-1)!;
  if (Math.min(m, n, k) < shortSide) return false;
  const batch = output.shape.slice(0, -2);
  const { sizes, strides } = collapse([
    contiguousLayout(batch),
    broadcastLayout(leading(a), batch),
    broadcastLayout(leading(b), batch),
  ]);
  const problem = { m, n, k, batch: sizes, a: operand(a, strides[1]!), b: operand(b, strides[2]!) };
  const cut = cutOf(problem);
  const { wgsl, workgroups, length } = printMatmul(problem, cut);
  const { grid } = launcher.device.limits;
  // As many workgroups on each side as on the side of a grid of which they are one thread thick.
  if (workgroups.some((count) => count > grid[2])) return false;
  const out = homeOf(output.buffer);
  const [homeA, homeB] = [homeOf(a.buffer), homeOf(b.buffer)];
  const program = {
    source: wgsl,
    grid: workgroups,
    arrays: [homeA, homeB],
    numbers: [a.offset, b.offset],
    ownLength: length,
  };
  if (cut.parts === 1) {
    launcher.launch(op, out, program);
    return true;
  }
  const partial = launcher.temporary(length);
  launcher.launch(op, partial, program);
  addUp(launcher, op, partial, out, cut.parts);
  launcher.free(partial);
  return true;
}

/** The sum of stretches of equal length. */
function addUp(launcher: Launcher, op: string, parts: Home, out: Home, count: number): void {
  const source = new Source();
  const each = parts.length / count;
  const array = source.array(parts);
  const total = source.variable(`${array}[this.thread.x]`);
  source.loop(count - 1, (i) => {
    const at = source.value(`(${i} + 1) * ${each} + this.thread.x`);
    source.line(`${total} = ${total} + ${array}[${at}];`);
  });
  launcher.launch(op, out, source.program(total, [each]));
}

/** Through gpu.js: a thread for each element. */
function matmulByThreads(launcher: Launcher, { op, inputs, output }: KernelCall): void {
  const [a, b] = inputs as [(typeof inputs)[0], (typeof inputs)[0]];
  const [m, n] = output.shape.slice(-2) as [number, number];
  const inner = a.shape.at(-1)!;
  const batch = output.shape.slice(0, -2);
  const { sizes, strides } = collapse([
    contiguousLayout(batch),
    broadcastLayout(leading(a), batch),
    broadcastLayout(leading(b), batch),
  ]);
  const source = new Source();
  const [x, y] = [source.array(homeOf(a.buffer)), source.array(homeOf(b.buffer))];
  const [rowA, colA] = a.strides.slice(-2) as [number, number];
  const [rowB, colB] = b.strides.slice(-2) as [number, number];
  const count = product(sizes);
  const { grid: limits } = launcher.device.limits;
  const fits = n <= limits[0] && m <= limits[1] && count <= limits[2] && m > 1;
  const shape = [...sizes, m, n];
  const indices = fits
    ? [...source.indices('this.thread.z', sizes), 'this.thread.y', 'this.thread.x']
    : source.indices('this.thread.x', shape);
  const grid = fits ? (count > 1 ? [n, m, count] : [n, m]) : [product(shape)];
  const [i, j] = indices.slice(-2) as [string, string];
  const lead = indices.slice(0, -2);
  const startA = source.value(affine([...lead, i], [...strides[1]!, rowA], source.offset(a.offset)));
  const startB = source.value(affine([...lead, j], [...strides[2]!, colB], source.offset(b.offset)));
  const term = (k: string): string =>
    `${x}[${affine([startA, k], [1, colA])}] * ${y}[${affine([startB, k], [1, rowB])}]`;
  const total = source.variable('0');
  const whole = Math.floor(inner / unroll);
  const terms = (first: string, many: number): string =>
    Array.from({ length: many }, (_, q) => term(q === 0 ? first : `(${first} + ${q})`)).join(' + ');
  if (whole > 0)
    source.loop(whole, (block) => {
      const first = source.value(`${block} * ${unroll}`);
      source.line(`${total} = ${total} + (${terms(first, unroll)});`);
    });
  for (let k = whole * unroll; k < inner; k++) source.line(`${total} = ${total} + ${term(String(k))};`);
  launcher.launch(op, homeOf(output.buffer), source.program(total, grid));
}
