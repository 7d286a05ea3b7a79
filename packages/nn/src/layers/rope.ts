/** Rotary position embedding (Su et al., arXiv 2104.09864), in the rotate-half convention of LLaMA and Hugging Face. */
import { concat, fromData, isFloat, ShapeError, ValueError, type DType, type Tensor } from '@infinigrad/tensor';

/**
 * Rotates the pairs (i, i + d/2) of each vector by position · base^(-2i/d), so that scalar products depend on
 * positions through their difference alone.
 */
export class RotaryEmbedding {
  readonly headDim: number;
  readonly base: number;
  private readonly tables = new Map<string, { cos: Tensor; sin: Tensor }>();

  /** @param options.base default 10000 */
  constructor(headDim: number, { base = 10000 }: { readonly base?: number } = {}) {
    if (!Number.isInteger(headDim) || headDim < 2 || headDim % 2 !== 0)
      throw new ValueError('RotaryEmbedding', `headDim must be an even integer ≥ 2, got ${headDim}`);
    this.headDim = headDim;
    this.base = base;
  }

  /** x [..., length, headDim], whose first vector stands at position `offset`. */
  apply(x: Tensor, offset = 0): Tensor {
    const { headDim } = this;
    if (x.rank < 2 || x.shape.at(-1) !== headDim)
      throw new ShapeError('RotaryEmbedding', `needs [..., length, ${headDim}]`, { operands: [x] });
    const { cos, sin } = this.table(x.shape.at(-2)!, offset, x.dtype);
    const half = headDim / 2;
    const [first, second] = [x.narrow(-1, 0, half), x.narrow(-1, half, half)];
    return x.mul(cos).add(concat([second.neg(), first], -1).mul(sin));
  }

  /** cos and sin, [length, headDim], computed in f64. */
  private table(length: number, offset: number, dtype: DType): { cos: Tensor; sin: Tensor } {
    const kind = isFloat(dtype) ? dtype : 'f32';
    const name = `${length} ${offset} ${kind}`;
    let table = this.tables.get(name);
    if (!table) {
      const { headDim, base } = this;
      const half = headDim / 2;
      const angles = Float64Array.from({ length: length * headDim }, (_, k) => {
        const i = (k % headDim) % half;
        return (offset + Math.floor(k / headDim)) * base ** ((-2 * i) / headDim);
      });
      const of = (f: (x: number) => number): Tensor => fromData(angles.map(f), [length, headDim], { dtype: kind });
      if (this.tables.size >= 64) this.tables.clear();
      this.tables.set(name, (table = { cos: of(Math.cos), sin: of(Math.sin) }));
    }
    return table;
  }
}
