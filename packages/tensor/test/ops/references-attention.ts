/** What attention and its gradient mean: one score, weight and sum at a time. */
import type { Attrs } from '@infinigrad/tensor';
import { fromValues, indices, meet, naive, range, type Naive } from '../naive.ts';

type Reference = (inputs: readonly Naive[], attrs: Attrs) => Naive;

const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** x at a place of its last two axes and at an index of leading axes that its own broadcast to. */
function matrixAt(x: Naive, lead: readonly number[], i: number, j: number): number {
  return x.at([...ownLead(x, lead), ...(x.shape.length > 1 ? [i, j] : [j])].slice(-x.shape.length));
}

const ownLead = (x: Naive, lead: readonly number[]): number[] => {
  const own = x.shape.slice(0, -2);
  return lead.slice(lead.length - own.length).map((at, axis) => (own[axis] === 1 ? 0 : at));
};

/** The scores of one query, -Infinity for the keys that it does not see. */
function scoresOf(inputs: readonly Naive[], attrs: Attrs, lead: readonly number[], i: number): number[] {
  const [q, k, , mask] = inputs as [Naive, Naive, Naive, Naive?];
  const [queries, d] = q.shape.slice(-2) as [number, number];
  const keys = k.shape.at(-2)!;
  return range(keys).map((j) => {
    const later = attrs['causal'] === true && j > i + keys - queries;
    const [rows, columns] = mask ? ([mask.shape.at(-2) ?? 1, mask.shape.at(-1)!] as const) : [1, 1];
    const hidden = mask && matrixAt(mask, lead, rows === 1 ? 0 : i, columns === 1 ? 0 : j) === 0;
    if (later || hidden) return -Infinity;
    const products = range(d).map((c) => matrixAt(q, lead, i, c) * matrixAt(k, lead, j, c));
    return (attrs['scale'] as number) * total(products);
  });
}

const leadOf = (...tensors: readonly (Naive | undefined)[]): number[] =>
  meet(...tensors.flatMap((x) => (x ? [x.shape.slice(0, -2)] : [])));

const attention: Reference = (inputs, attrs) => {
  const [q, k, v, mask] = inputs as [Naive, Naive, Naive, Naive?];
  const dv = v.shape.at(-1)!;
  return naive([...leadOf(q, k, v, mask), q.shape.at(-2)!, dv + 1], (index) => {
    const lead = index.slice(0, -2);
    const [i, c] = index.slice(-2) as [number, number];
    const scores = scoresOf(inputs, attrs, lead, i);
    const sum = total(scores.map(Math.exp));
    if (sum === 0) return 0;
    if (c === dv) return Math.log(sum);
    return total(scores.map((s, j) => (Math.exp(s) / sum) * matrixAt(v, lead, j, c)));
  });
};

/** Σ over all queries and keys; what of it falls on an element of q, k or v is added there. */
const attentionGrad: Reference = ([g, y, ...rest], attrs) => {
  const [q, k, v] = rest as [Naive, Naive, Naive];
  const [d, dv] = [q.shape.at(-1)!, v.shape.at(-1)!];
  const sums = [q, k, v].map((x) => new Map(indices(x.shape).map((at) => [at.join(), 0])));
  const add = (which: 0 | 1 | 2, lead: readonly number[], i: number, c: number, value: number): void => {
    const place = [...ownLead([q, k, v][which]!, lead), i, c].join();
    sums[which]!.set(place, sums[which]!.get(place)! + value);
  };
  for (const lead of indices(y!.shape.slice(0, -2)))
    for (const i of range(q.shape.at(-2)!)) {
      const gOut = range(dv).map((c) => g!.at([...lead, i, c]));
      const inner = total(gOut.map((value, c) => value * y!.at([...lead, i, c])));
      const pull = inner - g!.at([...lead, i, dv]);
      scoresOf(rest, attrs, lead, i).forEach((score, j) => {
        const weight = Math.exp(score - y!.at([...lead, i, dv]));
        const dWeight = total(gOut.map((value, c) => value * matrixAt(v, lead, j, c)));
        const dScore = weight * (dWeight - pull) * (attrs['scale'] as number);
        gOut.forEach((value, c) => add(2, lead, j, c, weight * value));
        for (const c of range(d)) {
          add(0, lead, i, c, dScore * matrixAt(k, lead, j, c));
          add(1, lead, j, c, dScore * matrixAt(q, lead, i, c));
        }
      });
    }
  const all = sums.flatMap((map) => [...map.values()]);
  return fromValues(all, [all.length]);
};

export const attentionReferences = { attention, attentionGrad } satisfies Record<string, Reference>;
