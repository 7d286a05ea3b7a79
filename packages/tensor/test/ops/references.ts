/** What each op means, written down once more and naively; a test goes red where an op has no meaning here. */
import type { Attrs, OpName } from '@infinigrad/tensor';
import {
  flat,
  fromValues,
  indices,
  line,
  meet,
  naive,
  positive,
  put,
  range,
  settled,
  stretchedAt,
  type Naive,
} from '../naive.ts';
import { attentionReferences } from './references-attention.ts';
import { fourierReferences } from './references-fourier.ts';
import { linalgReferences } from './references-linalg.ts';
import { rowReferences } from './references-rows.ts';
import { scattersReferences } from './references-scatter.ts';
import { sortingReferences } from './references-sorting.ts';
import { specialsReferences } from './references-special.ts';
import { windowingReferences } from './references-windows.ts';

type Reference = (inputs: readonly Naive[], attrs: Attrs) => Naive;

const elementwise =
  (f: (...values: number[]) => number): Reference =>
  (inputs) =>
    naive(meet(...inputs.map((x) => x.shape)), (index) => f(...inputs.map((x) => stretchedAt(x, index))));
const truth = (f: (...values: number[]) => boolean): Reference =>
  elementwise((...values) => Number(f(...values)));

/** Φ by Simpson's rule on the density: nothing in common with the series in src. */
function erf(x: number): number {
  const steps = 2000;
  const h = x / steps;
  const density = (t: number): number => Math.exp(-t * t);
  let sum = density(0) + density(x);
  for (let i = 1; i < steps; i++) sum += (i % 2 === 1 ? 4 : 2) * density(i * h);
  return (2 / Math.sqrt(Math.PI)) * (h / 3) * sum;
}

const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : 1 - 1 / (1 + Math.exp(x)));
const normal = (x: number): number => (1 + erf(x / Math.sqrt(2))) / 2;
const halfEven = (x: number): number => {
  const low = Math.floor(x);
  if (x - low !== 0.5) return x - low < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
};

const reduction =
  (f: (values: readonly number[]) => number): Reference =>
  ([x], attrs) => {
    const rank = x!.shape.length;
    const named = attrs['axes'] as readonly number[] | null;
    const axes = named === null ? range(rank) : named.map((axis) => positive(axis, rank));
    const keep = attrs['keepDims'] === true;
    const full = naive(
      x!.shape.map((size, axis) => (axes.includes(axis) ? 1 : size)),
      (index) =>
        f(
          indices(x!.shape)
            .filter((at) => at.every((i, axis) => axes.includes(axis) || i === index[axis]))
            .map((at) => x!.at(at)),
        ),
    );
    return keep
      ? full
      : fromValues(
          flat(full),
          full.shape.filter((_, axis) => !axes.includes(axis)),
        );
  };

const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const alongAxis =
  (f: (values: readonly number[], i: number) => number): Reference =>
  ([x], attrs) => {
    const axis = positive(attrs['axis'] as number, x!.shape.length);
    return naive(x!.shape, (index) => f(line(x!, axis, index), index[axis]!));
  };
const overAxis =
  (f: (values: readonly number[]) => number): Reference =>
  ([x], attrs) => {
    const axis = positive(attrs['axis'] as number, x!.shape.length);
    const full = naive(x!.shape.with(axis, 1), (index) => f(line(x!, axis, index)));
    return attrs['keepDims'] === true ? full : fromValues(flat(full), x!.shape.toSpliced(axis, 1));
  };

const matmul: Reference = ([a, b]) => {
  const [m, k] = a!.shape.slice(-2) as [number, number];
  const n = b!.shape.at(-1)!;
  const batch = meet(a!.shape.slice(0, -2), b!.shape.slice(0, -2));
  const matrix = (x: Naive, lead: readonly number[], i: number, j: number): number => {
    const own = x.shape.slice(0, -2);
    const tail = lead.slice(lead.length - own.length);
    return x.at([...tail.map((at, axis) => (own[axis] === 1 ? 0 : at)), i, j]);
  };
  return naive([...batch, m, n], (index) => {
    const lead = index.slice(0, -2);
    const [i, j] = index.slice(-2) as [number, number];
    return total(range(k).map((l) => matrix(a!, lead, i, l) * matrix(b!, lead, l, j)));
  });
};

/** The index-select family: where an index of the result comes from. */
function selected(x: Naive, axis: number, index: Naive): Naive {
  const { length } = index.shape;
  return naive([...x.shape.slice(0, axis), ...index.shape, ...x.shape.slice(axis + 1)], (at) =>
    x.at([...at.slice(0, axis), index.at(at.slice(axis, axis + length)), ...at.slice(axis + length)]),
  );
}

/** x plus all of `source`, each element at the place that `place` gives. */
function added(x: Naive, source: Naive, place: (at: readonly number[]) => number[]): Naive {
  const sums = new Map<string, number>(indices(x.shape).map((at) => [at.join(), x.at(at)]));
  for (const at of indices(source.shape)) {
    const to = place(at).join();
    sums.set(to, sums.get(to)! + source.at(at));
  }
  return naive(x.shape, (at) => sums.get(at.join())!);
}

const axisOf = (attrs: Attrs, x: Naive): number => positive(attrs['axis'] as number, x.shape.length);

export const references: Readonly<Partial<Record<OpName, Reference>>> = {
  add: elementwise((x, y) => x + y),
  sub: elementwise((x, y) => x - y),
  mul: elementwise((x, y) => x * y),
  div: elementwise((x, y) => x / y),
  pow: elementwise((x, y) => Math.exp(y * Math.log(x))),
  maximum: elementwise((x, y) => (x > y ? x : y)),
  minimum: elementwise((x, y) => (x < y ? x : y)),
  floorDivide: elementwise((x, y) => Math.floor(x / y)),
  remainder: elementwise((x, y) => x - y * Math.floor(x / y)),
  atan2: elementwise((y, x) => 2 * Math.atan(y / (Math.hypot(x, y) + x))),
  neg: elementwise((x) => 0 - x),
  abs: elementwise((x) => (x < 0 ? -x : x)),
  sign: elementwise((x) => (x > 0 ? 1 : x < 0 ? -1 : 0)),
  square: elementwise((x) => x ** 2),
  sqrt: elementwise((x) => x ** 0.5),
  rsqrt: elementwise((x) => x ** -0.5),
  reciprocal: elementwise((x) => x ** -1),
  exp: elementwise((x) => Math.E ** x),
  expm1: elementwise((x) => 2 * Math.exp(x / 2) * Math.sinh(x / 2)),
  log: elementwise((x) => Math.log10(x) * Math.LN10),
  log2: elementwise((x) => Math.log(x) / Math.LN2),
  log1p: elementwise((x) => 2 * Math.atanh(x / (2 + x))),
  sin: elementwise((x) => 2 * Math.sin(x / 2) * Math.cos(x / 2)),
  cos: elementwise((x) => 1 - 2 * Math.sin(x / 2) ** 2),
  tan: elementwise((x) => Math.sin(x) / Math.cos(x)),
  asin: elementwise((x) => Math.atan(x / Math.sqrt(1 - x * x))),
  acos: elementwise((x) => Math.PI / 2 - Math.atan(x / Math.sqrt(1 - x * x))),
  atan: elementwise((x) => Math.asin(x / Math.sqrt(1 + x * x))),
  sinh: elementwise((x) => (Math.exp(x) - Math.exp(-x)) / 2),
  cosh: elementwise((x) => (Math.exp(x) + Math.exp(-x)) / 2),
  tanh: elementwise((x) => 1 - 2 / (Math.exp(2 * x) + 1)),
  asinh: elementwise((x) => Math.log(x + Math.sqrt(x * x + 1))),
  acosh: elementwise((x) => Math.log(x + Math.sqrt(x * x - 1))),
  atanh: elementwise((x) => Math.log((1 + x) / (1 - x)) / 2),
  erf: elementwise(erf),
  sigmoid: elementwise(sigmoid),
  softplus: elementwise((x) => Math.log(1 + Math.exp(x))),
  relu: elementwise((x) => (x > 0 ? x : 0)),
  silu: elementwise((x) => x * sigmoid(x)),
  gelu: elementwise((x) => x * normal(x)),
  geluTanh: elementwise((x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))),
  elu: elementwise((x) => (x > 0 ? x : Math.exp(x) - 1)),
  floor: elementwise(Math.floor),
  ceil: elementwise(Math.ceil),
  round: elementwise(halfEven),
  trunc: elementwise((x) => (x < 0 ? Math.ceil(x) : Math.floor(x))),
  clone: elementwise((x) => x),
  eq: truth((x, y) => x === y),
  ne: truth((x, y) => x !== y),
  lt: truth((x, y) => x < y),
  le: truth((x, y) => !(x > y)),
  gt: truth((x, y) => x > y),
  ge: truth((x, y) => !(x < y)),
  isNaN: truth(Number.isNaN),
  isFinite: truth(Number.isFinite),
  logicalNot: truth((x) => x === 0),
  logicalAnd: truth((x, y) => x !== 0 && y !== 0),
  logicalOr: truth((x, y) => x !== 0 || y !== 0),
  logicalXor: truth((x, y) => (x !== 0) !== (y !== 0)),
  where: elementwise((c, x, y) => (c !== 0 ? x : y)),
  clip: (inputs, attrs) =>
    elementwise((x) => {
      const [low, high] = [attrs['min'] as number, attrs['max'] as number];
      if (x < low) return low;
      return x > high ? high : x;
    })(inputs, attrs),
  cast: elementwise((x) => x),
  sum: reduction(total),
  mean: reduction((values) => total(values) / values.length),
  prod: reduction((values) => values.reduce((a, b) => a * b, 1)),
  max: reduction((values) => values.toSorted((a, b) => b - a)[0]!),
  min: reduction((values) => values.toSorted((a, b) => a - b)[0]!),
  any: reduction((values) => Number(values.some((v) => v !== 0))),
  all: reduction((values) => Number(values.every((v) => v !== 0))),
  reshape: ([x], attrs) => fromValues(flat(x!), attrs['shape'] as readonly number[]),
  permute: ([x], attrs) => {
    const axes = (attrs['axes'] as readonly number[]).map((axis) => positive(axis, x!.shape.length));
    return naive(
      axes.map((axis) => x!.shape[axis]!),
      (index) => x!.at(range(axes.length).map((axis) => index[axes.indexOf(axis)]!)),
    );
  },
  expand: ([x], attrs) => naive(attrs['shape'] as readonly number[], (index) => stretchedAt(x!, index)),
  slice: ([x], attrs) => {
    const ranges = attrs['ranges'] as readonly (readonly (number | null)[] | null)[];
    // The places that Python's range(*slice.indices(n)) visits, found by walking.
    const visited = x!.shape.map((size, axis) => {
      const [from = null, to = null, by = null] = ranges[axis] ?? [];
      const step = by ?? 1;
      const places: number[] = [];
      const start = from ?? (step > 0 ? 0 : size - 1);
      for (let i = start < 0 ? start + size : start; i >= 0 && i < size; i += step) {
        if (to !== null && (step > 0 ? i >= (to < 0 ? to + size : to) : i <= (to < 0 ? to + size : to)))
          break;
        places.push(i);
      }
      return places;
    });
    return naive(
      visited.map((places) => places.length),
      (index) => x!.at(index.map((i, axis) => visited[axis]![i]!)),
    );
  },
  matmul,
  linear: ([x, weight, bias]) => {
    const [out, inner] = weight!.shape as [number, number];
    return naive([...x!.shape.slice(0, -1), out], (index) => {
      const [lead, j] = [index.slice(0, -1), index.at(-1)!];
      const terms = Array.from({ length: inner }, (_, k) => x!.at([...lead, k]) * weight!.at([j, k]));
      return total(terms) + (bias ? bias.at([j]) : 0);
    });
  },
  softmax: alongAxis((values, i) => Math.exp(values[i]!) / total(values.map(Math.exp))),
  logSoftmax: alongAxis((values, i) => values[i]! - Math.log(total(values.map(Math.exp)))),
  cumsum: alongAxis((values, i) => total(values.slice(0, i + 1))),
  logSumExp: overAxis((values) => Math.log(total(values.map(Math.exp)))),
  argMax: overAxis((values) => values.indexOf(Math.max(...values))),
  argMin: overAxis((values) => values.indexOf(Math.min(...values))),
  concat: (inputs, attrs) => {
    const axis = axisOf(attrs, inputs[0]!);
    const source = inputs.flatMap((x) => range(x.shape[axis]!).map((i) => ({ x, i })));
    return naive(inputs[0]!.shape.with(axis, source.length), (index) => {
      const { x, i } = source[index[axis]!]!;
      return x.at(put(index, axis, i));
    });
  },
  pad: ([x], attrs) => {
    const widths = attrs['widths'] as readonly (readonly [number, number])[];
    return naive(
      x!.shape.map((size, axis) => size + widths[axis]![0] + widths[axis]![1]),
      (index) => {
        const inside = index.map((i, axis) => i - widths[axis]![0]);
        return inside.every((i, axis) => i >= 0 && i < x!.shape[axis]!)
          ? x!.at(inside)
          : (attrs['value'] as number);
      },
    );
  },
  unslice: ([x], attrs) => {
    const [starts, steps] = [attrs['starts'] as readonly number[], attrs['steps'] as readonly number[]];
    const shape = attrs['shape'] as readonly number[];
    const zeros = naive(shape, () => 0);
    return settled(added(zeros, x!, (at) => at.map((i, axis) => starts[axis]! + i * steps[axis]!)));
  },
  indexSelect: ([x, index], attrs) => selected(x!, axisOf(attrs, x!), index!),
  indexAdd: ([x, index, source], attrs) => {
    const axis = axisOf(attrs, x!);
    const { length } = index!.shape;
    return added(x!, source!, (at) => [
      ...at.slice(0, axis),
      index!.at(at.slice(axis, axis + length)),
      ...at.slice(axis + length),
    ]);
  },
  gather: ([x, index], attrs) =>
    naive(index!.shape, (at) => x!.at(put(at, axisOf(attrs, x!), index!.at(at)))),
  scatterAdd: ([x, index, source], attrs) =>
    added(x!, source!, (at) => put(at, axisOf(attrs, x!), index!.at(at))),
  ...rowReferences,
  ...attentionReferences,
  ...specialsReferences,
  ...scattersReferences,
  ...sortingReferences,
  ...windowingReferences,
  ...fourierReferences,
  ...linalgReferences,
};
