/** Convolutions over one, two or three spatial axes, in PyTorch's layout: [batch, channels, …spatial], or without the batch. */
import {
  ShapeError,
  sizeOf,
  ValueError,
  type FloatDType,
  type Key,
  type Shape,
  type Tensor,
} from '@infinigrad/tensor';
import { checkSizes, initialWeight } from '../init.ts';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';

/** One number for all spatial axes, or one for each. */
export type PerAxis = number | readonly number[];

interface Shared {
  /** Decides the initial weights: uniform within ±1/√fanIn, bias too. */
  readonly key: Key;
  /** Elements from one place of the kernel to the next. Default 1. */
  readonly stride?: PerAxis;
  /** Elements from one element of the kernel to the next. Default 1. */
  readonly dilation?: PerAxis;
  /** Parts that input and output channels fall into, convolved each on its own; `inChannels` for a depthwise convolution. Default 1. */
  readonly groups?: number;
  /** Default true. */
  readonly bias?: boolean;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

export interface ConvOptions extends Shared {
  /** Elements around the input, `'same'` (as many as keep the sizes, for stride 1) or `'valid'` (none). Default 0. */
  readonly padding?: PerAxis | 'same' | 'valid';
  /** What is around it: zeros, or elements of its own. Default `zeros`. */
  readonly paddingMode?: 'zeros' | 'reflect' | 'replicate' | 'circular';
}

export interface ConvTransposeOptions extends Shared {
  /** Elements cut off the result on both sides. Default 0. */
  readonly padding?: PerAxis;
  /** Elements added to the end of the result, fewer than stride or dilation. Default 0. */
  readonly outputPadding?: PerAxis;
}

const perAxis = (kind: string, name: string, value: PerAxis, axes: number): number[] => {
  const list = typeof value === 'number' ? new Array<number>(axes).fill(value) : [...value];
  if (list.length !== axes)
    throw new ValueError(
      kind,
      `${name} needs one entry for each of ${axes} spatial axes, got ${list.length}`,
    );
  return list;
};

/** Sizes, weight and bias. */
abstract class Convolution extends Module {
  readonly kind: string;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  /** [outChannels, inChannels / groups, …kernel]; transposed: [inChannels, outChannels / groups, …kernel]. */
  readonly weight: Parameter;
  /** [outChannels]. */
  readonly bias: Parameter | null;

  constructor(
    kind: string,
    axes: number,
    transposed: boolean,
    channels: readonly [inChannels: number, outChannels: number],
    kernelSize: PerAxis,
    { key, stride = 1, dilation = 1, groups = 1, bias = true, dtype = 'f32' }: Shared,
  ) {
    super();
    const [inChannels, outChannels] = channels;
    checkSizes(kind, { inChannels, outChannels, groups });
    for (const [name, value] of Object.entries({ kernelSize, stride, dilation }))
      for (const n of perAxis(kind, name, value, axes)) checkSizes(kind, { [name]: n });
    if (inChannels % groups !== 0 || outChannels % groups !== 0)
      throw new ValueError(
        kind,
        `${inChannels} and ${outChannels} channels do not part into ${groups} groups`,
      );
    this.kind = kind;
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = perAxis(kind, 'kernelSize', kernelSize, axes);
    this.stride = perAxis(kind, 'stride', stride, axes);
    this.dilation = perAxis(kind, 'dilation', dilation, axes);
    this.groups = groups;
    const [first, second] = transposed ? [inChannels, outChannels] : [outChannels, inChannels];
    const shape = [first, second / groups, ...this.kernelSize];
    const fanIn = sizeOf(shape.slice(1));
    const [weightKey, biasKey] = key.split(2) as [Key, Key];
    const draw = (k: Key, of: Shape): Parameter =>
      new Parameter(initialWeight(k, of, fanIn, undefined, dtype));
    this.weight = draw(weightKey, shape);
    this.bias = bias ? draw(biasKey, [outChannels]) : null;
  }

  protected check(x: Tensor): void {
    const { kind, kernelSize, inChannels } = this;
    const axes = kernelSize.length;
    if ((x.rank !== axes + 1 && x.rank !== axes + 2) || x.shape.at(-axes - 1) !== inChannels)
      throw new ShapeError(
        kind,
        `needs [batch, ${inChannels}, …] with ${axes} spatial axes, the batch or not`,
        {
          operands: [x],
        },
      );
  }

  protected get shared() {
    const { stride, dilation, groups, bias } = this;
    return { stride, dilation, groups, bias: bias ?? undefined };
  }
}

type Widths = readonly [before: number, after: number];

/** The methods of tensors for so many spatial axes. */
const convolutions = [null, 'conv1d', 'conv2d', 'conv3d'] as const;
const transposes = [null, 'convTranspose1d', 'convTranspose2d', 'convTranspose3d'] as const;

abstract class Conv extends Convolution {
  readonly padding: readonly number[] | 'same' | 'valid';
  readonly paddingMode: NonNullable<ConvOptions['paddingMode']>;

  constructor(
    kind: string,
    axes: number,
    inChannels: number,
    outChannels: number,
    kernelSize: PerAxis,
    options: ConvOptions,
  ) {
    super(kind, axes, false, [inChannels, outChannels], kernelSize, options);
    const { padding = 0, paddingMode = 'zeros' } = options;
    if (!['zeros', 'reflect', 'replicate', 'circular'].includes(paddingMode))
      throw new ValueError(kind, `paddingMode '${String(paddingMode)}' is not known`, {
        hint: 'zeros, reflect, replicate or circular',
      });
    if (typeof padding === 'string' && padding !== 'same' && padding !== 'valid')
      throw new ValueError(kind, `padding '${String(padding)}' is not known`, {
        hint: "a number, 'same' or 'valid'",
      });
    if (padding === 'same' && this.stride.some((n) => n !== 1))
      throw new ValueError(kind, "padding 'same' needs stride 1");
    this.padding = typeof padding === 'string' ? padding : perAxis(kind, 'padding', padding, axes);
    this.paddingMode = paddingMode;
  }

  /** Widths of the frame along each spatial axis. */
  private get frame(): Widths[] {
    const { padding, kernelSize, dilation } = this;
    return kernelSize.map((n, i) => {
      if (padding === 'valid') return [0, 0];
      if (padding !== 'same') return [padding[i]!, padding[i]!];
      const total = dilation[i]! * (n - 1);
      return [Math.floor(total / 2), Math.ceil(total / 2)];
    });
  }

  /** @throws ShapeError for another number of channels or axes, or where the kernel does not fit */
  forward(x: Tensor): Tensor {
    this.check(x);
    const { paddingMode, frame, shared, weight } = this;
    const convolve = convolutions[frame.length]!;
    if (paddingMode === 'zeros') return x[convolve](weight, { ...shared, padding: frame });
    const none = Array.from({ length: x.rank - frame.length }, (): Widths => [0, 0]);
    return x.padWith(paddingMode, [...none, ...frame])[convolve](weight, { ...shared, padding: 0 });
  }
}

/** Convolution of [batch, inChannels, L] into [batch, outChannels, L′]. */
export class Conv1d extends Conv {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvOptions) {
    super('Conv1d', 1, inChannels, outChannels, kernelSize, options);
  }
}

/** Convolution of [batch, inChannels, H, W] into [batch, outChannels, H′, W′]. */
export class Conv2d extends Conv {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvOptions) {
    super('Conv2d', 2, inChannels, outChannels, kernelSize, options);
  }
}

/** Convolution of [batch, inChannels, D, H, W] into [batch, outChannels, D′, H′, W′]. */
export class Conv3d extends Conv {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvOptions) {
    super('Conv3d', 3, inChannels, outChannels, kernelSize, options);
  }
}

abstract class ConvTranspose extends Convolution {
  readonly padding: readonly number[];
  readonly outputPadding: readonly number[];

  constructor(
    kind: string,
    axes: number,
    inChannels: number,
    outChannels: number,
    kernelSize: PerAxis,
    options: ConvTransposeOptions,
  ) {
    super(kind, axes, true, [inChannels, outChannels], kernelSize, options);
    this.padding = perAxis(kind, 'padding', options.padding ?? 0, axes);
    this.outputPadding = perAxis(kind, 'outputPadding', options.outputPadding ?? 0, axes);
    this.outputPadding.forEach((n, i) => {
      if (n >= Math.max(this.stride[i]!, this.dilation[i]!))
        throw new ValueError(
          kind,
          `outputPadding ${n} is not less than stride or dilation (spatial axis ${i})`,
        );
    });
  }

  /** @throws ShapeError for another number of channels or axes, or where nothing is left */
  forward(x: Tensor): Tensor {
    this.check(x);
    const { shared, weight, padding, outputPadding } = this;
    return x[transposes[padding.length]!](weight, { ...shared, padding, outputPadding });
  }
}

/** The transpose of a convolution: [batch, inChannels, L] into [batch, outChannels, (L - 1) · stride - 2 · padding + dilation · (K - 1) + outputPadding + 1]. */
export class ConvTranspose1d extends ConvTranspose {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvTransposeOptions) {
    super('ConvTranspose1d', 1, inChannels, outChannels, kernelSize, options);
  }
}

/** As `ConvTranspose1d`, over two spatial axes. */
export class ConvTranspose2d extends ConvTranspose {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvTransposeOptions) {
    super('ConvTranspose2d', 2, inChannels, outChannels, kernelSize, options);
  }
}

/** As `ConvTranspose1d`, over three spatial axes. */
export class ConvTranspose3d extends ConvTranspose {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvTransposeOptions) {
    super('ConvTranspose3d', 3, inChannels, outChannels, kernelSize, options);
  }
}
