/** Branches beside the main line, normalised before or after. */
import { full, ShapeError, ValueError, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import { checkSizes } from '../init.ts';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';
import { DropPath } from './dropout.ts';
import { callLayer, type Layer } from './layer.ts';

/** x times a learnt vector along the last axis (arXiv 2103.17239, eq. 4). */
export class LayerScale extends Module {
  /** [dim]. */
  readonly weight: Parameter;

  /** @param initial default 1e-4; dtype: default f32 */
  constructor(
    dim: number,
    { initial = 1e-4, dtype = 'f32' }: { readonly initial?: number; readonly dtype?: FloatDType } = {},
  ) {
    super();
    checkSizes('LayerScale', { dim });
    this.weight = new Parameter(full([dim], initial, { dtype }));
  }

  /** @throws ShapeError where the last axis is not of size dim */
  forward(x: Tensor): Tensor {
    if (x.shape.at(-1) !== this.weight.size)
      throw new ShapeError('LayerScale', `the last axis must have size ${this.weight.size}`, {
        operands: [x, this.weight],
      });
    return x.mul(this.weight);
  }
}

export interface ResidualOptions {
  /** Default none. */
  readonly norm?: Layer;
  /** `pre`: x + inner(norm(x)), the default; `post`: norm(x + inner(x)). */
  readonly placement?: 'pre' | 'post';
  /** Applied to what the inner layer gives (`LayerScale`). Default none. */
  readonly scale?: Layer;
  /** Probability with which examples go without the branch in training (`DropPath`). Default 0. */
  readonly dropPath?: number;
}

/** A branch beside the main line: x + dropPath(scale(inner(norm(x)))). */
export class Residual extends Module {
  readonly takesKey = true as const;
  readonly norm: Layer | null;
  readonly inner: Layer;
  readonly scale: Layer | null;
  readonly dropPath: DropPath | null;
  readonly placement: 'pre' | 'post';

  /** @throws ValueError for another placement */
  constructor(inner: Layer, { norm, placement = 'pre', scale, dropPath = 0 }: ResidualOptions = {}) {
    super();
    if (placement !== 'pre' && placement !== 'post')
      throw new ValueError('Residual', `placement must be pre or post, got '${String(placement)}'`);
    this.norm = norm ?? null;
    this.inner = inner;
    this.scale = scale ?? null;
    this.dropPath = dropPath === 0 ? null : new DropPath(dropPath);
    this.placement = placement;
  }

  /**
   * @param key for inner layers that draw, and for dropPath
   * @throws ShapeError where the inner layer does not keep the shape
   */
  forward(x: Tensor, key?: Key): Tensor {
    const { norm, inner, scale, dropPath, placement } = this;
    const before = norm && placement === 'pre' ? norm.forward(x) : x;
    const branch = callLayer(inner, before, key?.foldIn(0));
    if (branch.rank !== x.rank || branch.shape.some((n, i) => n !== x.shape[i]))
      throw new ShapeError('Residual', 'the inner layer must keep the shape', { operands: [x, branch] });
    const scaled = scale ? scale.forward(branch) : branch;
    const sum = x.add(dropPath ? dropPath.forward(scaled, key?.foldIn(1)) : scaled);
    return norm && placement === 'post' ? norm.forward(sum) : sum;
  }
}
