/** What the fused ops along rows mean, by the formulas of the textbooks: sums over Jacobians, nothing multiplied out. */
import type { Attrs } from '@infinigrad/tensor';
import {
  fromValues,
  indices,
  line,
  meet,
  naive,
  positive,
  put,
  range,
  stretchedAt,
  type Naive,
} from '../naive.ts';

type Reference = (inputs: readonly Naive[], attrs: Attrs) => Naive;

const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]): number => total(values) / values.length;
const delta = (i: number, j: number): number => (i === j ? 1 : 0);

/** Σⱼ gⱼ ∂fⱼ/∂xᵢ along an axis, from the line of y. */
const pulledBack =
  (jacobian: (y: readonly number[], j: number, i: number) => number): Reference =>
  ([g, y], attrs) => {
    const axis = positive(attrs['axis'] as number, y!.shape.length);
    return naive(y!.shape, (index) => {
      const [pull, row] = [line(g!, axis, index), line(y!, axis, index)];
      return total(row.map((_, j) => pull[j]! * jacobian(row, j, index[axis]!)));
    });
  };

/** The line of the last axis through an index of the leading axes. */
const lastLine = (x: Naive, lead: readonly number[]): number[] =>
  range(x.shape.at(-1)!).map((i) => x.at([...lead, i]));

interface Norm {
  readonly value: (x: readonly number[], eps: number, j: number) => number;
  /** Of value j with respect to x[i]. */
  readonly derivative: (x: readonly number[], eps: number, j: number, i: number) => number;
}

const rms: Norm = {
  value: (x, eps, j) => x[j]! / Math.sqrt(mean(x.map((v) => v * v)) + eps),
  derivative: (x, eps, j, i) => {
    const s = mean(x.map((v) => v * v)) + eps;
    return delta(i, j) / Math.sqrt(s) - (x[j]! * x[i]!) / (x.length * s * Math.sqrt(s));
  },
};

const standard: Norm = {
  value: (x, eps, j) => {
    const centre = mean(x);
    return (x[j]! - centre) / Math.sqrt(mean(x.map((v) => (v - centre) ** 2)) + eps);
  },
  derivative: (x, eps, j, i) => {
    const centre = mean(x);
    const s = mean(x.map((v) => (v - centre) ** 2)) + eps;
    const slope = (x[i]! - centre) / x.length;
    return (delta(i, j) - 1 / x.length) / Math.sqrt(s) - ((x[j]! - centre) * slope) / (s * Math.sqrt(s));
  },
};

const normalised =
  ({ value }: Norm): Reference =>
  ([x, weight, bias], attrs) =>
    naive(x!.shape, (index) => {
      const j = index.at(-1)!;
      const row = lastLine(x!, index.slice(0, -1));
      return value(row, attrs['eps'] as number, j) * weight!.at([j]) + (bias ? bias.at([j]) : 0);
    });

/** dx, dweight and, where there is one, dbias, one after the other. */
const normGradient =
  ({ value, derivative }: Norm, withBias: boolean): Reference =>
  ([g, x, weight], attrs) => {
    const eps = attrs['eps'] as number;
    const columns = range(weight!.shape[0]!);
    const leads = indices(x!.shape.slice(0, -1));
    const dx = indices(x!.shape).map((index) => {
      const lead = index.slice(0, -1);
      const row = lastLine(x!, lead);
      return total(
        columns.map((j) => g!.at([...lead, j]) * weight!.at([j]) * derivative(row, eps, j, index.at(-1)!)),
      );
    });
    const dWeight = columns.map((j) =>
      total(leads.map((lead) => g!.at([...lead, j]) * value(lastLine(x!, lead), eps, j))),
    );
    const dBias = columns.map((j) => total(leads.map((lead) => g!.at([...lead, j]))));
    const all = [...dx, ...dWeight, ...(withBias ? dBias : [])];
    return fromValues(all, [all.length]);
  };

const probability = (row: readonly number[], i: number): number =>
  Math.exp(row[i]!) / total(row.map((x) => Math.exp(x)));

const rotary: Reference = ([x, cos, sin]) => {
  const half = x!.shape.at(-1)! / 2;
  return naive(x!.shape, (index) => {
    const axis = index.length - 1;
    const [t, i] = index.slice(-2) as [number, number];
    const pair = i % half;
    const [c, s] = [cos!.at([t, pair]), sin!.at([t, pair])];
    // (a, b) as the complex number a + ib, times c + is.
    const [a, b] = [x!.at(put(index, axis, pair)), x!.at(put(index, axis, pair + half))];
    return i < half ? a * c - b * s : a * s + b * c;
  });
};

/** Algorithm 2 of arXiv 1711.05101, the schedule multiplier taken as 1, the decay times the learning rate. */
const adamWStep: Reference = ([parameter, mean1, mean2, gradient], attrs) => {
  const { learningRate, beta1, beta2, eps, weightDecay, step, gradientScale } = attrs as Record<
    string,
    number
  >;
  const moments = indices(parameter!.shape).map((at) => {
    const g = gradient!.at(at) * gradientScale!;
    const m = beta1! * mean1!.at(at) + (1 - beta1!) * g;
    const v = beta2! * mean2!.at(at) + (1 - beta2!) * g ** 2;
    const [mHat, vHat] = [m / (1 - beta1! ** step!), v / (1 - beta2! ** step!)];
    const theta = parameter!.at(at);
    const next = theta - learningRate! * (mHat / (Math.sqrt(vHat) + eps!) + weightDecay! * theta);
    return { next, m, v };
  });
  const stacked = [moments.map(({ next }) => next), moments.map(({ m }) => m), moments.map(({ v }) => v)];
  return fromValues(stacked.flat(), [3, ...parameter!.shape]);
};

export const rowReferences = {
  siluMul: ([x, y]) =>
    naive(meet(x!.shape, y!.shape), (index) => {
      const [a, b] = [stretchedAt(x!, index), stretchedAt(y!, index)];
      return (a * b) / (1 + Math.exp(-a));
    }),
  softmaxGrad: pulledBack((y, j, i) => y[j]! * (delta(i, j) - y[i]!)),
  logSoftmaxGrad: pulledBack((y, j, i) => delta(i, j) - Math.exp(y[i]!)),
  rmsNorm: normalised(rms),
  rmsNormGrad: normGradient(rms, false),
  layerNorm: normalised(standard),
  layerNormGrad: normGradient(standard, true),
  rotary,
  softmaxCrossEntropy: ([logits, targets], { ignoreIndex }) =>
    naive(targets!.shape, (at) => {
      const target = targets!.at(at);
      return target === ignoreIndex ? 0 : -Math.log(probability(lastLine(logits!, at), target));
    }),
  softmaxCrossEntropyGrad: ([g, logits, targets], { ignoreIndex }) =>
    naive(logits!.shape, (index) => {
      const [lead, i] = [index.slice(0, -1), index.at(-1)!];
      const target = targets!.at(lead);
      if (target === ignoreIndex) return 0;
      return g!.at(lead) * (probability(lastLine(logits!, lead), i) - delta(i, target));
    }),
  adamWStep,
} satisfies Record<string, Reference>;
