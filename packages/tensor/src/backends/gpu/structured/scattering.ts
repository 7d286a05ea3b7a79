/**
 * Writing at indexed places, without atomics: the host sorts what is written by where it goes, and each thread goes
 * through what comes to its own element, in the order of the source.
 */
import { contiguousLayout, sizeOf, type Layout } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { positions } from '../../js/kernels/walk.ts';
import { floatFunctions } from '../functions/index.ts';
import type { Launcher } from '../launcher.ts';
import { homeOf, type Home } from '../memory.ts';
import { affine, Source } from '../source.ts';
import { threadsOver } from '../threads.ts';
import { withIndex } from './indices.ts';
import type { GpuKernel } from './kernel.ts';

/** For targets 0 … count - 1: where what comes to each starts in `order`, and the items in the order of their targets. */
function sortByTarget(
  targets: Int32Array,
  items: Int32Array,
  count: number,
): { starts: Float32Array; order: Float32Array } {
  const starts = new Float32Array(count + 1);
  for (const target of targets) starts[target + 1]!++;
  for (let i = 0; i < count; i++) starts[i + 1]! += starts[i]!;
  const next = Int32Array.from(starts);
  const order = new Float32Array(targets.length);
  for (let i = 0; i < targets.length; i++) order[next[targets[i]!]!++] = items[i]!;
  return { starts, order };
}

type Combine = (source: Source, there: string, given: string) => string;

interface Scatter {
  readonly launcher: Launcher;
  readonly call: KernelCall;
  readonly combine: Combine;
  readonly targets: Int32Array;
  /** What the items of the order are: positions in the source's buffer, or indices along an axis of it. */
  readonly items: Int32Array;
  readonly count: number;
}

/** @param target of a thread @param place where an item lies in the source's buffer */
async function scatter(
  { launcher, call, combine, targets, items, count }: Scatter,
  target: (source: Source, indices: readonly string[]) => string,
  place: (item: string, indices: readonly string[], source: Source) => string,
): Promise<void> {
  const [x, , given] = call.inputs as [BufferView, BufferView, BufferView];
  const { shape } = call.output;
  const source = new Source();
  const { grid, indices } = threadsOver(source, shape, launcher.device.limits);
  const own = source.array(homeOf(x.buffer));
  const value = source.variable(`${own}[${affine(indices, x.strides, source.offset(x.offset))}]`);
  const tables: Home[] = [];
  if (targets.length > 0) {
    const { starts, order } = sortByTarget(targets, items, count);
    const [startsHome, orderHome] = [starts, order].map((data) => {
      const home = launcher.temporary(data.length);
      launcher.uploadNow(home, data);
      tables.push(home);
      return home;
    }) as [Home, Home];
    const longest = starts.reduce(
      (most, start, i) => (i === 0 ? 0 : Math.max(most, start - starts[i - 1]!)),
      0,
    );
    const [first, last, elements] = [startsHome, orderHome, homeOf(given.buffer)].map((home) =>
      source.array(home),
    ) as [string, string, string];
    const at = source.value(target(source, indices));
    const begin = source.value(`${first}[${at}]`);
    const length = source.value(`${first}[${at} + 1] - ${begin}`);
    // A bound of few different values makes few different kernels.
    source.loop(2 ** Math.ceil(Math.log2(longest)), (i) =>
      source.when(`${i} < ${length}`, () => {
        const item = source.value(`${last}[${begin} + ${i}]`);
        const element = source.value(`${elements}[${place(item, indices, source)}]`);
        source.line(`${value} = ${combine(source, value, element)};`);
      }),
    );
  }
  await launcher.launchNow(homeOf(call.output.buffer), source.program(value, grid));
  for (const home of tables) launcher.freeNow(home);
}

const add: Combine = (_, there, given) => `${there} + ${given}`;

/** Whole slices to places along an axis. */
const indexAdd: GpuKernel = (launcher, call) => {
  const axis = call.attrs['axis'] as number;
  const [x, index, given] = call.inputs as [BufferView, BufferView, BufferView];
  const rank = index.shape.length;
  const count = x.shape[axis]!;
  withIndex(launcher, call, count, (targets) => {
    // Of each picked slice: where it starts in the source, as the axes of the index lie there.
    const layout: Layout = {
      shape: index.shape,
      strides: given.strides.slice(axis, axis + rank),
      offset: given.offset,
    };
    const rest = [...given.strides.slice(0, axis), 0, ...given.strides.slice(axis + rank)];
    return scatter(
      { launcher, call, combine: add, targets, items: positions(layout), count },
      (_, indices) => indices[axis]!,
      (item, indices) => affine([item, ...indices], [1, ...rest]),
    );
  });
};

/** Single elements to places along an axis. */
const scattering =
  (combine: Combine): GpuKernel =>
  (launcher, call) => {
    const axis = call.attrs['axis'] as number;
    const [x, index, given] = call.inputs as [BufferView, BufferView, BufferView];
    withIndex(launcher, call, x.shape[axis]!, (values) => {
      const { strides } = contiguousLayout(x.shape);
      const base = positions({ shape: index.shape, strides: strides.with(axis, 0), offset: 0 });
      const targets = base.map((p, i) => p + values[i]! * strides[axis]!);
      return scatter(
        { launcher, call, combine, targets, items: positions(given), count: sizeOf(x.shape) },
        (_, indices) => affine(indices, strides),
        (item) => item,
      );
    });
  };

export const scatteringKernels = {
  indexAdd,
  scatterAdd: scattering(add),
  scatterSet: scattering((_, __, given) => given),
  scatterMul: scattering((_, there, given) => `${there} * ${given}`),
  scatterMax: scattering((s, there, given) => floatFunctions.max!(s, there, given)),
  scatterMin: scattering((s, there, given) => floatFunctions.min!(s, there, given)),
} satisfies Record<string, GpuKernel>;
