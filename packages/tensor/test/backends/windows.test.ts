/** Convolutions on wasm against the reference, at sizes at which samples are gone over in several runs, and in every layout. */
import {
  apply,
  fromData,
  getBackend,
  Key,
  withBackend,
  type Attrs,
  type Shape,
  type Tensor,
} from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';

interface Size {
  readonly name: string;
  readonly x: Shape;
  readonly w: Shape;
  readonly y: Shape;
  readonly attrs: Attrs;
}

const attrs = (
  stride: number[],
  padding: number[][],
  dilation: number[],
  groups: number,
  size: number[],
  kernel: number[],
): Attrs => ({ stride, padding, dilation, groups, size, kernel });

const sizes: Size[] = [
  {
    name: 'one run of all samples',
    x: [3, 4, 9, 11],
    w: [6, 4, 3, 3],
    y: [3, 6, 9, 11],
    attrs: attrs(
      [1, 1],
      [
        [1, 1],
        [1, 1],
      ],
      [1, 1],
      1,
      [9, 11],
      [3, 3],
    ),
  },
  {
    name: 'several runs, the last one shorter',
    x: [5, 32, 32, 32],
    w: [4, 32, 3, 3],
    y: [5, 4, 30, 30],
    attrs: attrs(
      [1, 1],
      [
        [0, 0],
        [0, 0],
      ],
      [1, 1],
      1,
      [32, 32],
      [3, 3],
    ),
  },
  {
    name: 'several runs, framed, strided, dilated, grouped',
    x: [3, 64, 61, 63],
    w: [4, 32, 3, 5],
    y: [3, 4, 31, 19],
    attrs: attrs(
      [2, 3],
      [
        [1, 2],
        [0, 1],
      ],
      [1, 2],
      2,
      [61, 63],
      [3, 5],
    ),
  },
  {
    name: 'a group for each channel',
    x: [2, 16, 20, 20],
    w: [32, 1, 3, 3],
    y: [2, 32, 20, 20],
    attrs: attrs(
      [1, 1],
      [
        [1, 1],
        [1, 1],
      ],
      [1, 1],
      16,
      [20, 20],
      [3, 3],
    ),
  },
  {
    name: 'one element at a time',
    x: [4, 16, 8, 8],
    w: [8, 8, 1, 1],
    y: [4, 8, 8, 8],
    attrs: attrs(
      [1, 1],
      [
        [0, 0],
        [0, 0],
      ],
      [1, 1],
      2,
      [8, 8],
      [1, 1],
    ),
  },
  {
    name: 'three axes',
    x: [2, 3, 6, 7, 8],
    w: [4, 3, 2, 3, 2],
    y: [2, 4, 7, 3, 4],
    attrs: attrs(
      [1, 2, 2],
      [
        [1, 1],
        [0, 0],
        [1, 0],
      ],
      [1, 1, 1],
      1,
      [6, 7, 8],
      [2, 3, 2],
    ),
  },
  {
    name: 'four axes',
    x: [1, 2, 3, 4, 3, 5],
    w: [3, 2, 2, 3, 2, 2],
    y: [1, 3, 2, 2, 3, 4],
    attrs: attrs(
      [1, 1, 1, 1],
      [
        [0, 0],
        [0, 0],
        [1, 0],
        [0, 0],
      ],
      [1, 1, 1, 1],
      1,
      [3, 4, 3, 5],
      [2, 3, 2, 2],
    ),
  },
];

const key = new Key(0);
const drawn = (shape: Shape, seed: number): Tensor => key.foldIn(seed).normal(shape);
/** The same numbers lying the other way round. */
const turned = (x: Tensor): Tensor => {
  const axes = x.shape.map((_, i) => x.rank - 1 - i);
  return x.permute(axes).clone().permute(axes);
};

function expectAgreement(op: 'convolution' | 'convolutionTranspose' | 'convolutionWeight', size: Size): void {
  const shapes = {
    convolution: [size.x, size.w],
    convolutionTranspose: [size.y, size.w],
    convolutionWeight: [size.x, size.y],
  }[op];
  const [a, b] = shapes.map(drawn) as [Tensor, Tensor];
  expect(a.backend.name).toBe('wasm');
  expect(getBackend('wasm').lacks(op, 'f32')).toBeNull();
  const expected = withBackend('js', () => {
    const [x, y] = [a, b].map((t) => fromData(Float64Array.from(t.dataSync()), t.shape)) as [Tensor, Tensor];
    return apply(op, [x, y], size.attrs);
  });
  const scale = expected.square().mean().sqrt().itemSync() as number;
  for (const inputs of [
    [a, b],
    [turned(a), turned(b)],
  ]) {
    const actual = apply(op, inputs, size.attrs);
    expect(actual.dtype).toBe('f32');
    expect(actual.shape).toEqual(expected.shape);
    expectAllClose(actual, Array.from(expected.dataSync()), { rtol: 1e-5, atol: 1e-5 * scale });
  }
}

describe.each(sizes)('$name', (size) => {
  it('forward', () => expectAgreement('convolution', size));
  it('with respect to the input', () => expectAgreement('convolutionTranspose', size));
  it('with respect to the weight', () => expectAgreement('convolutionWeight', size));
});

it.each([
  ['no samples', [0, 2, 5], [3, 2, 2], [0, 3, 4]],
  ['no channels', [2, 0, 5], [3, 0, 2], [2, 3, 4]],
  ['no outputs', [2, 2, 5], [0, 2, 2], [2, 0, 4]],
])('%s: zeros, as many as there should be', (_, x, w, y) => {
  const plain = attrs([1], [[0, 0]], [1], 1, [5], [2]);
  for (const dtype of ['f32', 'f64'] as const) {
    const like = (shape: Shape): Tensor => drawn(shape, 0).cast(dtype);
    const results = [
      [apply('convolution', [like(x), like(w)], plain), y],
      [apply('convolutionTranspose', [like(y), like(w)], plain), x],
      [apply('convolutionWeight', [like(x), like(y)], plain), w],
    ] as const;
    for (const [actual, shape] of results) {
      expect(actual.shape).toEqual(shape);
      expect(Array.from(actual.dataSync()).every((v) => v === 0)).toBe(true);
    }
  }
});
