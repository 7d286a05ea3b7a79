/** Orders and extremes along lines. */
import type { BufferView, KernelCall } from '../../backend.ts';
import { isNumber } from '../functions/index.ts';
import type { Launcher } from '../launcher.ts';
import { homeOf } from '../memory.ts';
import { affine, Source } from '../source.ts';
import { threadsOver } from '../threads.ts';
import type { GpuKernel } from './kernel.ts';
import { less, overLines } from './lines.ts';
import { order, viewOf } from './merging.ts';

const argSort: GpuKernel = (launcher, call) =>
  argTopK(launcher, {
    ...call,
    attrs: { ...call.attrs, largest: call.attrs['descending'] === true, sorted: true },
  });

/** The first positions of the order; where they are asked for by position, these are put in order. */
function argTopK(launcher: Launcher, { op, inputs, output, attrs }: KernelCall): void {
  const [x] = inputs as [BufferView];
  const axis = attrs['axis'] as number;
  const all = order(launcher, op, x, axis, attrs['largest'] === true);
  const first = { ...viewOf(all, x.shape), shape: output.shape };
  const views = [first];
  const again = attrs['sorted'] === true ? null : order(launcher, op, first, axis, false);
  if (again) views.push(viewOf(again, output.shape));
  const { source, grid, at, here } = overLines(launcher, output.shape, axis, views);
  const place = again ? source.value(at[1]!(here)) : here;
  launcher.launch(op, homeOf(output.buffer), source.program(source.value(at[0]!(place)), grid));
  for (const home of again ? [all, again] : [all]) launcher.free(home);
}

const runningExtreme =
  (loses: '<' | '>'): GpuKernel =>
  (launcher, { op, inputs, output, attrs }) => {
    const x = inputs[0]!;
    const axis = attrs['axis'] as number;
    const { source, grid, at: reads, here } = overLines(launcher, x.shape, axis, [x]);
    const at = reads[0]!;
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
