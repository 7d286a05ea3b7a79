/** Ops that put tensors beside or into one another: each thread looks up where its element comes from. */
import { contiguousLayout, type Shape } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import type { Launcher } from '../launcher.ts';
import { homeOf, type Home } from '../memory.ts';
import { affine, Source } from '../source.ts';
import { threadsOver } from '../threads.ts';
import type { GpuKernel } from './kernel.ts';
import { product } from './kernel.ts';

const elementOf = (source: Source, x: BufferView, indices: readonly string[]): string =>
  `${source.array(homeOf(x.buffer))}[${affine(indices, x.strides, source.offset(x.offset))}]`;

const nonEmpty = (x: BufferView): boolean => !x.shape.includes(0);

const concat: GpuKernel = (launcher, { op, inputs, output, attrs }) => {
  const axis = attrs['axis'] as number;
  const most = launcher.device.limits.inputs;
  const made: Home[] = [];
  let parts = inputs.filter(nonEmpty);
  while (parts.length > most) {
    const head = parts.slice(0, most);
    const shape = head[0]!.shape.with(
      axis,
      head.reduce((sum, x) => sum + x.shape[axis]!, 0),
    );
    const home = launcher.temporary(product(shape));
    join(launcher, op, head, axis, shape, home);
    made.push(home);
    parts = [{ buffer: { home }, dtype: output.dtype, ...contiguousLayout(shape) }, ...parts.slice(most)];
  }
  join(launcher, op, parts, axis, output.shape, homeOf(output.buffer));
  for (const home of made) launcher.free(home);
};

function join(
  launcher: Launcher,
  op: string,
  parts: readonly BufferView[],
  axis: number,
  shape: Shape,
  out: Home,
): void {
  const source = new Source();
  const { grid, indices } = threadsOver(source, shape, launcher.device.limits);
  const value = source.variable('0');
  const along = source.value(`${indices[axis]!} + 0`);
  let start = 0;
  for (const x of parts) {
    const end = start + x.shape[axis]!;
    const here = indices.with(axis, start === 0 ? along : `(${along} - ${start})`);
    source.when(`${along} >= ${start} && ${along} < ${end}`, () =>
      source.line(`${value} = ${elementOf(source, x, here)};`),
    );
    start = end;
  }
  launcher.launch(op, out, source.program(value, grid));
}

interface Placement {
  readonly x: BufferView;
  readonly starts: readonly number[];
  readonly steps: readonly number[];
  /** What stands where x is not: an element of a tensor, or a number. */
  readonly elsewhere: BufferView | number;
}

/** x at the places start + i·step along each axis. */
function place(
  launcher: Launcher,
  { op, output }: KernelCall,
  { x, starts, steps, elsewhere }: Placement,
): void {
  const source = new Source();
  const { grid, indices } = threadsOver(source, output.shape, launcher.device.limits);
  const other =
    typeof elsewhere === 'number' ? source.constant(elsewhere) : elementOf(source, elsewhere, indices);
  const value = source.variable(other);
  const conditions: string[] = [];
  const inside = indices.map((index, axis) => {
    const size = x.shape[axis]!;
    const step = size === 1 ? 1 : steps[axis]!;
    const away = source.value(`(${index} - ${starts[axis]!}) * ${Math.sign(step)}`);
    const { quotient, rest } = source.split(away, Math.abs(step));
    conditions.push(`${away} >= 0`, `${quotient} < ${size}`);
    if (rest !== '0') conditions.push(`${rest} === 0`);
    return quotient;
  });
  source.when(conditions.length === 0 ? '1 === 1' : conditions.join(' && '), () =>
    source.line(`${value} = ${elementOf(source, x, inside)};`),
  );
  launcher.launch(op, homeOf(output.buffer), source.program(value, grid));
}

const pad: GpuKernel = (launcher, call) => {
  const x = call.inputs[0]!;
  const widths = call.attrs['widths'] as readonly (readonly [number, number])[];
  place(launcher, call, {
    x,
    starts: widths.map(([before]) => before),
    steps: x.shape.map(() => 1),
    elsewhere: call.attrs['value'] as number,
  });
};

const placed = (attrs: KernelCall['attrs']): Pick<Placement, 'starts' | 'steps'> => ({
  starts: attrs['starts'] as readonly number[],
  steps: attrs['steps'] as readonly number[],
});

const unslice: GpuKernel = (launcher, call) =>
  place(launcher, call, { x: call.inputs[0]!, ...placed(call.attrs), elsewhere: 0 });

const sliceScatter: GpuKernel = (launcher, call) => {
  const [x, given] = call.inputs as [BufferView, BufferView];
  if (nonEmpty(given)) return place(launcher, call, { x: given, ...placed(call.attrs), elsewhere: x });
  join(launcher, call.op, [x], 0, call.output.shape, homeOf(call.output.buffer));
};

export const joiningKernels = { concat, pad, unslice, sliceScatter } satisfies Record<string, GpuKernel>;
