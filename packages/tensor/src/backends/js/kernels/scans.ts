/** Kernels that look for extremes along a line and say where they have been found so far. */
import type { KernelCall } from '../../backend.ts';
import { arrayOf, positions, withoutAxis } from './walk.ts';

function runningExtreme(reaches: (value: number, best: number) => boolean): (call: KernelCall) => void {
  return ({ inputs, output, attrs }) => {
    const x = inputs[0]!;
    const axis = attrs['axis'] as number;
    const from = positions(withoutAxis(x, axis));
    const to = positions(withoutAxis(output, axis));
    const [source, target] = [arrayOf(x), arrayOf(output)];
    const [step, outStep, n] = [x.strides[axis]!, output.strides[axis]!, x.shape[axis]!];
    for (let line = 0; line < from.length; line++) {
      let at = 0;
      let best = 0;
      for (let i = 0; i < n; i++) {
        const value = source[from[line]! + i * step]!;
        // Once there has been a NaN, only another one follows it.
        if (i === 0 || value !== value || reaches(value, best)) [at, best] = [i, value];
        target[to[line]! + i * outStep] = at;
      }
    }
  };
}

export const scansKernels = {
  argCumMax: runningExtreme((value, best) => value >= best),
  argCumMin: runningExtreme((value, best) => value <= best),
};
