/** Every optimizer finds minima: of a quadratic, and down Rosenbrock’s valley. */
import { Parameter, type Optimizer } from '@infinigrad/nn';
import { tensor, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectNumbers, numbers } from '../support.ts';
import { optimizers } from './problem.ts';

const every = Object.entries(optimizers);

describe('finds minima', () => {
  /** Rates that fit both problems, where those of the small one do not. */
  const rates: Record<string, number> = {
    Adadelta: 3,
    Adagrad: 0.5,
    Lion: 0.02,
    Muon: 0.02,
    LAMB: 0.03,
    SGD: 1e-3,
  };
  const begun = (
    name: string,
    values: number[],
    steps: number,
    own: object = {},
  ): { p: Parameter; optimizer: Optimizer } => {
    const { make, options } = optimizers[name]!;
    const p = new Parameter(tensor([values], { dtype: 'f64' }));
    const schedule = (step: number): number => 1 - step / steps;
    const rate = rates[name];
    const more = { ...options, schedule, ...(rate && { learningRate: rate }), ...own };
    return { p, optimizer: make([p] as never, more as never) };
  };
  const shown = (optimizer: Optimizer): void => (optimizer as { eval?: () => void }).eval?.();

  test.each(every)('of a quadratic, %s', (name) => {
    const steps = 1500;
    const { p, optimizer } = begun(name, [3, -2], steps);
    const [goal, curvature] = [tensor([[1, 2]], { dtype: 'f64' }), tensor([[1, 5]], { dtype: 'f64' })];
    for (let i = 0; i < steps; i++) optimizer.minimize(() => p.sub(goal).square().mul(curvature).sum());
    shown(optimizer);
    expectNumbers(numbers(p), [1, 2], 0.02);
  });
  test.each(every)('of Rosenbrock’s valley, %s', (name) => {
    const steps = 1500;
    // RAdam begins with plain momentum, and would be thrown out by the steep walls.
    const { p, optimizer } = begun(name, [-1.2, 1], steps, { maxGradNorm: 10 });
    const rosenbrock = (): Tensor => {
      const [x, y] = [p.select(1, 0), p.select(1, 1)];
      return x.mul(-1).add(1).square().add(y.sub(x.square()).square().mul(100)).sum();
    };
    const first = rosenbrock().itemSync();
    for (let i = 0; i < steps; i++) optimizer.minimize(rosenbrock);
    shown(optimizer);
    expect(first).toBeCloseTo(24.2);
    // The valley's floor begins at 4.
    expect(rosenbrock().itemSync()).toBeLessThan(0.2);
  });
});
