/** Ops along one axis: softmax and its kin, positions of extremes, running sums. */
import { contiguousLayout, type Layout } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { collapse } from '../../js/print.ts';
import { floatFunctions, isNumber } from '../functions/index.ts';
import type { Launcher } from '../launcher.ts';
import { homeOf, type Home } from '../memory.ts';
import { affine, Source } from '../source.ts';
import { threadsOver } from '../threads.ts';
import type { GpuKernel } from './kernel.ts';
import { product } from './kernel.ts';

/** A tensor as lines along one axis. */
interface Lines {
  readonly home: Home;
  /** The other axes. */
  readonly others: Layout;
  readonly count: number;
  readonly step: number;
  readonly length: number;
  readonly offset: number;
}

function linesOf(x: BufferView, axis: number): Lines {
  const others = { shape: x.shape.toSpliced(axis, 1), strides: x.strides.toSpliced(axis, 1), offset: 0 };
  return {
    home: homeOf(x.buffer),
    others,
    count: product(others.shape),
    step: x.strides[axis]!,
    length: x.shape[axis]!,
    offset: x.offset,
  };
}

/** A source with a thread for each line: the place of the line's first element, and how to read another. */
function overLines(launcher: Launcher, lines: Lines) {
  const source = new Source();
  const { sizes, strides } = collapse([contiguousLayout(lines.others.shape), lines.others]);
  const { grid, indices } = threadsOver(source, sizes, launcher.device.limits);
  const array = source.array(lines.home);
  const start = source.value(affine(indices, strides[1]!, source.offset(lines.offset)));
  const at = (i: string): string => `${array}[${affine([start, i], [1, lines.step])}]`;
  return { source, grid, at };
}

const exp = floatFunctions.exp!;
const log = floatFunctions.log!;
const max = floatFunctions.max!;

/** Of each line the largest element, or Σ e^(x - largest), or the log of that and of what was taken off. */
function fold(
  launcher: Launcher,
  op: string,
  lines: Lines,
  what: 'largest' | 'sum' | 'logSum',
  out: Home,
): void {
  const { source, grid, at } = overLines(launcher, lines);
  const top = source.variable(`(-${source.infinity()})`);
  source.loop(lines.length, (i) => {
    const x = source.value(at(i));
    source.line(`${top} = ${max(source, top, x)};`);
  });
  if (what === 'largest') return launcher.launch(op, out, source.program(top, grid));
  const total = source.variable('0');
  source.loop(lines.length, (i) => {
    const x = source.value(`${at(i)} - ${top}`);
    source.line(`${total} = ${total} + ${exp(source, x)};`);
  });
  if (what === 'sum') return launcher.launch(op, out, source.program(total, grid));
  const sum = source.value(`${top} + ${log(source, total)}`);
  const endless = `(${top} <= 3.4028234e38 && ${top} >= -3.4028234e38)`;
  launcher.launch(op, out, source.program(source.value(`(${endless} ? ${sum} : ${top})`), grid));
}

/** Each element from itself, the largest of its line and Σ e^(x - largest). */
const normalised =
  (value: (source: Source, x: string, total: string) => string): GpuKernel =>
  (launcher, { op, inputs, output, attrs }) => {
    const x = inputs[0]!;
    const axis = attrs['axis'] as number;
    const lines = linesOf(x, axis);
    const [top, total] = [launcher.temporary(lines.count), launcher.temporary(lines.count)];
    fold(launcher, op, lines, 'largest', top);
    fold(launcher, op, lines, 'sum', total);
    const source = new Source();
    const others = contiguousLayout(lines.others.shape).strides;
    const perLine = { shape: x.shape, strides: others.toSpliced(axis, 0, 0), offset: 0 };
    const { sizes, strides } = collapse([contiguousLayout(x.shape), x, perLine]);
    const { grid, indices } = threadsOver(source, sizes, launcher.device.limits);
    const element = source.array(lines.home);
    const [a, b] = [source.array(top), source.array(total)];
    const line = source.value(affine(indices, strides[2]!));
    const shifted = source.value(
      `${element}[${affine(indices, strides[1]!, source.offset(x.offset))}] - ${a}[${line}]`,
    );
    const sum = source.value(`${b}[${line}]`);
    launcher.launch(op, homeOf(output.buffer), source.program(value(source, shifted, sum), grid));
    launcher.free(top);
    launcher.free(total);
  };

const position =
  (better: '<' | '>'): GpuKernel =>
  (launcher, { op, inputs, output, attrs }) => {
    const lines = linesOf(inputs[0]!, attrs['axis'] as number);
    const { source, grid, at } = overLines(launcher, lines);
    const best = source.variable(at('0'));
    const place = source.variable('0');
    source.loop(lines.length, (i) => {
      const x = source.value(at(i));
      // The first NaN is best of all.
      const wins = `(${isNumber(best)} && (${x} ${better} ${best} || !${isNumber(x)}))`;
      source.when(wins, () => {
        source.line(`${best} = ${x};`);
        source.line(`${place} = ${i};`);
      });
    });
    launcher.launch(op, homeOf(output.buffer), source.program(place, grid));
  };

/** Lines longer than this are added up in stretches first. */
const longest = 64;

const cumsum: GpuKernel = (launcher, { op, inputs, output, attrs }) => {
  const x = inputs[0]!;
  const axis = attrs['axis'] as number;
  const lines = linesOf(x, axis);
  const stretch = lines.length <= longest ? lines.length : Math.ceil(Math.sqrt(lines.length));
  const count = Math.ceil(lines.length / stretch);
  const sums = count > 1 ? stretchSums(launcher, op, lines, stretch, count) : null;
  const source = new Source();
  const perLine = {
    shape: x.shape,
    strides: contiguousLayout(lines.others.shape).strides.toSpliced(axis, 0, 0),
    offset: 0,
  };
  const along = { shape: x.shape, strides: x.shape.map((_, i) => Number(i === axis)), offset: 0 };
  const outside = { shape: x.shape, strides: x.strides.with(axis, 0), offset: 0 };
  const { sizes, strides } = collapse([contiguousLayout(x.shape), outside, perLine, along]);
  const { grid, indices } = threadsOver(source, sizes, launcher.device.limits);
  const array = source.array(lines.home);
  const start = source.value(affine(indices, strides[1]!, source.offset(x.offset)));
  const at = source.value(affine(indices, strides[3]!));
  const total = source.variable('0');
  const first = source.variable('0');
  if (sums) {
    const line = source.value(affine(indices, strides[2]!));
    const table = source.array(sums);
    source.loop(count, (q) =>
      source.when(`${at} >= (${q} + 1) * ${stretch}`, () => {
        source.line(`${total} = ${total} + ${table}[${line} * ${count} + ${q}];`);
        source.line(`${first} = (${q} + 1) * ${stretch};`);
      }),
    );
  }
  source.loop(stretch, (i) => {
    const here = source.value(`${first} + ${i}`);
    source.when(`${here} <= ${at}`, () =>
      source.line(`${total} = ${total} + ${array}[${affine([start, here], [1, lines.step])}];`),
    );
  });
  launcher.launch(op, homeOf(output.buffer), source.program(total, grid));
  if (sums) launcher.free(sums);
};

/** The sum of each stretch of each line. */
function stretchSums(launcher: Launcher, op: string, lines: Lines, stretch: number, count: number): Home {
  const sums = launcher.temporary(lines.count * count);
  const source = new Source();
  const outer = collapse([contiguousLayout(lines.others.shape), lines.others]);
  const { grid, indices } = threadsOver(source, [...outer.sizes, count], launcher.device.limits);
  const array = source.array(lines.home);
  const start = source.value(affine(indices.slice(0, -1), outer.strides[1]!, source.offset(lines.offset)));
  const first = source.value(`${indices.at(-1)!} * ${stretch}`);
  const total = source.variable('0');
  source.loop(stretch, (i) => {
    const at = source.value(`${first} + ${i}`);
    source.when(`${at} < ${lines.length}`, () =>
      source.line(`${total} = ${total} + ${array}[${affine([start, at], [1, lines.step])}];`),
    );
  });
  launcher.launch(op, sums, source.program(total, grid));
  return sums;
}

export const rowKernels = {
  softmax: normalised((s, x, total) => s.value(`${exp(s, x)} / ${total}`)),
  logSoftmax: normalised((s, x, total) => s.value(`${x} - ${log(s, total)}`)),
  logSumExp: (launcher: Launcher, { op, inputs, output, attrs }: KernelCall): void =>
    fold(launcher, op, linesOf(inputs[0]!, attrs['axis'] as number), 'logSum', homeOf(output.buffer)),
  argMax: position('>'),
  argMin: position('<'),
  cumsum,
} satisfies Record<string, GpuKernel>;
