/**
 * Convolution, and the two ops that are its transposes: with respect to the input and to the weight. Each is linear in both
 * of its operands, and the derivatives of each are the other two.
 */
import type { DType } from '../dtype.ts';
import { ShapeError, type OperandInfo } from '../errors.ts';
import { sameShape, sizeOf, type Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { ofWeight, toWeight } from './convolution-batch.ts';
import { convolutionErrors, sampleConvolution } from './convolution-cases.ts';
import { unit } from './domains.ts';
import { anyDType } from './families.ts';
import type { Attrs, FusedRecord, Plan } from './record.ts';
import { checkIntegers, windowCount } from './sliding.ts';

type Infos = readonly OperandInfo[];

/** One entry for each spatial axis. */
export interface ConvolutionAttrs {
  readonly stride: readonly number[];
  readonly padding: readonly (readonly [before: number, after: number])[];
  readonly dilation: readonly number[];
  /** Input and output channels are parted into so many groups that do not see each other. */
  readonly groups: number;
}

/** A convolution of x [N, C, ...size] with a weight [O, C / groups, ...kernel] into y [N, O, ...out]. */
export interface ConvolutionShape extends ConvolutionAttrs {
  readonly size: Shape;
  readonly kernel: Shape;
  readonly out: Shape;
}

const shapeOf = (attrs: Attrs): ConvolutionShape => attrs as unknown as ConvolutionShape;
const asAttrs = (attrs: ConvolutionAttrs): Attrs => ({ ...attrs }) as unknown as Attrs;
const spatial = (x: OperandInfo): Shape => x.shape.slice(2);
const upTo = (n: number, start = 0): number[] => Array.from({ length: n }, (_, i) => start + i);

/** Attributes checked, and all spatial sizes. */
function geometry(op: string, inputs: Infos, given: Attrs, size: Shape, kernel: Shape): ConvolutionShape {
  const axes = size.length;
  const fail = (problem: string): ShapeError => new ShapeError(op, problem, { operands: inputs });
  if (axes < 1) throw fail('needs at least one spatial axis: [batch, channels, ...spatial]');
  const { stride, padding, dilation, groups } = given as unknown as ConvolutionAttrs;
  if ([stride, padding, dilation, kernel].some(({ length }) => length !== axes))
    throw fail(`kernel, stride, padding and dilation need one entry for each of ${axes} spatial axes`);
  const counted = [...kernel, ...stride, ...dilation, groups];
  checkIntegers(op, 'kernel sizes, strides, dilations and groups', counted, 1);
  checkIntegers(op, 'paddings', padding.flat(), 0);
  const out = size.map((n, i) => {
    const length = n + padding[i]![0] + padding[i]![1];
    const count = windowCount(length, kernel[i]!, stride[i]!, dilation[i]!);
    if (count < 1)
      throw fail(
        `a kernel over ${dilation[i]! * (kernel[i]! - 1) + 1} elements does not fit a padded size of ${length} (spatial axis ${i})`,
      );
    return count;
  });
  return { stride, padding, dilation, groups, size, kernel, out };
}

function checkGroups(op: string, inputs: Infos, groups: number, channels: number): void {
  if (channels % groups !== 0)
    throw new ShapeError(op, `${channels} channels do not part into ${groups} groups`, { operands: inputs });
}

function checkSame(op: string, inputs: Infos, what: string, got: number, wanted: number): void {
  if (got !== wanted) throw new ShapeError(op, `${what}: ${got}, not ${wanted}`, { operands: inputs });
}

function checkOut(op: string, inputs: Infos, got: Shape, { out, size }: ConvolutionShape): void {
  if (!sameShape(got, out))
    throw new ShapeError(
      op,
      `a convolution of [${size.join(', ')}] gives [${out.join(', ')}], not [${got.join(', ')}]`,
      { operands: inputs },
    );
}

const plan = (shape: Shape, inputs: Infos, attrs: ConvolutionShape): Plan => ({
  shape,
  dtype: inputs[0]!.dtype as DType,
  attrs: asAttrs(attrs),
});

/** Every window of x, [N, C, ...out, ...kernel]. */
function windowsOf(x: Tensor, { stride, padding, dilation, kernel }: ConvolutionShape): Tensor {
  const bare = padding.flat().every((width) => width === 0);
  const framed = bare ? x : x.pad([[0, 0], [0, 0], ...padding]);
  return framed.windows(upTo(kernel.length, 2), kernel, stride, dilation);
}

/** A weight as one matrix for each group, [groups, O / groups, C / groups · kernel]. */
const matrices = (weight: Tensor, groups: number): Tensor =>
  weight.reshape([groups, weight.shape[0]! / groups, sizeOf(weight.shape.slice(1))]);

const flops = (y: Shape, { attrs }: Plan, channels: number): number =>
  2 * sizeOf(y) * channels * sizeOf(shapeOf(attrs).kernel);

const convolution: FusedRecord<[x: Tensor, weight: Tensor, attrs: ConvolutionAttrs]> = {
  kind: 'fused',
  doc: 'Convolution (without turning the kernel round, as usual in networks) of x [N, C, ...size], padded with zeros, with a weight [O, C / groups, ...kernel]: [N, O, ...out].',
  promote: 'float',
  accepts: [anyDType],
  call: (x, weight, attrs) => ({ inputs: [x, weight], attrs: asAttrs(attrs) }),
  infer: (inputs, given, op) => {
    const [x, w] = inputs as [OperandInfo, OperandInfo];
    const shape = geometry(op, inputs, given, spatial(x), spatial(w));
    const [channels, groups] = [x.shape[1]!, shape.groups];
    checkGroups(op, inputs, groups, w.shape[0]!);
    checkSame(op, inputs, 'channels of the input', channels, groups * w.shape[1]!);
    return plan([x.shape[0]!, w.shape[0]!, ...shape.out], inputs, shape);
  },
  compose: ([x, w], attrs) => {
    const shape = shapeOf(attrs);
    const { groups, kernel, out } = shape;
    const axes = kernel.length;
    const [n, outputs] = [x!.shape[0]!, w!.shape[0]!];
    const columns = windowsOf(x!, shape)
      .permute([0, 1, ...upTo(axes, 2 + axes), ...upTo(axes, 2)])
      .reshape([n, groups, sizeOf(w!.shape.slice(1)), sizeOf(out)]);
    return matrices(w!, groups)
      .matmul(columns)
      .reshape([n, outputs, ...out]);
  },
  batch: ofWeight,
  sample: (draw) => {
    const { x, w, attrs } = sampleConvolution(draw);
    return { inputs: [x, w].map((shape) => ({ shape, domain: unit })), attrs };
  },
  errors: convolutionErrors(
    [
      [2, 4, 5],
      [6, 2, 3],
    ],
    [
      {
        shapes: [
          [2, 4, 5],
          [5, 2, 3],
        ],
        says: '5 channels do not part into 2 groups',
      },
      {
        shapes: [
          [2, 5, 5],
          [6, 2, 3],
        ],
        says: 'channels of the input: 5, not 4',
      },
      {
        shapes: [
          [2, 4],
          [6, 2],
        ],
        says: 'needs at least one spatial axis',
      },
      {
        shapes: [
          [2, 4, 5],
          [6, 2],
        ],
        says: 'one entry for each of 1 spatial axes',
      },
    ],
  ),
  flops: ([, w], p) => flops(p.shape, p, w!.shape[1]!),
};

const convolutionTranspose: FusedRecord<
  [y: Tensor, weight: Tensor, attrs: ConvolutionAttrs & { readonly size: Shape }]
> = {
  kind: 'fused',
  doc: 'The transpose of `convolution` with respect to its input, which has the spatial sizes `size`: y [N, O, ...out] and a weight [O, C / groups, ...kernel] give [N, C, ...size].',
  promote: 'float',
  accepts: [anyDType],
  call: (y, weight, attrs) => ({ inputs: [y, weight], attrs: asAttrs(attrs) }),
  infer: (inputs, given, op) => {
    const [y, w] = inputs as [OperandInfo, OperandInfo];
    const shape = geometry(op, inputs, given, given['size'] as Shape, spatial(w));
    checkGroups(op, inputs, shape.groups, w.shape[0]!);
    checkSame(op, inputs, 'channels of the first operand', y.shape[1]!, w.shape[0]!);
    checkOut(op, inputs, spatial(y), shape);
    return plan([y.shape[0]!, shape.groups * w.shape[1]!, ...shape.size], inputs, shape);
  },
  compose: ([y, w], attrs) => {
    const { groups, kernel, out, size, padding, stride, dilation } = shapeOf(attrs);
    const axes = kernel.length;
    const [n, outputs] = [y!.shape[0]!, w!.shape[0]!];
    const channels = groups * w!.shape[1]!;
    const windows = matrices(w!, groups)
      .transpose()
      .matmul(y!.reshape([n, groups, outputs / groups, sizeOf(out)]))
      .reshape([n, channels, ...kernel, ...out])
      .permute([0, 1, ...upTo(axes, 2 + axes), ...upTo(axes, 2)]);
    const framed = size.map((length, i) => length + padding[i]![0] + padding[i]![1]);
    return windows
      .overlapAdd([n, channels, ...framed], upTo(axes, 2), stride, dilation)
      .slice([null, null, ...size.map((length, i) => [padding[i]![0], padding[i]![0] + length] as const)]);
  },
  batch: ofWeight,
  sample: (draw) => {
    const { y, w, attrs } = sampleConvolution(draw);
    return { inputs: [y, w].map((shape) => ({ shape, domain: unit })), attrs };
  },
  errors: convolutionErrors(
    [
      [2, 6, 3],
      [6, 2, 3],
    ],
    [
      {
        shapes: [
          [2, 5, 3],
          [5, 2, 3],
        ],
        says: '5 channels do not part into 2 groups',
      },
      {
        shapes: [
          [2, 4, 3],
          [6, 2, 3],
        ],
        says: 'channels of the first operand: 4, not 6',
      },
      {
        shapes: [
          [2, 6, 4],
          [6, 2, 3],
        ],
        says: 'a convolution of [5] gives [3], not [4]',
      },
    ],
  ),
  flops: ([y, w], p) => flops(y!.shape, p, w!.shape[1]!),
};

const convolutionWeight: FusedRecord<
  [x: Tensor, y: Tensor, attrs: ConvolutionAttrs & { readonly kernel: Shape }]
> = {
  kind: 'fused',
  doc: 'The transpose of `convolution` with respect to its weight, which has the spatial sizes `kernel`: x [N, C, ...size] and y [N, O, ...out] give [O, C / groups, ...kernel].',
  promote: 'float',
  accepts: [anyDType],
  call: (x, y, attrs) => ({ inputs: [x, y], attrs: asAttrs(attrs) }),
  infer: (inputs, given, op) => {
    const [x, y] = inputs as [OperandInfo, OperandInfo];
    const shape = geometry(op, inputs, given, spatial(x), given['kernel'] as Shape);
    const [channels, outputs] = [x.shape[1]!, y.shape[1]!];
    checkGroups(op, inputs, shape.groups, channels);
    checkGroups(op, inputs, shape.groups, outputs);
    checkSame(op, inputs, 'batch of the second operand', y.shape[0]!, x.shape[0]!);
    checkOut(op, inputs, spatial(y), shape);
    return plan([outputs, channels / shape.groups, ...shape.kernel], inputs, shape);
  },
  compose: ([x, y], attrs) => {
    const shape = shapeOf(attrs);
    const { groups, kernel, out } = shape;
    const axes = kernel.length;
    const [channels, outputs] = [x!.shape[1]!, y!.shape[1]!];
    const places = x!.shape[0]! * sizeOf(out);
    const inGroup = channels / groups;
    const columns = windowsOf(x!, shape)
      .permute([1, ...upTo(axes, 2 + axes), 0, ...upTo(axes, 2)])
      .reshape([groups, inGroup * sizeOf(kernel), places]);
    return y!
      .permute([1, 0, ...upTo(axes, 2)])
      .reshape([groups, outputs / groups, places])
      .matmul(columns.transpose())
      .reshape([outputs, inGroup, ...kernel]);
  },
  batch: toWeight,
  sample: (draw) => {
    const { x, y, attrs } = sampleConvolution(draw);
    return { inputs: [x, y].map((shape) => ({ shape, domain: unit })), attrs };
  },
  errors: convolutionErrors(
    [
      [2, 4, 5],
      [2, 6, 3],
    ],
    [
      {
        shapes: [
          [2, 5, 5],
          [2, 6, 3],
        ],
        says: '5 channels do not part into 2 groups',
      },
      {
        shapes: [
          [2, 4, 5],
          [2, 5, 3],
        ],
        says: '5 channels do not part into 2 groups',
      },
      {
        shapes: [
          [2, 4, 5],
          [3, 6, 3],
        ],
        says: 'batch of the second operand: 3, not 2',
      },
      {
        shapes: [
          [2, 4, 5],
          [2, 6, 2],
        ],
        says: 'a convolution of [5] gives [3], not [2]',
      },
    ],
  ),
  flops: ([x, y], p) => flops(y!.shape, p, x!.shape[1]! / shapeOf(p.attrs).groups),
};

export const convolving = { convolution, convolutionTranspose, convolutionWeight };
