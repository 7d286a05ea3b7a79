/** Training with activations and weights of 16 bits beside parameters of 32. */
import { DTypeError, isFloat, isHalf, ValueError, type FloatDType, type Tensor } from '@infinigrad/tensor';
import { checkCount } from '../data/cursor.ts';
import type { Json } from '../data/source.ts';
import { functionalCall } from '../functional-call.ts';
import type { Module } from '../module.ts';
import { gradNorm } from '../optim/clip.ts';
import type { Optimizer } from '../optim/optimizer.ts';

export interface MixedPrecisionOptions {
  /** What weights and activations are stored in. */
  readonly dtype: 'bf16' | 'f16';
  /** Parameters that stay as they are, by name. Default: none. */
  readonly except?: (name: string) => boolean;
  /**
   * What gradients are multiplied by on their way, so that small ones are not lost in f16. Default 2¹⁵ for f16, 1 for bf16, which has
   * the range of f32.
   */
  readonly lossScale?: number;
  /** Halve the scale where gradients overflow, and double it after `growthInterval` steps without. Default: for f16. */
  readonly dynamic?: boolean;
  /** Default 2000. */
  readonly growthInterval?: number;
}

/**
 * A model's parameters stay what they are, f32, and are what the optimizer updates. A step computes with copies of them in 16 bits,
 * so that activations are of 16 bits too; the gradients arrive in f32. What is computed is computed in f32 (see the
 * guide on dtypes): this saves memory, not time. A dynamic loss scale reads the gradients' norm, which only backends in
 * this process can; elsewhere set `dynamic: false`.
 */
export class MixedPrecision {
  readonly dtype: 'bf16' | 'f16';
  readonly dynamic: boolean;
  readonly #except: (name: string) => boolean;
  readonly #growthInterval: number;
  #scale: number;
  #goodSteps = 0;

  /** @throws ValueError for settings out of range */
  constructor({ dtype, except = () => false, ...options }: MixedPrecisionOptions) {
    const op = 'MixedPrecision';
    if (dtype !== 'bf16' && dtype !== 'f16')
      throw new ValueError(op, `dtype must be bf16 or f16, got '${String(dtype)}'`);
    const {
      lossScale = dtype === 'f16' ? 2 ** 15 : 1,
      dynamic = dtype === 'f16',
      growthInterval = 2000,
    } = options;
    if (!(lossScale >= 1 && lossScale < Infinity))
      throw new ValueError(op, `lossScale must be a number ≥ 1, got ${lossScale}`);
    checkCount(op, 'growthInterval', growthInterval);
    this.dtype = dtype;
    this.dynamic = dynamic;
    this.#except = except;
    this.#growthInterval = growthInterval;
    this.#scale = lossScale;
  }

  /** What gradients are multiplied by on their way. */
  get scale(): number {
    return this.#scale;
  }

  /** A floating tensor in this dtype; all others as they are. */
  lower(x: Tensor): Tensor {
    return isFloat(x.dtype) && x.dtype !== this.dtype ? x.cast(this.dtype) : x;
  }

  /** Calls `f` with the model's parameters in 16 bits; gradients go to the model's own. */
  run<M extends Module, T>(model: M, f: (model: M) => T): T {
    const lowered = [...model.namedParameters()]
      .filter(([name]) => !this.#except(name))
      .map(([name, parameter]) => [name, this.lower(parameter)] as const);
    return functionalCall(model, Object.fromEntries(lowered), f);
  }

  /** @throws DTypeError for a loss of f16, which the scale would overflow */
  checkLoss(loss: Tensor): void {
    if (this.#scale > 1 && isHalf(loss.dtype as FloatDType))
      throw new DTypeError('MixedPrecision', 'the loss must be of f32, for its scale', {
        operands: [loss],
        hint: "compute it from logits.cast('f32')",
      });
  }

  /**
   * Whether the gradients are good for a step. Where they are not, the scale is halved.
   * @throws ValueError where the scale is dynamic and gradients cannot be read, or where they overflow without it
   */
  accept(optimizer: Optimizer<any>): boolean {
    if (!this.dynamic) return true;
    const held = optimizer.parameters.filter(({ grad }) => grad !== null);
    if (held.some(({ backend }) => !backend.synchronous))
      throw new ValueError(
        'MixedPrecision',
        'a dynamic loss scale reads gradients, which this backend cannot at once',
        {
          hint: 'dynamic: false keeps lossScale as it is',
        },
      );
    if (Number.isFinite(gradNorm(held))) {
      this.#goodSteps++;
      if (this.#goodSteps >= this.#growthInterval) {
        this.#scale *= 2;
        this.#goodSteps = 0;
      }
      return true;
    }
    // Without a scale it is not the scale's doing: the optimizer tells where it is.
    if (this.#scale === 1) return true;
    this.#scale = Math.max(1, this.#scale / 2);
    this.#goodSteps = 0;
    return false;
  }

  state(): Json {
    return { scale: this.#scale, goodSteps: this.#goodSteps };
  }

  /** @throws ValueError for what is no state */
  load(state: Json): void {
    const { scale, goodSteps } = (state ?? {}) as { scale?: unknown; goodSteps?: unknown };
    if (!(typeof scale === 'number' && scale >= 1 && Number.isInteger(goodSteps)))
      throw new ValueError('MixedPrecision.load', `not a state of a loss scale: ${JSON.stringify(state)}`);
    this.#scale = scale;
    this.#goodSteps = goodSteps as number;
  }
}
