/** The state of a trainer: a run goes on from it to the bit, also after numbers that are none. */
import { MixedPrecision, Trainer, type TrainerState } from '@infinigrad/nn';
import { NumericError, setBackend, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { laterBackend, loaderOf, lossOf, Network, samples, valuesOf, type Batch } from './support.ts';
import { listen, make, saved, seen, store, type Options } from './trainers.ts';

afterEach(() => setBackend('wasm'));

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
