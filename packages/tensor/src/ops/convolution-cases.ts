/** Small convolutions for the laws, and calls that the ops of convolution must refuse. */
import type { Shape } from '../shape.ts';
import type { Attrs, Draw, ErrorCase } from './record.ts';
import { windowCount } from './sliding.ts';

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** The shapes of a small convolution over one or two axes. */
export function sampleConvolution(draw: Draw): { x: number[]; w: number[]; y: number[]; attrs: Attrs } {
  const axes = upTo(draw.int(1, 2));
  const per = (min: number, max: number): number[] => axes.map(() => draw.int(min, max));
  const [n, groups, inGroup, outGroup] = [draw.int(1, 2), draw.int(1, 2), draw.int(1, 2), draw.int(1, 2)];
  const [kernel, stride, dilation] = [per(1, axes.length > 1 ? 2 : 3), per(1, 2), per(1, 2)];
  const padding = axes.map((): [number, number] => [draw.int(0, 1), draw.int(0, 1)]);
  const size = axes.map((i) => {
    const needed = dilation[i]! * (kernel[i]! - 1) + 1 - padding[i]![0] - padding[i]![1];
    return Math.max(1, needed) + draw.int(0, 2);
  });
  const out = size.map((length, i) =>
    windowCount(length + padding[i]![0] + padding[i]![1], kernel[i]!, stride[i]!, dilation[i]!),
  );
  return {
    x: [n, groups * inGroup, ...size],
    w: [groups * outGroup, inGroup, ...kernel],
    y: [n, groups * outGroup, ...out],
    attrs: { stride, padding, dilation, groups, size, kernel },
  };
}

/** Errors of the attributes for operands that fit each other in two groups over one axis, and further ones of shapes. */
export function convolutionErrors(
  fitting: readonly Shape[],
  further: readonly { shapes: readonly Shape[]; says: string }[],
): ErrorCase[] {
  const good = { stride: [1], padding: [[0, 0]], dilation: [1], groups: 2, size: [5], kernel: [3] };
  const row = (
    attrs: Attrs,
    says: string,
    error: ErrorCase['error'] = 'ShapeError',
    shapes = fitting,
  ): ErrorCase => ({ inputs: shapes.map((shape) => ({ shape })), attrs: { ...good, ...attrs }, error, says });
  return [
    row({ stride: [1, 1] }, 'one entry for each of 1 spatial axes'),
    row({ stride: [0] }, 'must be integers ≥ 1', 'ValueError'),
    row({ groups: 0.5 }, 'must be integers ≥ 1', 'ValueError'),
    row({ padding: [[-1, 0]] }, 'paddings must be integers ≥ 0', 'ValueError'),
    row({ dilation: [3] }, 'a kernel over 7 elements does not fit a padded size of 5 (spatial axis 0)'),
    ...further.map(({ shapes, says }) => row({}, says, 'ShapeError', shapes)),
  ];
}
