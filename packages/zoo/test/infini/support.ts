/** What the Infini-attention tests share: small layers in f64, and the equations written out number by number. */
import {
  InfiniAttention,
  infiniTransformerConfig,
  type InfiniTransformerConfig,
  type InfiniTransformerOptions,
} from '@infinigrad/zoo';
import { full, Key, type Tensor } from '@infinigrad/tensor';

export const small: InfiniTransformerOptions = {
  vocabSize: 11,
  hiddenSize: 8,
  numLayers: 2,
  numHeads: 2,
  intermediateSize: 12,
  segmentLength: 4,
};

export function attentionLayer(
  options: Partial<InfiniTransformerOptions> = {},
  hasMemory = true,
  seed = 0,
): InfiniAttention {
  const config = infiniTransformerConfig({ ...small, ...options });
  return new InfiniAttention(config, hasMemory, new Key(seed), (n) => 1 / Math.sqrt(n), 'f64');
}

export function setBeta(layer: InfiniAttention, value: number): InfiniAttention {
  layer.beta!.assign(full(layer.beta!.shape, value, { dtype: 'f64' }));
  return layer;
}

export const randomInput = (shape: readonly number[], seed = 1): Tensor =>
  new Key(seed).normal(shape, { dtype: 'f64' });

export function largestDifference(a: Tensor, b: Tensor): number {
  const [x, y] = [a.dataSync(), b.dataSync()];
  if (a.shape.join() !== b.shape.join())
    throw new Error(`shapes differ: [${a.shape.join()}] and [${b.shape.join()}]`);
  let worst = 0;
  for (let i = 0; i < x.length; i++) worst = Math.max(worst, Math.abs(x[i]! - y[i]!));
  return worst;
}

type Matrix = number[][];

const matrixOf = (x: Tensor): Matrix => x.toArraySync() as unknown as Matrix;
const times = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((t, v, k) => t + v * b[k]![j]!, 0)));
const turned = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map((row) => row[j]!));
const elu1 = (x: number): number => (x > 0 ? x + 1 : Math.exp(x));

function rotate(rows: Matrix, base: number): Matrix {
  return rows.map((row, t) => {
    const half = row.length / 2;
    return row.map((v, i) => {
      const angle = t * base ** ((-2 * (i % half)) / row.length);
      const other = i < half ? -row[i + half]! : row[i - half]!;
      return v * Math.cos(angle) + other * Math.sin(angle);
    });
  });
}

/** Equations (5) to (11) for one sequence x [length, hiddenSize], segment by segment, head by head. */
export function writtenOut(layer: InfiniAttention, x: Tensor, update: 'linear' | 'delta'): Matrix {
  const config: InfiniTransformerConfig = layer.config;
  const { numHeads, headDim: d, segmentLength: n, ropeTheta } = config;
  const rows = matrixOf(x);
  const project = (w: Tensor): Matrix => times(rows, turned(matrixOf(w)));
  const [q, k, v] = [layer.qProj, layer.kProj, layer.vProj].map((p) => project(p.weight)) as [
    Matrix,
    Matrix,
    Matrix,
  ];
  const joined: Matrix = rows.map(() => []);
  for (let h = 0; h < numHeads; h++) {
    const beta = Number(layer.beta!.dataSync()[h]);
    const g = 1 / (1 + Math.exp(-beta));
    let memory: Matrix = Array.from({ length: d }, () => new Array<number>(d).fill(0));
    let z = new Array<number>(d).fill(0);
    for (let start = 0; start < rows.length; start += n) {
      const cut = (m: Matrix): Matrix =>
        m.slice(start, start + n).map((row) => row.slice(h * d, (h + 1) * d));
      const [qs, ks, vs] = [cut(q), cut(k), cut(v)];
      const read = (features: Matrix): Matrix =>
        times(features, memory).map((row, t) => {
          const weight = features[t]!.reduce((sum, f, i) => sum + f * z[i]!, 0);
          return row.map((value) => value / Math.max(weight, config.memoryEps));
        });
      const features = (m: Matrix): Matrix => m.map((row) => row.map(elu1));
      const remembered = read(features(qs));
      const [qr, kr] = [rotate(qs, ropeTheta), rotate(ks, ropeTheta)];
      qr.forEach((query, t) => {
        const scores = kr
          .slice(0, t + 1)
          .map((key) => query.reduce((sum, a, i) => sum + a * key[i]!, 0) / Math.sqrt(d));
        const weights = scores.map((s) => Math.exp(s));
        const total = weights.reduce((a, b) => a + b, 0);
        const local = vs[0]!.map((_, i) => weights.reduce((sum, w, j) => sum + (w / total) * vs[j]![i]!, 0));
        joined[start + t]!.push(...local.map((value, i) => g * remembered[t]![i]! + (1 - g) * value));
      });
      const kf = features(ks);
      const known = update === 'delta' ? read(kf) : null;
      const written = times(
        turned(kf),
        known ? vs.map((row, t) => row.map((value, i) => value - known[t]![i]!)) : vs,
      );
      memory = memory.map((row, i) => row.map((value, j) => value + written[i]![j]!));
      z = z.map((value, i) => value + kf.reduce((sum, row) => sum + row[i]!, 0));
    }
  }
  return times(joined, turned(matrixOf(layer.oProj.weight)));
}
