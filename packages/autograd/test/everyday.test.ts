/** Gradients, first and second, of pieces, statistics, distances, signals and grids against finite differences. */
import { gradcheck } from '@infinigrad/autograd';
import { fromData, tensor, type Tensor } from '@infinigrad/tensor';
import { describe, it } from 'vitest';

/** Numbers that lie apart, and away from whole ones. */
const drawn = (shape: readonly number[], scale = 1): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  const values = Float64Array.from(
    { length: size },
    (_, i) => scale * (((i * 0.618034 + 0.271) % 1) * 2 - 1),
  );
  return fromData(values, shape);
};

const x = drawn([3, 4]);
const y = drawn([2, 4], 0.9);
const index = tensor(
  [
    [0, 2, 2],
    [1, 1, 3],
    [0, 0, 0],
  ],
  { dtype: 'i32' },
);
const source = drawn([3, 3], 0.7);
const [image, grid] = [drawn([1, 2, 3, 4]), drawn([1, 2, 3, 2], 1.3)];

const functions: [string, (...inputs: Tensor[]) => Tensor, Tensor[]][] = [
  ['cov', (a) => a!.cov(), [x]],
  ['corrcoef', (a) => a!.corrcoef(), [x]],
  ['nanMean', (a) => a!.nanMean(0), [x]],
  ['normalize', (a) => a!.normalize(0), [x]],
  ['cosineSimilarity', (a, b) => a!.at(':2').get().cosineSimilarity(b!), [x, y]],
  ['cdist', (a, b) => a!.cdist(b!), [x, y]],
  ['dct', (a) => a!.dct(0, 'ortho').square(), [x]],
  ['idct', (a) => a!.idct().square(), [x]],
  ['trapezoid', (a, b) => a!.at(':2').get().trapezoid(b!), [x, y]],
  ['unbind and chunk', (a) => a!.unbind(1)[2]!.square().add(a!.chunk(2, 1)[0]!.prod(1)), [x]],
  ['diff', (a, b) => a!.diff(2, 0, { prepend: b! }).square(), [x, y]],
  ['prelu', (a, b) => a!.prelu(b!), [x, drawn([4])]],
  ...(['add', 'mul', 'max', 'min', 'mean'] as const).flatMap((reduce) =>
    [true, false].map((includeSelf): (typeof functions)[number] => [
      `scatter, ${reduce}, ${includeSelf ? 'with' : 'without'} what was there`,
      (a, b) => a!.scatter(1, index, b!, { reduce, includeSelf }).square(),
      [x, source],
    ]),
  ),
  ...(['zeros', 'border', 'reflection'] as const).map((padding): (typeof functions)[number] => [
    `gridSample, ${padding}`,
    (a, b) => a!.gridSample(b!, { padding }),
    [image, grid],
  ]),
  ['affineGrid', (a) => a!.affineGrid([2, 3]).square(), [drawn([2, 2, 3])]],
];

describe.each(functions)('%s', (_, f, inputs) => {
  it('first', () => gradcheck(f, inputs));
  it('second', () => gradcheck(f, inputs, { order: 2 }));
});
