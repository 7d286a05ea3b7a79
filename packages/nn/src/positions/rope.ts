/** Rotary position embedding (RoFormer, arXiv 2104.09864). */
import {
  concat,
  DTypeError,
  fromData,
  isFloat,
  pin,
  ShapeError,
  ValueError,
  type FloatDType,
  type Tensor,
} from '@infinigrad/tensor';
import { checkPositions, knownPositions, type Positions } from './positions.ts';
import { checkScaling, frequenciesName, ropeFrequencies, type RopeScaling } from './rope-scaling.ts';

/** Tables up to this many positions are kept; further ones are made for the call. */
const keptPositions = 2 ** 16;

/** Cosines and sines, each [positions, rotaryDim / 2]. */
interface Angles {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

interface Tables extends Angles {
  readonly positions: number;
}

export interface RotaryOptions {
  /** Default 10000. */
  readonly base?: number | undefined;
  /** The first so many dimensions are turned, the others left alone. Even. Default headDim. */
  readonly rotaryDim?: number | undefined;
  /** Pairs are (x_2i, x_2i+1), as in the paper and in GPT-J, rather than (x_i, x_i+d/2), as in LLaMA. Default false. */
  readonly interleaved?: boolean | undefined;
  /** Default null: none. */
  readonly scaling?: RopeScaling | null | undefined;
}

/**
 * Turns the pair (x_i, x_{i + d/2}) at position t by the angle t · base^(-2i/d), so that scalar products of queries
 * and keys depend on their distance alone.
 */
export class RotaryEmbedding {
  readonly headDim: number;
  readonly base: number;
  readonly rotaryDim: number;
  readonly interleaved: boolean;
  readonly scaling: RopeScaling | null;
  /** By backend, dtype and frequencies. */
  readonly #tables = new Map<string, Tables>();

  /**
   * @param headDim even
   * @throws ValueError for sizes and scalings that turn nothing
   */
  constructor(
    headDim: number,
    { base = 10000, rotaryDim = headDim, interleaved = false, scaling = null }: RotaryOptions = {},
  ) {
    if (!Number.isInteger(headDim) || headDim < 2 || headDim % 2 !== 0)
      throw new ValueError('RotaryEmbedding', `headDim must be an even integer ≥ 2, got ${headDim}`);
    if (!(base > 0 && base < Infinity))
      throw new ValueError('RotaryEmbedding', `base must be a number > 0, got ${base}`);
    if (!Number.isInteger(rotaryDim) || rotaryDim < 2 || rotaryDim % 2 !== 0 || rotaryDim > headDim)
      throw new ValueError(
        'RotaryEmbedding',
        `rotaryDim must be an even integer from 2 to ${headDim}, got ${rotaryDim}`,
      );
    if (scaling) checkScaling(rotaryDim, scaling);
    this.headDim = headDim;
    this.base = base;
    this.rotaryDim = rotaryDim;
    this.interleaved = interleaved;
    this.scaling = scaling;
  }

  /**
   * @param x [..., T, headDim]; with positions for each row, its first axis is the batch
   * @param positions where the T vectors stand. Default 0: from the start
   * @param length tokens of the whole sequence; scalings that depend on it look at it. Default: up to the last position
   * @returns x turned, of the same shape
   * @throws ShapeError, DTypeError, ValueError for tensors and positions that do not fit
   */
  apply(x: Tensor, positions: Positions = 0, length?: number): Tensor {
    const { headDim, rotaryDim } = this;
    if (x.rank < 2 || x.shape.at(-1) !== headDim)
      throw new ShapeError('RotaryEmbedding', `needs [..., T, ${headDim}]`, { operands: [x] });
    if (!isFloat(x.dtype))
      throw new DTypeError('RotaryEmbedding', 'needs a floating-point tensor', { operands: [x] });
    checkPositions('RotaryEmbedding', positions, x.shape.at(-2)!, x.rank > 2 ? x.shape[0]! : null);
    const angles = this.#angles(x, positions, length);
    if (rotaryDim === headDim) return this.#turned(x, angles);
    const [turning, rest] = x.split([rotaryDim, headDim - rotaryDim], -1) as [Tensor, Tensor];
    return concat([this.#turned(turning, angles), rest], -1);
  }

  #turned(x: Tensor, { cos, sin }: Angles): Tensor {
    const half = this.rotaryDim / 2;
    if (!this.interleaved) return turnedHalves(x, cos, sin);
    const lead = x.shape.slice(0, -1);
    const parted = x
      .reshape([...lead, half, 2])
      .transpose()
      .reshape(x.shape);
    return turnedHalves(parted, cos, sin)
      .reshape([...lead, 2, half])
      .transpose()
      .reshape(x.shape);
  }

  /** Cosines and sines [T, rotaryDim / 2], or of each row [batch, T, rotaryDim / 2]. */
  #angles(x: Tensor, positions: Positions, length: number | undefined): Angles {
    const count = x.shape.at(-2)!;
    if (typeof positions === 'number') {
      const end = positions + count;
      const kept = this.#kept(x, end, length ?? end);
      if (!kept) return this.#made(x, range(positions, end), [count], length ?? end);
      return { cos: kept.cos.narrow(0, positions, count), sin: kept.sin.narrow(0, positions, count) };
    }
    const known = knownPositions(positions, count);
    if (!known) return this.#computed(x, positions as Tensor, length);
    const { numbers, shape } = known;
    const least = numbers.reduce((low, t) => Math.min(low, t), 0);
    if (least < 0) throw new ValueError('RotaryEmbedding', `positions must be ≥ 0, got ${least}`);
    const end = numbers.reduce((most, t) => Math.max(most, t + 1), 1);
    const kept = this.#kept(x, end, length ?? end);
    if (!kept) return this.#made(x, numbers, shape, length ?? end);
    const index = fromData(numbers, shape, { backend: x.backend });
    return { cos: kept.cos.indexSelect(0, index), sin: kept.sin.indexSelect(0, index) };
  }

  /** Tables of positions from 0 to at least `end`; null where they are not worth keeping. */
  #kept(x: Tensor, end: number, length: number): Tables | null {
    const frequencies = frequenciesName(this.scaling, length);
    if (end > keptPositions || frequencies === null) return null;
    const name = `${x.backend.name}/${x.dtype}/${frequencies}`;
    const before = this.#tables.get(name);
    if (before && before.positions >= end) return before;
    const positions = Math.max(end, 2 * (before?.positions ?? 0));
    const kept = { ...this.#made(x, range(0, positions), [positions], length), positions };
    for (const table of [kept.cos, kept.sin]) pin(table);
    this.#tables.set(name, kept);
    return kept;
  }

  /** Computed in f64, whatever the dtype they end in. */
  #made({ dtype, backend }: Tensor, numbers: Int32Array, shape: readonly number[], length: number): Angles {
    const { frequencies, attentionFactor } = ropeFrequencies(this.rotaryDim, this.base, this.scaling, length);
    const half = frequencies.length;
    const cos = new Float64Array(numbers.length * half);
    const sin = new Float64Array(numbers.length * half);
    numbers.forEach((t, n) =>
      frequencies.forEach((frequency, i) => {
        cos[n * half + i] = attentionFactor * Math.cos(t * frequency);
        sin[n * half + i] = attentionFactor * Math.sin(t * frequency);
      }),
    );
    const table = (data: Float64Array): Tensor => fromData(data, [...shape, half], { dtype, backend });
    return { cos: table(cos), sin: table(sin) };
  }

  /** Where positions cannot be read at once: on their backend, in x's dtype. */
  #computed({ dtype, backend }: Tensor, positions: Tensor, length: number | undefined): Angles {
    if (length === undefined && frequenciesName(this.scaling, Infinity) !== 'any')
      throw new ValueError(
        'RotaryEmbedding',
        `the scaling '${this.scaling!.type}' needs to know the length, and the positions cannot be read at once`,
        { hint: 'pass the length, or positions as numbers' },
      );
    const { frequencies, attentionFactor } = ropeFrequencies(
      this.rotaryDim,
      this.base,
      this.scaling,
      length ?? 0,
    );
    const angles = positions
      .cast(dtype as FloatDType)
      .unsqueeze(-1)
      .mul(fromData(frequencies, [frequencies.length], { dtype, backend }));
    const scaled = (y: Tensor): Tensor => (attentionFactor === 1 ? y : y.mul(attentionFactor));
    return { cos: scaled(angles.cos()), sin: scaled(angles.sin()) };
  }
}

const range = (from: number, to: number): Int32Array =>
  Int32Array.from({ length: to - from }, (_, i) => from + i);

/** x [..., T, d] by angles [T, d/2], or x [batch, ..., T, d] by angles [batch, T, d/2]. */
function turnedHalves(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
  if (cos.rank === 2) return x.rotary(cos, sin);
  const [batch, length, half] = cos.shape as readonly [number, number, number];
  const shape = [batch, ...new Array<number>(x.rank - 3).fill(1), length, half];
  const [c, s] = [cos.reshape(shape), sin.reshape(shape)];
  const [a, b] = x.split([half, half], -1) as [Tensor, Tensor];
  return concat([a.mul(c).sub(b.mul(s)), b.mul(c).add(a.mul(s))], -1);
}
