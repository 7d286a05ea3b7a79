/** Cases of attention, held on wasm against the compositions in f64. */
import { apply, fromData, Key, scope, withBackend, type Attrs, type Tensor } from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { expect } from 'vitest';

/** Makes the same numbers for each backend and dtype. */
export class Numbers {
  readonly #dtype: 'f32' | 'f64';
  #seed: number;

  constructor(dtype: 'f32' | 'f64', seed: number) {
    this.#dtype = dtype;
    this.#seed = seed;
  }

  #draw(shape: readonly number[]): ArrayLike<number> {
    return withBackend('js', () => new Key(this.#seed++).normal(shape).dataSync());
  }

  normal(shape: readonly number[], spread = 1): Tensor {
    const values = Float32Array.from(this.#draw(shape), (x) => x * spread);
    return this.values(values, shape);
  }

  values(values: ArrayLike<number>, shape: readonly number[]): Tensor {
    const data = this.#dtype === 'f64' ? Float64Array.from(values) : Float32Array.from(values);
    return fromData(data, shape, { dtype: this.#dtype });
  }

  /** As `normal`, between columns of NaN. */
  amidNaN(shape: readonly number[]): Tensor {
    const [width, wide] = [shape.at(-1)!, shape.at(-1)! + 9];
    const inner = this.#draw(shape);
    const all = new Float32Array((inner.length / width) * wide).fill(NaN);
    for (let i = 0; i < inner.length; i++) all[Math.floor(i / width) * wide + 2 + (i % width)] = inner[i]!;
    const leading = shape.slice(0, -1);
    return this.values(all, [...leading, wide]).slice([...leading.map(() => null), [2, 2 + width]]);
  }

  /** About two thirds are true, and the lines from `hidden` on, one in three, are all false. */
  mask(shape: readonly number[], hidden = Infinity): Tensor {
    const width = shape.at(-1)!;
    const lineHidden = (line: number): boolean => line >= hidden && (line - hidden) % 3 === 0;
    const data = Uint8Array.from(this.#draw(shape), (x, i) =>
      x > -0.43 && !lineHidden(Math.floor(i / width)) ? 1 : 0,
    );
    return fromData(data, shape, { dtype: 'bool' });
  }
}

export interface Case {
  /** q, k, v and perhaps a mask. */
  readonly inputs: (numbers: Numbers) => Tensor[];
  readonly causal?: boolean;
  readonly scale?: number;
  readonly seed?: number;
  /** Relative to the largest number of the result. */
  readonly tolerance?: number;
}

const nothing = new Float32Array(300_000).fill(NaN);
/** Leaves NaN in free memory, large and small, where scratch memory is going to be. */
const litter = (): void =>
  scope(() => {
    for (const size of [300_000, 100_000, 30_000, 10_000, 3000, 1000])
      for (let i = 0; i < 4; i++) fromData(nothing.subarray(0, size), [size]);
  });

function largest(x: Tensor): number {
  let most = 1;
  for (const value of Array.from(x.dataSync())) most = Math.max(most, Math.abs(value));
  return most;
}

/** The result and the gradients on wasm, having held both against the compositions in f64. */
export function check({ inputs, causal = false, scale, seed = 1, tolerance = 4e-6 }: Case): number[][] {
  const attrs = (q: Tensor): Attrs => ({
    scale: scale ?? 1 / Math.sqrt(Math.max(1, q.shape.at(-1)!)),
    causal,
  });
  const exact = withBackend('js', () => {
    const tensors = inputs(new Numbers('f64', seed));
    const y = apply('attention', tensors, attrs(tensors[0]!));
    const g = new Numbers('f64', seed + 1000).normal(y.shape);
    // As f32 has it.
    const given = new Numbers('f64', 0).values(Float32Array.from(y.dataSync()), y.shape);
    return { y, grads: apply('attentionGrad', [g, given, ...tensors], attrs(tensors[0]!)) };
  });
  return withBackend('wasm', () => {
    const tensors = inputs(new Numbers('f32', seed));
    const before = tensors.map((x) => x.dataSync());
    litter();
    const y = apply('attention', tensors, attrs(tensors[0]!));
    expect(y.shape).toEqual(exact.y.shape);
    expectAllClose(y, Array.from(exact.y.dataSync()), {
      rtol: tolerance,
      atol: tolerance * largest(exact.y),
    });
    const g = new Numbers('f32', seed + 1000).normal(y.shape);
    const given = new Numbers('f32', 0).values(exact.y.dataSync(), y.shape);
    litter();
    const grads = apply('attentionGrad', [g, given, ...tensors], attrs(tensors[0]!));
    expectAllClose(grads, Array.from(exact.grads.dataSync()), {
      rtol: tolerance,
      atol: tolerance * largest(exact.grads),
    });
    tensors.forEach((x, i) => expect(x.dataSync()).toEqual(before[i]));
    return [Array.from(y.dataSync()), Array.from(grads.dataSync())];
  });
}

/** [lead, T, d], [lead, S, d], [lead, S, dv] */
export const plain =
  (lead: readonly number[], t: number, s: number, d: number, dv: number) =>
  (numbers: Numbers): Tensor[] => [
    numbers.normal([...lead, t, d]),
    numbers.normal([...lead, s, d]),
    numbers.normal([...lead, s, dv]),
  ];
