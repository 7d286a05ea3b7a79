/** Windows added back in at their places: each thread goes through the windows that its element is in. */
import type { BufferView } from '../../backend.ts';
import { stored } from '../expressions.ts';
import { homeOf } from '../memory.ts';
import { affine, Source } from '../source.ts';
import { threadsOver } from '../threads.ts';
import type { GpuKernel } from './kernel.ts';

const overlapAdd: GpuKernel = (launcher, { op, inputs, output, attrs }) => {
  const x = inputs[0] as BufferView;
  const axes = attrs['axes'] as readonly number[];
  const steps = attrs['steps'] as readonly number[];
  const dilations = attrs['dilations'] as readonly number[];
  const rank = output.shape.length;
  const source = new Source();
  const { grid, indices } = threadsOver(source, output.shape, launcher.device.limits);
  const array = source.array(homeOf(x.buffer));
  const start = source.offset(x.offset);
  const total = source.variable('0');
  /** Loops over the places in the window along each axis, from the i-th on. */
  const within = (i: number, windows: readonly string[], inside: readonly string[]): void => {
    if (i === axes.length) {
      const element = `${array}[${affine([...windows, ...inside], x.strides, start)}]`;
      source.line(`${total} = ${total} + ${element};`);
      return;
    }
    const axis = axes[i]!;
    source.loop(x.shape[rank + i]!, (k) => {
      const first = source.value(`${indices[axis]!} - ${k} * ${dilations[i]!}`);
      const { quotient, rest } = source.split(first, steps[i]!);
      const fits = [`${first} >= 0`, `${quotient} < ${x.shape[axis]!}`];
      if (rest !== '0') fits.push(`${rest} === 0`);
      source.when(fits.join(' && '), () => within(i + 1, windows.with(axis, quotient), [...inside, k]));
    });
  };
  within(0, indices, []);
  launcher.launch(op, homeOf(output.buffer), source.program(stored(source, total, output.dtype), grid));
};

export const windowKernels = { overlapAdd } satisfies Record<string, GpuKernel>;
