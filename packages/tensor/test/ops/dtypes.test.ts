/** Which dtype an op computes in, and which its result has, from the promotion rule alone. */
import {
  apply,
  dtypes,
  intercept,
  isFloat,
  opNames,
  recordOf,
  type DType,
  type OpCall,
} from '@infinigrad/tensor';
import { drawFrom, fillSample } from '@infinigrad/tensor/testing';
import { inputsOf } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from '../support.ts';

/** The documented order, written down once more; what stands beside each other meets in the next. */
const order: readonly (readonly DType[])[] = [['bool'], ['u8'], ['i32'], ['f16', 'bf16'], ['f32'], ['f64']];
const place = (dtype: DType): number => order.findIndex((level) => level.includes(dtype));
const higher = (a: DType, b: DType): DType =>
  place(a) === place(b) ? (a === b ? a : order[place(a) + 1]![0]!) : place(a) > place(b) ? a : b;
const half = (dtype: DType): boolean => dtype === 'f16' || dtype === 'bf16';

it.each(opNames)('%s computes in the dtype that its promotion rule gives', (op) => {
  const record = recordOf(op);
  const { accepts, promote } = record;
  const property = fc.property(fc.gen(), (g) => {
    const draw = drawFrom(g);
    const sample = record.sample(draw);
    const typed = sample.inputs.map((spec, i) => ({
      ...spec,
      dtype:
        spec.dtype === undefined || spec.dtype === 'i32'
          ? draw.pick(accepts[Math.min(i, accepts.length - 1)]!)
          : spec.dtype,
    }));
    const inputs = inputsOf(fillSample(g, op, { ...sample, inputs: typed }));
    let seen: OpCall | undefined;
    const stop = intercept((call, next) => {
      if (call.op === op) seen = call;
      return next(call);
    });
    try {
      const output = apply(op, inputs, sample.attrs ?? {});
      const takesPart = inputs.filter((_, i) => record.promoted?.includes(i) ?? true).map((x) => x.dtype);
      const common = takesPart.reduce(higher);
      const computed = {
        none: inputs[0]!.dtype,
        common,
        number: common === 'bool' ? 'i32' : common,
        total: higher(common, 'i32'),
        float: half(common) ? common : higher(common, 'f32'),
      }[promote];
      const met = inputs.map((x, i) =>
        promote !== 'none' && (record.promoted?.includes(i) ?? true) ? computed : x.dtype,
      );
      // 16 bits are storage: they are moved as they are, and computed with in f32.
      const moved = record.moves === true || record.kind === 'view';
      expect(seen!.inputs.map((x) => x.dtype)).toEqual(
        met.map((dtype) => (half(dtype) && !moved ? 'f32' : dtype)),
      );
      const infos = inputs.map(({ shape }, i) => ({ shape, dtype: met[i]! }));
      expect(output.dtype).toBe(record.infer(infos, sample.attrs ?? {}, op).dtype);
      if (!half(output.dtype)) expect(output.dtype).toBe(seen!.plan.dtype);
      // The elements are what the dtype says they are.
      const data = output.dataSync();
      expect(data.constructor).toBe(
        {
          bool: Uint8Array,
          u8: Uint8Array,
          i32: Int32Array,
          f16: Float32Array,
          bf16: Float32Array,
          f32: Float32Array,
          f64: Float64Array,
        }[output.dtype],
      );
      if (output.dtype === 'bool') expect(data.every((v) => v === 0 || v === 1)).toBe(true);
    } finally {
      stop();
    }
  });
  fc.assert(property, { numRuns: runs });
});

describe('the dtype of the result', () => {
  const ofResult = (op: (typeof opNames)[number], dtype: DType): DType => {
    const record = recordOf(op);
    const infos = record
      .sample({
        int: (min) => min,
        bool: () => true,
        pick: (items) => items[0]!,
        shape: ({ minRank = 0 } = {}) => new Array<number>(Math.max(minRank, 1)).fill(2),
        broadcastable: (n) => Array.from({ length: n }, () => [2]),
      })
      .inputs.map((spec) => ({ shape: spec.shape, dtype: spec.dtype ?? dtype }));
    return record.infer(
      infos,
      record.sample({
        int: (min) => min,
        bool: () => true,
        pick: (items) => items[0]!,
        shape: ({ minRank = 0 } = {}) => new Array<number>(Math.max(minRank, 1)).fill(2),
        broadcastable: (n) => Array.from({ length: n }, () => [2]),
      }).attrs ?? {},
      op,
    ).dtype;
  };

  it.each(opNames)('of %s is the dtype it computes in, or does not depend on it', (op) => {
    const floats = dtypes.filter(isFloat);
    const results = floats.map((dtype) => ofResult(op, dtype));
    expect([floats, floats.map(() => results[0])]).toContainEqual(results);
  });
});
