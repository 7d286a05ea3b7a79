/** A compressive memory number by number: eq. (7) to (10) of arXiv 2404.07143 v2, with our options. */
import type { CompressiveMemory, MemoryState } from '@infinigrad/nn';
import type { Tensor } from '@infinigrad/tensor';

type Nested<Depth extends number> = Depth extends 2 ? number[][] : number[][][][];
const nested = <Depth extends number>(x: Tensor): Nested<Depth> => x.toArraySync() as object as Nested<Depth>;
const elu1 = (x: number): number => (x > 0 ? x + 1 : Math.exp(x));
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * b[i]!, 0);

export interface Given {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly local?: Tensor;
  readonly x?: Tensor;
  readonly mask?: Tensor;
  readonly initialState?: MemoryState;
}

export interface MemoryWrittenOut {
  readonly output: number[];
  readonly matrix: number[];
  readonly normalizer: number[];
}

/** For the feature map elu1. `values` are the layer's parameters by name. */
export function memoryWrittenOut(
  memory: CompressiveMemory,
  values: Readonly<Record<string, Tensor>>,
  { q, k, v, local, x, mask, initialState }: Given,
): MemoryWrittenOut {
  const { segmentLength, settings, numHeads, keyDim, valueDim } = memory;
  const [batch, , length] = q.shape as readonly [number, number, number];
  const [qs, ks, vs] = [q, k, v].map((y) => nested<4>(y)) as [number[][][][], number[][][][], number[][][][]];
  const locals = local && nested<4>(local);
  const inputs = x && (x.toArraySync() as object as number[][][]);
  const present = mask && nested<2>(mask);
  const perHead = (name: string, b: number, t: number, h: number): number | null => {
    const weight = values[`${name}.weight`];
    if (!weight) return null;
    return dot(nested<2>(weight)[h]!, inputs![b]![t]!) + values[`${name}.bias`]!.dataSync()[h]!;
  };
  const result: MemoryWrittenOut = { output: [], matrix: [], normalizer: [] };
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < numHeads; h++) {
      const start = initialState && (initialState.matrix.toArraySync() as object as number[][][][])[b]![h];
      const startZ = initialState && (initialState.normalizer.toArraySync() as object as number[][][])[b]![h];
      const learned =
        values['initialMatrix'] && (values['initialMatrix'].toArraySync() as object as number[][][])[h];
      const learnedZ = values['initialNormalizer'] && nested<2>(values['initialNormalizer'])[h];
      let m = Array.from({ length: keyDim }, (_, i) =>
        Array.from({ length: valueDim }, (_unused, j) => start?.[i]![j] ?? learned?.[i]![j] ?? 0),
      );
      let z = Array.from({ length: keyDim }, (_, i) =>
        startZ ? startZ[i]! : learnedZ ? Math.log1p(Math.exp(learnedZ[i]!)) : 0,
      );
      const read = (features: number[]): number[] => {
        const raw = Array.from({ length: valueDim }, (_, j) =>
          features.reduce((sum, f, i) => sum + f * m[i]![j]!, 0),
        );
        if (!settings.normalize) return raw;
        const weight = dot(features, z);
        const below = settings.epsMode === 'add' ? weight + settings.eps : Math.max(weight, settings.eps);
        return raw.map((r) => r / below);
      };
      for (let s = 0; s < length; s += segmentLength) {
        const ends = Math.min(length, s + segmentLength);
        const writes: { key: number[]; value: number[] }[] = [];
        for (let t = s; t < ends; t++) {
          let y = read(qs[b]![h]![t]!.map(elu1));
          if (values['readNorm.weight']) {
            const scale = Math.sqrt(dot(y, y) / valueDim + 1e-6);
            y = y.map((r, j) => (r / scale) * values['readNorm.weight']!.dataSync()[j]!);
          }
          if (locals) {
            const near = locals[b]![h]![t]!;
            const beta = (j: number): number =>
              perHead('gateProj', b, t, h) ??
              values['beta']!.dataSync()[values['beta']!.rank === 1 ? h : h * valueDim + j]!;
            const empty = !initialState && !learned && s === 0 && settings.firstSegment === 'local';
            y = y.map((r, j) => {
              const g = empty ? 0 : sigmoid(beta(j));
              return g * r + (1 - g) * near[j]!;
            });
          }
          result.output.push(...y);
          if (present && !present[b]![t]) continue;
          const plain = ks[b]![h]![t]!.map(elu1);
          const a = perHead('writeGate', b, t, h);
          const margin = settings.writeGateMargin;
          const open =
            a === null
              ? 1
              : settings.writeGate === 'hard'
                ? Math.min(1, Math.max(0, (1 + 2 * margin) * sigmoid(a) - margin))
                : sigmoid(a);
          const known = settings.update === 'delta' ? read(plain) : null;
          writes.push({
            key: plain.map((f) => f * open),
            value: vs[b]![h]![t]!.map((value, j) => value - (known?.[j] ?? 0)),
          });
        }
        m = m.map((line, i) =>
          line.map((value, j) =>
            writes.reduce((sum, w) => sum + w.key[i]! * w.value[j]!, settings.decay * value),
          ),
        );
        z = z.map((value, i) => writes.reduce((sum, w) => sum + w.key[i]!, settings.decay * value));
      }
      result.matrix.push(...m.flat());
      result.normalizer.push(...z);
    }
  return result;
}
