/** The loop: what it tells and when, where it stops, what it keeps, and that it goes on to the bit. */
import {
  AdamW,
  DataLoader,
  MixedPrecision,
  sourceOf,
  tensorDataset,
  Trainer,
  warmupCosine,
  type CheckpointStore,
  type Logger,
  type TrainerEvents,
  type TrainerOptions,
  type TrainerState,
} from '@infinigrad/nn';
import { Key, NumericError, setBackend, ValueError, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { laterBackend, loaderOf, lossOf, Network, samples, valuesOf, type Batch } from './support.ts';

afterEach(() => setBackend('wasm'));

type Options = Partial<TrainerOptions<Network, Batch>>;

function make(options: Options = {}): Trainer<Network, Batch> {
  const model = options.model ?? new Network();
  return new Trainer<Network, Batch>({
    model,
    optimizer: new AdamW(model.parameters(), {
      learningRate: 0.02,
      maxGradNorm: 1,
      schedule: warmupCosine({ warmupSteps: 3, totalSteps: 40 }),
    }),
    loss: lossOf,
    data: loaderOf(),
    key: new Key(5),
    ...(options.epochs === undefined && { steps: 12 }),
    ...options,
  });
}

/** A state without what is a handle. */
const seen = ({ tensors, meta }: TrainerState): unknown => ({
  meta,
  tensors: Object.entries(tensors).map(([name, x]) => [name, x.dtype, x.shape, [...x.dataSync()]]),
});
/** A state as a file would hold it. */
const saved = ({ tensors, meta }: TrainerState): TrainerState => ({
  tensors,
  meta: JSON.parse(JSON.stringify(meta)) as TrainerState['meta'],
});

/** Everything a trainer tells, as words. */
function listen(trainer: Trainer<Network, Batch>): string[] {
  const said: string[] = [];
  const types = ['start', 'step', 'log', 'evaluate', 'epoch', 'save', 'stop', 'error'] as const;
  for (const type of types)
    trainer.on(type, (event: TrainerEvents[typeof type]) => {
      said.push(`${type} ${'step' in event ? event.step : ''}${'reason' in event ? ` ${event.reason}` : ''}`);
    });
  return said;
}

const store = (): CheckpointStore & { saved: [TrainerState, number | undefined][] } => {
  const list: [TrainerState, number | undefined][] = [];
  return {
    saved: list,
    save: async (state, { value }) => void list.push([saved(state), value]),
    latest: async () => list.at(-1)?.[0] ?? null,
  };
};

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

describe('a state', () => {
  const settings = fc.record({
    accumulate: fc.integer({ min: 1, max: 3 }),
    batchSize: fc.integer({ min: 3, max: 9 }),
    precision: fc.boolean(),
    at: fc.integer({ min: 0, max: 8 }),
  });
  test('taken at any step gives the same steps that follow, to the bit', () =>
    fc.assert(
      fc.asyncProperty(settings, async ({ at, batchSize, precision, ...options }) => {
        const of = (): Trainer<Network, Batch> =>
          make({
            ...options,
            steps: 8,
            data: loaderOf(batchSize),
            ...(precision && {
              precision: new MixedPrecision({
                dtype: 'bf16',
                lossScale: 2,
                dynamic: true,
                growthInterval: 2,
              }),
            }),
            evaluation: { data: [samples()], every: 4 },
            keepBest: true,
          });
        const whole = of();
        let middle: TrainerState | null = at === 0 ? whole.state() : null;
        const losses: number[] = [];
        for await (const { step, loss } of whole.run()) {
          if (step === at) middle = saved(whole.state());
          if (step > at) losses.push(loss.itemSync());
        }
        const again = of();
        again.load(middle!);
        const rest: number[] = [];
        for await (const { loss } of again.run()) rest.push(loss.itemSync());
        expect(rest).toEqual(losses);
        expect(seen(again.state())).toEqual(seen(whole.state()));
        expect(again.best).toEqual(whole.best);
      }),
      { numRuns: 8 },
    ));
  test('taken where an epoch has ended within a step counts epochs as before', async () => {
    const of = (): Trainer<Network, Batch> => make({ accumulate: 3, steps: 5 });
    const states: TrainerState[] = [];
    const whole = of();
    const epochs: number[] = [];
    for await (const { epoch } of whole.run()) {
      epochs.push(epoch);
      states.push(saved(whole.state()));
    }
    // Five batches an epoch: three and two.
    expect(epochs).toEqual([0, 0, 1, 1, 2]);
    for (const state of states) {
      const again = of();
      again.load(state);
      await again.fit();
      expect(seen(again.state())).toEqual(seen(whole.state()));
    }
  });
  test('of another run is refused, and nothing is changed', async () => {
    const other = make({ run: { seed: 1 }, steps: 2 });
    await other.fit();
    const state = other.state();
    const trainer = make({ run: { seed: 1 } });
    const before = seen(trainer.state());
    const odd = state.tensors['model.first.weight']!;
    const refuse = (meta: object, says: string, tensors: Record<string, Tensor> = {}): void => {
      const given = { tensors: { ...state.tensors, ...tensors }, meta: { ...state.meta, ...meta } };
      expect(() => trainer.load(given)).toThrow(says);
      expect(seen(trainer.state())).toEqual(before);
    };
    refuse(
      { run: { seed: 2 } },
      'Trainer.load: the state belongs to another run: its run is {"seed":2}, here it is {"seed":1}',
    );
    refuse({ key: [0, 6] }, 'its key is [0,6], here it is [0,5]');
    refuse({ format: 2 }, 'Trainer.load: not a state of a trainer, or one of a later version');
    refuse({ step: -1 }, 'Trainer.load: step must be an integer ≥ 0, got -1');
    refuse({ monitor: {} }, 'Trainer.load: not a state of a monitor: {}');
    refuse({ data: { source: { position: 3 } } }, 'DataLoader.load: the cursor belongs to other data');
    refuse({}, 'loadStateDict: unexpected x', { 'model.x': odd });
    refuse({}, 'AdamW.loadStateDict: unexpected 0.wrong', { 'optimizer.0.wrong': odd });
    trainer.load(state);
    expect(seen(trainer.state())).toEqual(seen(state));
  });
});

describe('numbers that are none', () => {
  const spoiled = (from: number): Options => ({
    loss: (m, b, c) => (c.training && c.step >= from ? lossOf(m, b, c).mul(NaN) : lossOf(m, b, c)),
  });
  test('end training at the last good step', async () => {
    const trainer = make({ ...spoiled(5), checkpoints: store() });
    const said = listen(trainer);
    await expect(trainer.fit()).rejects.toThrow(NumericError);
    expect([trainer.step, said.at(-1)]).toEqual([5, 'error 5']);
    const whole = make({ steps: 5 });
    await whole.fit();
    expect(valuesOf(trainer.model)).toEqual(valuesOf(whole.model));
  });
  test('end training at the last good log where steps cannot be looked at', async () => {
    setBackend(laterBackend().name);
    const trainer = make({ ...spoiled(5), logEvery: 4 });
    await expect(trainer.fit()).rejects.toThrow(
      'Trainer: the loss is NaN at step 8. Hint: the model is as after step 4',
    );
    expect(trainer.step).toBe(4);
    const whole = make({ steps: 4 });
    await whole.fit();
    const all = (t: Trainer<Network, Batch>): Promise<unknown> =>
      Promise.all(Object.values(t.model.stateDict()).map(async (x) => [...(await x.data())]));
    expect(await all(trainer)).toEqual(await all(whole));
    // And go on from there.
    expect((trainer.state().meta.data as { source: unknown }).source).toMatchObject({
      epoch: 0,
      position: 20,
    });
  });
  test('at the first step leave the model as it was made', async () => {
    const trainer = make(spoiled(0));
    await expect(trainer.fit()).rejects.toThrow('the loss is NaN at step 1');
    expect(valuesOf(trainer.model)).toEqual(valuesOf(new Network()));
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
