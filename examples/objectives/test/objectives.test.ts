/** Every experiment for a few steps: it learns, and no loss lies below its floor. */
import { fromData, Key } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import type { Experiment, Scored } from '../experiment.ts';
import { experimentNames, experiments } from '../experiments.ts';
import { leaks, measure, runExperiment } from '../run.ts';
import { headingOf, resultText, tableOf } from '../table.ts';

const recipe = { steps: 8, batchSize: 6, evaluationTexts: 20, learningRate: 3e-3 };

describe.each(experimentNames)('%s', (name) => {
  const experiment: Experiment = experiments[name];

  it('learns in a few steps, and stays above the floor', async () => {
    const result = await runExperiment(name, experiment, { seed: 1, recipe });
    expect(result.loss).toBeLessThan(result.lossBefore - 0.03);
    expect(result.leak).toBe(false);
    expect(result.excess).toBeGreaterThan(0);
    expect(result.loss - result.floor).toBeCloseTo(result.excess, 9);
    for (const { loss, floor } of result.log) expect(loss).toBeGreaterThan(floor);
    expect(result.log.map(({ step }) => step)).toEqual([2, 4, 6, 8]);
    expect(result.whole).toBe(false);
    expect(result.passed).toBe(true);
    for (const baseline of Object.values(result.baselines)) expect(baseline).toBeGreaterThan(result.floor);
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
    expect(headingOf(result)).toContain(experiment.title);
    expect(resultText(result)).toContain('goals do not count');
    expect(tableOf([result]).split('\n')[2]).toContain('not judged');
  });

  it('gives the same numbers for the same seed', async () => {
    const short = { ...recipe, steps: 2, evaluationTexts: 66 };
    const [a, b, other] = await Promise.all(
      [3, 3, 4].map((seed) => runExperiment(name, experiment, { seed, recipe: short })),
    );
    expect(a!.loss).toBe(b!.loss);
    expect(a!.log).toEqual(b!.log);
    expect(other!.loss).not.toBe(a!.loss);
  });

  it('fails where its goals are missed', async () => {
    const hasty: Experiment = { ...experiment, recipe: { ...experiment.recipe, ...recipe, steps: 1 } };
    const result = await runExperiment(name, hasty, { seed: 1 });
    expect(result).toMatchObject({ whole: true, leak: false, passed: false });
    expect(result.goals.some(({ reached }) => !reached)).toBe(true);
    expect(resultText(result)).toContain('MISSED');
  });
});

describe('leaks', () => {
  const keys = { model: new Key(0), source: new Key(1) };
  const task = experiments.gpt.build(experiments.gpt.recipe, keys);
  const batch: Scored = task.batch(16, new Key(2));
  const told = (measured: Parameters<typeof leaks>[0]): boolean => leaks(measured);

  /** A model that is given the floors, and so much more. */
  const knowing = (more: number) => ({
    model: task.model,
    logits: () => {
      const targets = batch.targets.dataSync() as Int32Array;
      const data = new Float64Array(targets.length * 8);
      targets.forEach((id, at) => {
        const p = Math.min(1 - 1e-9, Math.exp(more - batch.floors[at]!));
        for (let k = 0; k < 8; k++) data[at * 8 + k] = Math.log(k === id ? p : (1 - p) / 7);
      });
      return fromData(data, [...batch.targets.shape, 8]);
    },
  });

  it('are seen where a model knows more than there is to know', () => {
    expect(told(measure(knowing(0.05), [batch]))).toBe(true);
  });

  it('are not seen where it knows just that, or less', () => {
    expect(measure(knowing(0), [batch]).excess).toBeCloseTo(0, 9);
    expect(told(measure(knowing(0), [batch]))).toBe(false);
    expect(told(measure(knowing(-0.05), [batch]))).toBe(false);
    expect(told({ excess: -0.02, standardError: 0.01 })).toBe(false);
    expect(told({ excess: -0.04, standardError: 0.01 })).toBe(true);
  });
});
