/** Tiny models that transformers has run in f64 (scripts/fixtures/zoo): their files, inputs, logits and gradients. */
import { readFileSync } from 'node:fs';
import { concat, decodeSafetensors, fromData, type Tensor } from '@infinigrad/tensor';
import { stateEntries, type PretrainedModel } from '@infinigrad/zoo';
import { expect } from 'vitest';
import { largestDifference } from './runner.ts';

interface Numbers {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

export interface Reference {
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: Readonly<Record<string, Tensor>>;
  readonly gradients: Readonly<Record<string, Tensor>>;
  /** i32. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** f64. */
  readonly logits: Tensor;
  /** Gradients are those of the sum of logits · probe. */
  readonly probe: Tensor;
  readonly greedy: readonly (readonly number[])[];
}

export function reference(family: string, name: string): Reference {
  const file = (of: string): URL => new URL(`../fixtures/${family}/${name}/${of}`, import.meta.url);
  const json = (of: string): unknown => JSON.parse(readFileSync(file(of), 'utf8'));
  const tensors = (of: string): Record<string, Tensor> => decodeSafetensors(readFileSync(file(of))).tensors;
  const { inputs, logits, probe, greedy } = json('case.json') as {
    readonly inputs: Readonly<Record<string, Numbers>>;
    readonly logits: Numbers;
    readonly probe: Numbers;
    readonly greedy: number[][];
  };
  const wide = ({ data, shape }: Numbers): Tensor =>
    fromData(Float64Array.from(data), shape, { dtype: 'f64' });
  return {
    config: json('config.json') as Record<string, unknown>,
    weights: tensors('model.safetensors'),
    gradients: tensors('gradients.safetensors'),
    inputs: Object.fromEntries(
      Object.entries(inputs).map(([of, { data, shape }]) => [of, fromData(Int32Array.from(data), shape)]),
    ),
    logits: wide(logits),
    probe: wide(probe),
    greedy,
  };
}

/** The largest difference where `mask` [batch, T] is not 0. */
export function differenceWhere(mask: Tensor, a: Tensor, b: Tensor): number {
  const there = mask.ne(0).unsqueeze(-1);
  return largestDifference(there.where(a, 0), there.where(b, 0));
}

/**
 * Every gradient is the reference's, to 1e-4 of its largest number (in f64, 1e-6: they are stored as f32).
 * @param idle keys whose gradients are 0 by mathematics, and noise in numbers
 */
export function expectGradients(
  model: PretrainedModel<object>,
  loss: Tensor,
  gradients: Readonly<Record<string, Tensor>>,
  tolerance: number,
  idle?: RegExp,
): void {
  loss.backward();
  const own = model.namedParameters();
  const entries = stateEntries([...own.keys()], model.meta.keyMap);
  expect(entries.map(({ key }) => key).toSorted()).toEqual(Object.keys(gradients).toSorted());
  for (const { key, names, transpose } of entries) {
    const wanted = gradients[key]!.cast('f64');
    const parts = names.map((name) => own.get(name)!.grad);
    expect(parts, key).not.toContain(null);
    const joined = parts.length === 1 ? parts[0]! : concat(parts as Tensor[], 0);
    const grad = transpose && joined.rank === 2 ? joined.transpose() : joined;
    if (idle?.test(key)) {
      for (const noise of [grad, wanted])
        expect(Number(noise.abs().max().itemSync()), key).toBeLessThan(tolerance / 10);
      continue;
    }
    const size = wanted.abs().max().itemSync();
    expect(size, key).toBeGreaterThan(0);
    expect(largestDifference(grad.cast('f64'), wanted) / Number(size), key).toBeLessThan(tolerance);
  }
}
