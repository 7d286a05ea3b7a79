/** Ops that write elements at indexed places, and searches in sorted rows. */
import type { DType } from '../dtype.ts';
import { ShapeError, ValueError, type OperandInfo } from '../errors.ts';
import { normalizeAxis, sameShape, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { alongAxis, everyBatched } from './batch.ts';
import { distinct, factors, indexBelow, real } from './domains.ts';
import { anyDType, indices, numeric, refused } from './families.ts';
import { axisError, checkGather, indexDTypeErrors, sampleGather } from './indexing.ts';
import type { AttrValue, Domain, Draw, ErrorCase, StructuredRecord } from './record.ts';
import { views, type Range } from './views.ts';

interface ScatterOptions {
  readonly doc: string;
  readonly accepts: readonly DType[];
  readonly domain?: (draw: Draw) => Domain;
  readonly moves?: true;
}

/** x with elements of a source written along an axis at the places that an index of the source's shape names. */
function scattering({
  doc,
  accepts,
  domain = () => real,
  moves,
}: ScatterOptions): StructuredRecord<[x: Tensor, axis: number, index: Tensor, source: Tensor]> {
  const operands = (dtype: DType): ErrorCase['inputs'] => [
    { shape: [2, 3] },
    { shape: [2, 3], dtype: 'i32' },
    { shape: [2, 3], dtype },
  ];
  return {
    kind: 'structured',
    ...(moves && { moves }),
    doc,
    promote: 'common',
    promoted: [0, 2],
    accepts: [accepts, indices, accepts],
    call: (x, axis, index, source) => ({ inputs: [x, index, source], attrs: { axis } }),
    infer: (inputs, attrs, op) => {
      const axis = checkGather(op, inputs, attrs['axis']);
      if (!sameShape(inputs[1]!.shape, inputs[2]!.shape))
        throw new ShapeError(op, 'index and source must have one shape', { operands: inputs });
      return { shape: inputs[0]!.shape, dtype: inputs[0]!.dtype as DType, attrs: { axis } };
    },
    batch: alongAxis,
    sample: (draw) => {
      const { shape, axis, index } = sampleGather(draw);
      const values = domain(draw);
      return {
        inputs: [
          { shape, domain: values },
          { shape: index, dtype: 'i32', domain: indexBelow(shape[axis]!) },
          { shape: index, domain: values },
        ],
        attrs: { axis: draw.bool() ? axis : axis - shape.length },
      };
    },
    errors: [
      axisError(operands('f32')),
      {
        inputs: [{ shape: [2, 3] }, { shape: [2, 4], dtype: 'i32' }, { shape: [2, 4] }],
        attrs: { axis: 0 },
        error: 'ShapeError',
        says: 'no larger than the tensor outside axis 0',
      },
      {
        inputs: [{ shape: [2, 3] }, { shape: [2, 3], dtype: 'i32' }, { shape: [1, 3] }],
        attrs: { axis: 0 },
        error: 'ShapeError',
        says: 'must have one shape',
      },
      ...[3, -1].map((fill): ErrorCase => ({
        inputs: [{ shape: [2, 3] }, { shape: [2, 3], dtype: 'i32', fill }, { shape: [2, 3] }],
        attrs: { axis: 1 },
        error: 'IndexError',
        says: `index ${fill} is out of range for an axis of size 3`,
      })),
      ...indexDTypeErrors((dtype) => [{ shape: [2, 3] }, { shape: [2, 3], dtype }, { shape: [2, 3] }]),
      ...refused(accepts, operands).map((row) => ({ ...row, attrs: { axis: 0 } })),
    ],
    flops: (inputs) => sizeOf(inputs[2]!.shape),
  };
}

/** Small whole numbers, zero often among them. */
const counts: Domain = { min: -2, max: 2, integer: true };

const sliceScatter: StructuredRecord<[x: Tensor, source: Tensor, ranges: readonly (Range | null)[]]> = {
  kind: 'structured',
  moves: true,
  doc: 'x with `source` in the place of what slice(ranges) would read; the source has the shape of that.',
  promote: 'common',
  accepts: [anyDType],
  call: (x, source, ranges) => ({
    inputs: [x, source],
    attrs: { ranges: ranges.map((r) => r && [r[0] ?? null, r[1] ?? null, r[2] ?? 1]) },
  }),
  infer: (inputs, attrs, op) => {
    const [x, source] = inputs as [OperandInfo, OperandInfo];
    const sliced = views.slice.infer([x], attrs, op);
    if (!sameShape(sliced.shape, source.shape))
      throw new ShapeError(op, `the source must have shape [${sliced.shape.join(', ')}]`, {
        operands: inputs,
      });
    return { ...sliced, shape: x.shape };
  },
  batch: (call, run) => {
    const ranges = call.plan.attrs['ranges'] as readonly AttrValue[];
    return run(everyBatched(call), { ranges: [null, ...ranges] });
  },
  sample: (draw) => {
    const { inputs, attrs } = views.slice.sample(draw);
    const info = { shape: inputs[0]!.shape, dtype: 'f64' };
    const { shape } = views.slice.infer([info], attrs!, 'sliceScatter');
    return { inputs: [...inputs, { shape, domain: real }], attrs: attrs! };
  },
  errors: [
    {
      inputs: [{ shape: [4] }, { shape: [4] }],
      attrs: { ranges: [[0, 4, 2]] },
      error: 'ShapeError',
      says: 'must have shape [2]',
    },
    {
      inputs: [{ shape: [3] }, { shape: [3] }],
      attrs: { ranges: [null, null] },
      error: 'IndexError',
      says: '2 ranges for rank 1',
    },
    {
      inputs: [{ shape: [3] }, { shape: [2] }],
      attrs: { ranges: [[0, 2, 0]] },
      error: 'ValueError',
      says: 'step 0',
    },
  ],
  flops: () => 0,
};

export interface SearchOptions {
  /** Of equal elements: before the first (`left`), or after the last (`right`). Default left. */
  readonly side?: 'left' | 'right';
}

const searchSorted: StructuredRecord<[x: Tensor, values: Tensor, options?: SearchOptions]> = {
  kind: 'structured',
  doc: 'The positions, i32, at which values would keep x in order: x ascends along its last axis, of which each line serves the line of values in its place; a vector serves values of any shape. Of equal elements before the first, or with side `right` after the last; a NaN counts as largest.',
  promote: 'common',
  accepts: [numeric],
  call: (x, values, { side = 'left' } = {}) => ({ inputs: [x, values], attrs: { side } }),
  infer: (inputs, attrs, op) => {
    const [x, values] = inputs as [OperandInfo, OperandInfo];
    const { side } = attrs;
    if (side !== 'left' && side !== 'right')
      throw new ValueError(op, `side must be 'left' or 'right', got '${String(side)}'`, { operands: inputs });
    normalizeAxis(op, -1, x);
    const lead = x.shape.slice(0, -1);
    if (lead.length > 0 && !sameShape(lead, values.shape.slice(0, -1)))
      throw new ShapeError(op, 'sequences and values must have one shape but for the last axis', {
        operands: inputs,
        hint: 'a vector serves values of any shape',
      });
    return { shape: values.shape, dtype: 'i32', attrs: { side } };
  },
  batch: (call, run) => {
    const { plan, batched, size } = call;
    if (call.inputs[0]!.rank === 1 && !batched[0]) return run(call.inputs, plan.attrs);
    const [x, values] = everyBatched(call) as [Tensor, Tensor];
    if (x.rank > 2) return run([x, values], plan.attrs);
    const lines = values.reshape([size, size === 0 ? 0 : values.size / size]);
    return run([x, lines], plan.attrs).reshape([size, ...plan.shape]);
  },
  sample: (draw) => {
    const shape = draw.shape({ minRank: 1, maxSize: 6 });
    const values = shape.length > 1 ? [...shape.slice(0, -1), draw.int(1, 4)] : draw.shape({ maxRank: 2 });
    // Whole numbers meet: of equals, the sides differ.
    const domain: Domain = { ...real, integer: draw.bool() };
    return {
      inputs: [
        { shape, domain: { ...domain, sorted: true } },
        { shape: values, domain },
      ],
      attrs: { side: draw.pick(['left', 'right']) },
    };
  },
  errors: [
    {
      inputs: [{ shape: [2, 3] }, { shape: [3, 2] }],
      attrs: { side: 'left' },
      error: 'ShapeError',
      says: 'one shape but for the last axis',
    },
    {
      inputs: [{ shape: [2, 3] }, { shape: [] }],
      attrs: { side: 'left' },
      error: 'ShapeError',
      says: 'one shape but for the last axis',
    },
    {
      inputs: [{ shape: [] }, { shape: [2] }],
      attrs: { side: 'left' },
      error: 'IndexError',
      says: 'axis -1 is out of range for rank 0',
    },
    {
      inputs: [{ shape: [2] }, { shape: [2] }],
      attrs: { side: 'middle' },
      error: 'ValueError',
      says: "'left' or 'right'",
    },
    ...refused(numeric, (dtype) => [{ shape: [2], dtype }, { shape: [2] }]).map((row) => ({
      ...row,
      attrs: { side: 'left' },
    })),
  ],
  flops: ([x, values]) => sizeOf(values!.shape) * Math.ceil(Math.log2(1 + x!.shape.at(-1)!)),
};

export const scatters = {
  scatterAdd: scattering({
    doc: 'x with each element of `source` added at the place along an axis that the index names (PyTorch): out[index[i][j]][j] += source[i][j] for axis 0.',
    accepts: numeric,
  }),
  scatterSet: scattering({
    doc: 'x with each element of `source` in the place along an axis that the index names (PyTorch): out[index[i][j]][j] = source[i][j] for axis 0. Of several for one place the last in row-major order stays.',
    accepts: anyDType,
    moves: true,
  }),
  scatterMul: scattering({
    doc: 'x multiplied by each element of `source` at the place along an axis that the index names: out[index[i][j]][j] *= source[i][j] for axis 0.',
    accepts: numeric,
    domain: (draw) => draw.pick([factors, counts]),
  }),
  scatterMax: scattering({
    doc: 'The larger of x and all elements of `source` for its place, which the index names along an axis; a NaN counts as largest.',
    accepts: numeric,
    domain: () => distinct,
  }),
  scatterMin: scattering({
    doc: 'The smaller of x and all elements of `source` for its place, which the index names along an axis; a NaN counts as smallest.',
    accepts: numeric,
    domain: () => distinct,
  }),
  sliceScatter,
  searchSorted,
};
