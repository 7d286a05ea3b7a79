/** Orders along a line, by counting: each thread compares its element with all others. */
import { contiguousLayout, type Layout } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { collapse } from '../../js/print.ts';
import { isNumber } from '../functions/index.ts';
import type { Launcher } from '../launcher.ts';
import { homeOf, type Home } from '../memory.ts';
import { affine, Source } from '../source.ts';
import { threadsOver } from '../threads.ts';
import type { GpuKernel } from './kernel.ts';
import { product } from './kernel.ts';

/** In an order in which a NaN counts as largest. */
const less = (a: string, b: string): string => `(${a} < ${b} || (${isNumber(a)} && !${isNumber(b)}))`;

/** A thread for each element of a shape: where its line starts in x, how to read that, and the index along the line. */
function overElements(launcher: Launcher, x: BufferView, axis: number, shape: readonly number[]) {
  const source = new Source();
  const outside: Layout = { shape, strides: x.strides.with(axis, 0), offset: 0 };
  const along: Layout = { shape, strides: shape.map((_, i) => Number(i === axis)), offset: 0 };
  const { sizes, strides } = collapse([contiguousLayout(shape), outside, along]);
  const { grid, indices } = threadsOver(source, sizes, launcher.device.limits);
  const array = source.array(homeOf(x.buffer));
  const start = source.value(affine(indices, strides[1]!, source.offset(x.offset)));
  const here = source.value(affine(indices, strides[2]!));
  const at = (i: string): string => `${array}[${affine([start, i], [1, x.strides[axis]!])}]`;
  return { source, grid, at, here };
}

/** How many elements of its line come before each. */
function ranks(launcher: Launcher, op: string, x: BufferView, axis: number, descending: boolean): Home {
  const home = launcher.temporary(product(x.shape));
  const { source, grid, at, here } = overElements(launcher, x, axis, x.shape);
  const own = source.value(at(here));
  const count = source.variable('0');
  source.loop(x.shape[axis]!, (j) => {
    const other = source.value(at(j));
    const [first, second] = descending ? [own, other] : [other, own];
    const tie = `(!${less(first, second)} && !${less(second, first)} && ${j} < ${here})`;
    source.when(`${less(first, second)} || ${tie}`, () => source.line(`${count} = ${count} + 1;`));
  });
  launcher.launch(op, home, source.program(count, grid));
  return home;
}

/** The k positions of least rank, by rank or by position. */
function places(launcher: Launcher, call: KernelCall, k: number, descending: boolean, byRank: boolean): void {
  const { op, inputs, output, attrs } = call;
  const x = inputs[0]!;
  const axis = attrs['axis'] as number;
  const home = ranks(launcher, op, x, axis, descending);
  const view: BufferView = { buffer: { home }, dtype: 'i32', ...contiguousLayout(x.shape) };
  const { source, grid, at, here } = overElements(launcher, view, axis, output.shape);
  const found = source.variable('0');
  const passed = source.variable('0');
  source.loop(x.shape[axis]!, (i) => {
    const rank = source.value(at(i));
    if (byRank) source.when(`${rank} === ${here}`, () => source.line(`${found} = ${i};`));
    else
      source.when(`${rank} < ${k}`, () => {
        source.when(`${passed} === ${here}`, () => source.line(`${found} = ${i};`));
        source.line(`${passed} = ${passed} + 1;`);
      });
  });
  launcher.launch(op, homeOf(output.buffer), source.program(found, grid));
  launcher.free(home);
}

const argSort: GpuKernel = (launcher, call) => {
  const { attrs, output } = call;
  places(launcher, call, output.shape[attrs['axis'] as number]!, attrs['descending'] === true, true);
};

const argTopK: GpuKernel = (launcher, call) => {
  const { k, largest, sorted } = call.attrs;
  places(launcher, call, k as number, largest === true, sorted === true);
};

const runningExtreme =
  (loses: '<' | '>'): GpuKernel =>
  (launcher, { op, inputs, output, attrs }) => {
    const x = inputs[0]!;
    const axis = attrs['axis'] as number;
    const { source, grid, at, here } = overElements(launcher, x, axis, x.shape);
    const best = source.variable(at('0'));
    const place = source.variable('0');
    source.loop(x.shape[axis]!, (i) => {
      const value = source.value(at(i));
      // Once there has been a NaN, only another one follows it.
      const reaches = `(!${isNumber(value)} || (${isNumber(best)} && !(${value} ${loses} ${best})))`;
      source.when(`${i} <= ${here} && ${reaches}`, () => {
        source.line(`${best} = ${value};`);
        source.line(`${place} = ${i};`);
      });
    });
    launcher.launch(op, homeOf(output.buffer), source.program(place, grid));
  };

const searchSorted: GpuKernel = (launcher, { op, inputs, output, attrs }) => {
  const [x, values] = inputs as [BufferView, BufferView];
  const source = new Source();
  const { grid, indices } = threadsOver(source, output.shape, launcher.device.limits);
  const last = x.shape.length - 1;
  const n = x.shape[last]!;
  const wanted = source.value(
    `${source.array(homeOf(values.buffer))}[${affine(indices, values.strides, source.offset(values.offset))}]`,
  );
  const low = source.variable('0');
  if (n > 0) {
    const array = source.array(homeOf(x.buffer));
    const start = source.value(
      affine(indices.slice(0, last), x.strides.slice(0, last), source.offset(x.offset)),
    );
    const high = source.variable(String(n));
    source.loop(Math.ceil(Math.log2(n + 1)), () =>
      source.when(`${low} < ${high}`, () => {
        const middle = source.value(`Math.floor((${low} + ${high}) * 0.5)`);
        const element = source.value(`${array}[${affine([start, middle], [1, x.strides[last]!])}]`);
        const before = attrs['side'] === 'right' ? `(!${less(wanted, element)})` : less(element, wanted);
        source.line(`if (${before}) { ${low} = ${middle} + 1; } else { ${high} = ${middle}; }`);
      }),
    );
  }
  launcher.launch(op, homeOf(output.buffer), source.program(low, grid));
};

export const sortingKernels = {
  argSort,
  argTopK,
  argCumMax: runningExtreme('<'),
  argCumMin: runningExtreme('>'),
  searchSorted,
} satisfies Record<string, GpuKernel>;
