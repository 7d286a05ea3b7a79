/** The loop: what it tells and when, where it stops, evaluations, what it refuses. */
import { DataLoader, sourceOf, tensorDataset, Trainer, warmupCosine, type Logger } from '@infinigrad/nn';
import { Key, setBackend, ValueError, type Tensor } from '@infinigrad/tensor';
import { afterEach, describe, expect, test } from 'vitest';
import { lossOf, Network, samples, valuesOf, type Batch } from './support.ts';
import { listen, make, saved, seen, store, type Options } from './trainers.ts';

afterEach(() => setBackend('wasm'));

describe('the loop', () => {
  test('tells what happens, in order', async () => {
    const trainer = make({
      steps: 6,
      logEvery: 2,
      evaluation: { data: [samples()], every: 3 },
      checkpoints: store(),
      saveEvery: 2,
    });
    const said = listen(trainer);
    const result = await trainer.fit();
    expect(said).toEqual([
      'start 0',
      'step 1',
      'step 2',
      'log 2',
      'save 2',
      'step 3',
      'evaluate 3',
      'step 4',
      'log 4',
      'save 4',
      'step 5',
      'epoch 5',
      'step 6',
      'log 6',
      'evaluate 6',
      'save 6',
      'stop 6 finished',
    ]);
    expect(result).toMatchObject({ step: 6, epoch: 1, reason: 'finished' });
  });
  test('learns, with dropout, batch norm, clipping and a schedule', async () => {
    const trainer = make({ steps: 40, evaluation: { data: [samples()] } });
    const before = (await trainer.evaluate()).values.loss;
    const rates: number[] = [];
    trainer.on('step', ({ learningRate, gradNorm, loss, weight }) => {
      rates.push(learningRate);
      expect([gradNorm! > 0, loss.requiresGrad, weight]).toEqual([true, false, 1]);
    });
    await trainer.fit();
    expect(trainer.best!.value).toBeLessThan(before / 2);
    const schedule = warmupCosine({ warmupSteps: 3, totalSteps: 40 });
    expect(rates).toEqual(Array.from({ length: 40 }, (_, step) => 0.02 * schedule(step)));
  });
  test('counts epochs: every sample once in each, whatever makes a step', async () => {
    for (const accumulate of [1, 2, 3, 7]) {
      const rows: number[] = [];
      const trainer = make({
        epochs: 3,
        accumulate,
        weight: ({ x }) => x.shape[0]!,
        loss: (model, batch, context) => {
          rows.push(...batch.y.dataSync());
          return lossOf(model, batch, context);
        },
      });
      const weights: number[] = [];
      trainer.on('step', ({ weight }) => void weights.push(weight));
      const { step, epoch } = await trainer.fit();
      expect([step, epoch]).toEqual([3 * Math.ceil(5 / accumulate), 3]);
      const all = [...samples().y.dataSync()].sort();
      for (const e of [0, 1, 2]) expect(rows.slice(23 * e, 23 * (e + 1)).sort()).toEqual(all);
      expect(weights.reduce((a, b) => a + b, 0)).toBe(3 * 23);
    }
  });
  test('logs the loss, the metrics and more to every logger', async () => {
    const lines: [number, Record<string, number>][] = [];
    const logger: Logger = { scalars: (step, values) => void lines.push([step, { ...values }]) };
    let time = 0;
    const trainer = make({
      steps: 3,
      logEvery: 2,
      loggers: [logger],
      evaluation: { data: [samples()] },
      loss: (m, b, c) => ({ loss: lossOf(m, b, c), metrics: { rows: b.x.mul(0).add(1).sum(0).max() } }),
      now: () => (time += 500),
    });
    const losses: Tensor[] = [];
    trainer.on('step', ({ loss }) => void losses.push(loss));
    await trainer.fit();
    expect(lines.map(([step, values]) => [step, Object.keys(values)])).toEqual([
      [2, ['loss', 'rows', 'learningRate', 'gradNorm', 'weightPerSecond']],
      [3, ['loss', 'rows', 'learningRate', 'gradNorm', 'weightPerSecond']],
      [3, ['evaluation/loss', 'evaluation/rows']],
    ]);
    expect(lines[0]![1]).toMatchObject({ loss: losses[1]!.itemSync(), rows: 5, weightPerSecond: 2 });
  });
  test('batches made from the step alone', async () => {
    const asked: unknown[] = [];
    const trainer = make({
      steps: 2,
      accumulate: 2,
      data: (step, key) => {
        asked.push([step, key?.words]);
        return samples(5);
      },
    });
    await trainer.fit();
    const key = new Key(5);
    expect(asked).toEqual(
      [0, 1].flatMap((step) => [0, 1].map((part) => [step, key.foldIn(step).foldIn(part).words])),
    );
  });
  test('stops when asked, and goes on', async () => {
    const trainer = make();
    trainer.on('step', ({ step }) => {
      if (step === 4) trainer.stop();
    });
    expect(await trainer.fit()).toMatchObject({ step: 4, reason: 'asked' });
    expect(await trainer.fit()).toMatchObject({ step: 12, reason: 'finished' });
    const whole = make();
    await whole.fit();
    expect(seen(trainer.state())).toEqual(seen(whole.state()));
  });
  test('gives others a turn', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await make({ steps: 40 }).fit();
    clearInterval(timer);
    expect(turns).toBeGreaterThan(1);
  });
  test('a listener that is taken away hears nothing more; one that waits is waited for', async () => {
    const trainer = make({ steps: 3 });
    const said: string[] = [];
    const off = trainer.on('step', () => void said.push('first'));
    trainer.on('step', async ({ step }) => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      said.push(`waited ${step}`);
      off();
    });
    await trainer.fit();
    expect(said).toEqual(['first', 'waited 1', 'waited 2', 'waited 3']);
  });
});

describe('evaluations', () => {
  /** A trainer whose evaluations give these numbers. */
  const giving = (values: readonly number[], options: Options = {}): Trainer<Network, Batch> => {
    let at = 0;
    return make({
      steps: values.length,
      evaluation: {
        data: [samples()],
        every: 1,
        loss: (m, b, c) => lossOf(m, b, c).mul(0).add(values[at++]!),
      },
      ...options,
    });
  };
  test('stop early, after as many without a better one as there is patience for', async () => {
    const run = async (values: readonly number[], monitor: object): Promise<unknown> => {
      const { step, reason, best } = await giving(values, { monitor }).fit();
      return [step, reason, best];
    };
    const values = [5, 4, 6, 4, 3, 7, 8, 9, 1];
    expect(await run(values, { patience: 3 })).toEqual([8, 'early', { value: 3, step: 5 }]);
    expect(await run(values, { patience: 2 })).toEqual([4, 'early', { value: 4, step: 2 }]);
    expect(await run(values, { patience: 3, mode: 'max' })).toEqual([9, 'finished', { value: 9, step: 8 }]);
    expect(await run(values, { patience: 2, minDelta: 1.5 })).toEqual([3, 'early', { value: 5, step: 1 }]);
    expect(await run([5, NaN, NaN, 4], { patience: 2 })).toEqual([3, 'early', { value: 5, step: 1 }]);
  });
  test('stop as early where a run has gone on in between', async () => {
    const values = [4, 5, 6, 7, 8, 9];
    const first = giving(values, { monitor: { patience: 3 } });
    first.on('step', ({ step }) => {
      if (step === 3) first.stop();
    });
    await first.fit();
    const second = giving(values.slice(3), { monitor: { patience: 3 }, steps: 6 });
    second.load(saved(first.state()));
    expect(await second.fit()).toMatchObject({ step: 4, reason: 'early', best: { value: 4, step: 1 } });
  });
  test('keep the best model', async () => {
    const trainer = giving([3, 1, 2], { keepBest: true });
    let best: number[][] = [];
    trainer.on('evaluate', ({ improved, step }) => {
      expect(improved).toBe(step <= 2);
      if (improved) best = valuesOf(trainer.model);
    });
    await trainer.fit();
    expect(valuesOf(trainer.model)).not.toEqual(best);
    trainer.restoreBest();
    expect(valuesOf(trainer.model)).toEqual(best);
  });
  test('tell checkpoints what was monitored at their step', async () => {
    const checkpoints = store();
    await giving([3, 1, 2, 4], {
      checkpoints,
      saveEvery: 1,
      evaluation: { data: [samples()], every: 2, loss: (m, b, c) => lossOf(m, b, c).mul(0).add(7) },
    }).fit();
    expect(checkpoints.saved.map(([state, value]) => [state.meta.step, value])).toEqual([
      [1, undefined],
      [2, 7],
      [3, undefined],
      [4, 7],
    ]);
  });
});

describe('errors', () => {
  const evaluation = { data: [samples()] };
  test.each<[string, () => unknown, string]>([
    ['no end', () => make({ steps: undefined } as never), 'Trainer: needs either steps or epochs'],
    ['two ends', () => make({ steps: 3, epochs: 2 }), 'Trainer: needs either steps or epochs'],
    [
      'epochs of what has none',
      () => make({ epochs: 1, data: () => samples() }),
      'Trainer: batches that are made from the step have no epochs',
    ],
    ['steps', () => make({ steps: 0 }), 'Trainer: steps must be an integer ≥ 1, got 0'],
    ['accumulate', () => make({ accumulate: 0 }), 'Trainer: accumulate must be an integer ≥ 1, got 0'],
    ['logEvery', () => make({ logEvery: 0 }), 'Trainer: logEvery must be'],
    [
      'evaluation.every',
      () => make({ evaluation: { ...evaluation, every: 0 } }),
      'Trainer: evaluation.every must be',
    ],
    ['saveEvery', () => make({ saveEvery: 0, checkpoints: store() }), 'Trainer: saveEvery must be'],
    ['nowhere to save', () => make({ saveEvery: 1 }), 'Trainer: saveEvery needs checkpoints to save to'],
    ['nothing to monitor', () => make({ monitor: {} }), 'Trainer: monitor needs an evaluation'],
    ['nothing to be the best of', () => make({ keepBest: true }), 'Trainer: keepBest needs an evaluation'],
    [
      'mode',
      () => make({ evaluation, monitor: { mode: 'least' as 'min' } }),
      "Trainer: monitor.mode must be min or max, got 'least'",
    ],
    ['patience', () => make({ evaluation, monitor: { patience: 0 } }), 'Trainer: monitor.patience must be'],
    [
      'minDelta',
      () => make({ evaluation, monitor: { minDelta: -1 } }),
      'Trainer: monitor.minDelta must be a number ≥ 0, got -1',
    ],
    [
      'data without a cursor',
      () => make({ data: [samples()] as never }),
      'Trainer: data must be a source with a cursor, or a function of the step',
    ],
    ['no best', () => make({ evaluation }).restoreBest(), 'Trainer.restoreBest: no best model was kept'],
  ])('%s', (_, body, says) => {
    expect(body).toThrow(ValueError);
    expect(body).toThrow(says);
  });
  test.each<[string, () => Promise<unknown>, string]>([
    ['no batches', () => make({ data: sourceOf<Batch>([]) }).fit(), 'Trainer: the data has no batches'],
    [
      'nothing to resume from',
      () => make().resume(),
      'Trainer.resume: there are no checkpoints to resume from',
    ],
    ['no evaluation', () => make().evaluate(), 'Trainer.evaluate: no evaluation was asked for'],
    [
      'a metric that is not there',
      () => make({ steps: 1, evaluation, monitor: { metric: 'accuracy' } }).fit(),
      "Trainer: an evaluation has no 'accuracy' to monitor. Hint: it has loss",
    ],
  ])('%s', async (_, body, says) => {
    await expect(body()).rejects.toThrow(says);
  });
  test('a shape that does not fit is told as it is', async () => {
    const trainer = make({
      data: new DataLoader<Batch, Batch>(tensorDataset({ x: samples().y, y: samples().y })),
    });
    await expect(trainer.fit()).rejects.toThrow('Linear: the last axis must have size 4');
  });
});
