/** Rotary position embedding (RoFormer, arXiv 2104.09864), in the rotate-half layout of LLaMA and Hugging Face. */
import { DTypeError, fromData, isFloat, pin, ShapeError, ValueError, type Tensor } from '@infinigrad/tensor';

/** Tables up to this many positions are kept; further ones are made for the call. */
const keptPositions = 2 ** 16;

/** Cosines and sines, each [positions, headDim / 2]. */
interface Tables {
  readonly positions: number;
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/**
 * Turns the pair (x_i, x_{i + d/2}) at position t by the angle t · base^(-2i/d), so that scalar products of queries
 * and keys depend on their distance alone.
 */
export class RotaryEmbedding {
  readonly headDim: number;
  readonly base: number;
  /** By backend and dtype. */
  readonly #tables = new Map<string, Tables>();

  /** @param headDim even; base: default 10000 */
  constructor(headDim: number, { base = 10000 }: { readonly base?: number } = {}) {
    if (!Number.isInteger(headDim) || headDim < 2 || headDim % 2 !== 0)
      throw new ValueError('RotaryEmbedding', `headDim must be an even integer ≥ 2, got ${headDim}`);
    if (!(base > 0 && base < Infinity))
      throw new ValueError('RotaryEmbedding', `base must be a number > 0, got ${base}`);
    this.headDim = headDim;
    this.base = base;
  }

  /**
   * @param x [..., T, headDim]
   * @param offset the position of the first of the T vectors. Default 0
   * @returns x turned, of the same shape
   */
  apply(x: Tensor, offset = 0): Tensor {
    const { headDim } = this;
    if (x.rank < 2 || x.shape.at(-1) !== headDim)
      throw new ShapeError('RotaryEmbedding', `needs [..., T, ${headDim}]`, { operands: [x] });
    if (!isFloat(x.dtype))
      throw new DTypeError('RotaryEmbedding', 'needs a floating-point tensor', { operands: [x] });
    if (!Number.isInteger(offset) || offset < 0)
      throw new ValueError('RotaryEmbedding', `the offset must be an integer ≥ 0, got ${offset}`);
    const { cos, sin } = this.at(x, offset, x.shape.at(-2)!);
    return x.rotary(cos, sin);
  }

  private at(x: Tensor, offset: number, length: number): { cos: Tensor; sin: Tensor } {
    const end = offset + length;
    if (end > keptPositions) return this.tables(x, offset, length);
    const name = `${x.backend.name}/${x.dtype}`;
    let kept = this.#tables.get(name);
    if (!kept || kept.positions < end) {
      kept = this.tables(x, 0, Math.max(end, 2 * (kept?.positions ?? 0)));
      for (const table of [kept.cos, kept.sin]) pin(table);
      this.#tables.set(name, kept);
    }
    return { cos: kept.cos.narrow(0, offset, length), sin: kept.sin.narrow(0, offset, length) };
  }

  /** Computed in f64, whatever the dtype they end in. */
  private tables({ dtype, backend }: Tensor, offset: number, positions: number): Tables {
    const { headDim, base } = this;
    const half = headDim / 2;
    const cos = new Float64Array(positions * half);
    const sin = new Float64Array(positions * half);
    for (let i = 0; i < half; i++) {
      const frequency = base ** ((-2 * i) / headDim);
      for (let t = 0; t < positions; t++) {
        const angle = (offset + t) * frequency;
        cos[t * half + i] = Math.cos(angle);
        sin[t * half + i] = Math.sin(angle);
      }
    }
    const shape = [positions, half];
    return {
      positions,
      cos: fromData(cos, shape, { dtype, backend }),
      sin: fromData(sin, shape, { dtype, backend }),
    };
  }
}
