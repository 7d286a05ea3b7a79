/** Matrix product: a thread for each element. Operands are read where they lie, transposed or not. */
import { broadcastLayout, contiguousLayout, type Layout } from '../../../shape.ts';
import { collapse } from '../../js/print.ts';
import { homeOf } from '../memory.ts';
import { affine, Source } from '../source.ts';
import type { GpuKernel } from './kernel.ts';
import { product } from './kernel.ts';

/** Products that are added up before they are added to the sum: independent, and rounding less. */
const unroll = 8;

const leading = (x: Layout): Layout => ({
  shape: x.shape.slice(0, -2),
  strides: x.strides.slice(0, -2),
  offset: 0,
});

export const matmul: GpuKernel = (launcher, { op, inputs, output }) => {
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
};
