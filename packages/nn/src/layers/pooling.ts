/** Pooling over spatial axes as modules: x is [batch, channels, …spatial] or [channels, …spatial]. */
import type { Tensor } from '@infinigrad/tensor';
import { Module } from '../module.ts';
import type { PerAxis } from './convolution.ts';

/** Stride (the kernel size unless told), padding, dilation, ceilMode. */
export type MaxPoolOptions = NonNullable<Parameters<Tensor['maxPool2d']>[1]>;
/** Stride (the kernel size unless told), padding, ceilMode, countIncludePad, divisorOverride. */
export type AvgPoolOptions = NonNullable<Parameters<Tensor['avgPool2d']>[1]>;
/** Sizes that are to be reached; null keeps one. */
export type PooledSize = number | readonly (number | null)[];

abstract class Pool<Options> extends Module {
  readonly kernelSize: PerAxis;
  readonly options: Options;

  constructor(kernelSize: PerAxis, options: Options) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }
}

abstract class AdaptivePool extends Module {
  readonly outputSize: PooledSize;

  constructor(outputSize: PooledSize) {
    super();
    this.outputSize = outputSize;
  }
}

/** The largest element of each window over length; equal ones share in gradients. */
export class MaxPool1d extends Pool<MaxPoolOptions> {
  constructor(kernelSize: PerAxis, options: MaxPoolOptions = {}) {
    super(kernelSize, options);
  }

  /** @throws ShapeError, ValueError where windows do not fit */
  forward(x: Tensor): Tensor {
    return x.maxPool1d(this.kernelSize, this.options);
  }
}

/** The largest element of each window over height and width; equal ones share in gradients. */
export class MaxPool2d extends Pool<MaxPoolOptions> {
  constructor(kernelSize: PerAxis, options: MaxPoolOptions = {}) {
    super(kernelSize, options);
  }

  /** @throws ShapeError, ValueError where windows do not fit */
  forward(x: Tensor): Tensor {
    return x.maxPool2d(this.kernelSize, this.options);
  }
}

/** The largest element of each window over depth, height and width; equal ones share in gradients. */
export class MaxPool3d extends Pool<MaxPoolOptions> {
  constructor(kernelSize: PerAxis, options: MaxPoolOptions = {}) {
    super(kernelSize, options);
  }

  /** @throws ShapeError, ValueError where windows do not fit */
  forward(x: Tensor): Tensor {
    return x.maxPool3d(this.kernelSize, this.options);
  }
}

/** The mean of each window over length. */
export class AvgPool1d extends Pool<AvgPoolOptions> {
  constructor(kernelSize: PerAxis, options: AvgPoolOptions = {}) {
    super(kernelSize, options);
  }

  /** @throws ShapeError, ValueError where windows do not fit */
  forward(x: Tensor): Tensor {
    return x.avgPool1d(this.kernelSize, this.options);
  }
}

/** The mean of each window over height and width. */
export class AvgPool2d extends Pool<AvgPoolOptions> {
  constructor(kernelSize: PerAxis, options: AvgPoolOptions = {}) {
    super(kernelSize, options);
  }

  /** @throws ShapeError, ValueError where windows do not fit */
  forward(x: Tensor): Tensor {
    return x.avgPool2d(this.kernelSize, this.options);
  }
}

/** The mean of each window over depth, height and width. */
export class AvgPool3d extends Pool<AvgPoolOptions> {
  constructor(kernelSize: PerAxis, options: AvgPoolOptions = {}) {
    super(kernelSize, options);
  }

  /** @throws ShapeError, ValueError where windows do not fit */
  forward(x: Tensor): Tensor {
    return x.avgPool3d(this.kernelSize, this.options);
  }
}

/** Means of as many windows over length as are asked for. */
export class AdaptiveAvgPool1d extends AdaptivePool {
  forward(x: Tensor): Tensor {
    return x.adaptiveAvgPool1d(this.outputSize);
  }
}

/** Means of as many windows over height and width as are asked for. */
export class AdaptiveAvgPool2d extends AdaptivePool {
  forward(x: Tensor): Tensor {
    return x.adaptiveAvgPool2d(this.outputSize);
  }
}

/** Means of as many windows over depth, height and width as are asked for. */
export class AdaptiveAvgPool3d extends AdaptivePool {
  forward(x: Tensor): Tensor {
    return x.adaptiveAvgPool3d(this.outputSize);
  }
}

/** The largest elements of as many windows over length as are asked for. */
export class AdaptiveMaxPool1d extends AdaptivePool {
  forward(x: Tensor): Tensor {
    return x.adaptiveMaxPool1d(this.outputSize);
  }
}

/** The largest elements of as many windows over height and width as are asked for. */
export class AdaptiveMaxPool2d extends AdaptivePool {
  forward(x: Tensor): Tensor {
    return x.adaptiveMaxPool2d(this.outputSize);
  }
}

/** The largest elements of as many windows over depth, height and width as are asked for. */
export class AdaptiveMaxPool3d extends AdaptivePool {
  forward(x: Tensor): Tensor {
    return x.adaptiveMaxPool3d(this.outputSize);
  }
}
