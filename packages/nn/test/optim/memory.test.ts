/** Memory of every optimizer: flat over a thousand steps, and nothing lasting made by a step but its new state. */
import { Parameter, type Optimizer } from '@infinigrad/nn';
import { Key, memoryStats, scope, type MemoryStats } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { optimizers } from './problem.ts';

const shape = [16, 8];

function begin(name: string, more: object = {}): { p: Parameter; optimizer: Optimizer } {
  const { make, options } = optimizers[name]!;
  const p = new Parameter(new Key(1).normal(shape));
  return { p, optimizer: make([p] as never, { ...options, ...more } as never) };
}

/** A step with a gradient of its own, and a rate of its own. */
function step({ p, optimizer }: ReturnType<typeof begin>, i: number): void {
  scope(() => {
    p.grad = new Key(2).foldIn(i).normal(shape);
    optimizer.step();
    p.grad = null;
  });
}

const lasting = ({ tiers, buffers }: MemoryStats): object => ({ ...tiers, buffers });

describe.each(Object.keys(optimizers))('%s', (name) => {
  test.each([
    [1000, {}],
    [100, { maxGradNorm: 0.1 }],
    [100, { maxGradValue: 0.1, masterWeights: true }],
  ])('is flat over %d steps, %j', (steps, more) => {
    const run = begin(name, { schedule: (i: number) => 1 / (1 + i), ...more });
    for (let i = 0; i < 20; i++) step(run, i);
    const before = memoryStats();
    for (let i = 20; i < 20 + steps; i++) step(run, i);
    expect(lasting(memoryStats())).toEqual(lasting(before));
  });
});
