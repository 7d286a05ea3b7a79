/** The passkey trainer: variants, exact resume, stopping on nonsense; and the evaluation. */
import { full } from '@infinigrad/tensor';
import {
  evaluatePasskey,
  evaluatePasskeyAsync,
  memoryBytes,
  PasskeyTrainer,
  passkeyRecipe,
  passkeyVariants,
  type PasskeyRecipe,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';

const tiny: Partial<PasskeyRecipe> = {
  batchSize: 2,
  segmentLength: 8,
  digits: 2,
  maxSegments: 3,
  hiddenSize: 8,
  intermediateSize: 16,
  steps: 8,
};

const values = (trainer: PasskeyTrainer): Record<string, number[]> =>
  Object.fromEntries(
    Object.entries(trainer.stateDict().tensors).map(([name, x]) => [name, Array.from(x.dataSync())]),
  );

describe('PasskeyTrainer', () => {
  for (const variant of passkeyVariants)
    test(`${variant}: every step reports finite numbers, and every parameter moves`, () => {
      const trainer = new PasskeyTrainer(passkeyRecipe(variant, tiny));
      const before = values(trainer);
      const reports = [...trainer.run()];
      expect(reports.map((r) => r.step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      for (const r of reports) {
        expect([r.loss, r.answerLoss, r.gradNorm].every(Number.isFinite)).toBe(true);
        expect(r.tokens).toBe(2 * 8 * r.segments);
        expect(r.writeGate === null).toBe(variant !== 'gated');
      }
      expect(reports[0]!.gates).toHaveLength(variant === 'published' ? 2 : 1);
      const after = values(trainer);
      for (const name of Object.keys(before)) expect(after[name], name).not.toEqual(before[name]);
    });

  for (const variant of passkeyVariants)
    test(`${variant}: waiting for each report gives the same numbers`, async () => {
      const recipe = passkeyRecipe(variant, tiny);
      const [atOnce, waiting] = [new PasskeyTrainer(recipe), new PasskeyTrainer(recipe)];
      const reports = [];
      for await (const report of waiting.runAsync()) reports.push(report);
      expect(reports).toEqual([...atOnce.run()]);
      expect(values(waiting)).toEqual(values(atOnce));
    });

  test('stopped and resumed it ends at the same bits', () => {
    const recipe = passkeyRecipe('gated', tiny);
    const whole = new PasskeyTrainer(recipe);
    for (const _ of whole.run());
    const first = new PasskeyTrainer(recipe);
    const run = first.run();
    for (let i = 0; i < 3; i++) run.next();
    const second = new PasskeyTrainer(recipe);
    second.loadStateDict(
      (JSON.parse(JSON.stringify({ ...first.stateDict(), tensors: {} })) as never as ReturnType<
        PasskeyTrainer['stateDict']
      >) && first.stateDict(),
    );
    for (const _ of second.run());
    expect(values(second)).toEqual(values(whole));
  });

  test('a checkpoint of another recipe is refused', () => {
    const trainer = new PasskeyTrainer(passkeyRecipe('gated', tiny));
    const other = new PasskeyTrainer(passkeyRecipe('gated', { ...tiny, seed: 1 }));
    expect(() => trainer.loadStateDict(other.stateDict())).toThrow(/another recipe/);
  });

  test('a loss that is not a number stops it, naming the step, with the parameters as they were', () => {
    const trainer = new PasskeyTrainer(passkeyRecipe('gated', tiny));
    const run = trainer.run();
    run.next();
    trainer.model.norm.weight.assign(full([8], NaN));
    const before = values(trainer);
    expect(() => run.next()).toThrow(/NaN.*step 2/);
    expect(values(trainer)).toEqual(before);
    expect(trainer.step).toBe(1);
  });

  test('the control has no memory', () => {
    const trainer = new PasskeyTrainer(passkeyRecipe('gated', tiny), { control: true });
    const report = trainer.run().next().value;
    expect(report.gates).toEqual([]);
    const [cell] = evaluatePasskey(trainer.model, trainer.recipe, { multiples: [1], samples: 2, seed: 0 });
    expect(cell!.stateBytes).toBe(0);
  });

  test('nonsense is refused', () => {
    expect(() => passkeyRecipe('gatd' as never)).toThrow(/no variant 'gatd'/);
    expect(() => passkeyRecipe('gated', { steps: 0 })).toThrow(/steps must be an integer ≥ 1/);
    expect(() => passkeyRecipe('published-prefix', { filler: 'random' })).toThrow(/cyclic filler only/);
  });
});

describe('evaluatePasskey', () => {
  test('reports each length and position with one size of state, and the same numbers again', async () => {
    const recipe = passkeyRecipe('gated', tiny);
    const { model } = new PasskeyTrainer(recipe);
    const cells = (): ReturnType<typeof evaluatePasskey> =>
      evaluatePasskey(model, recipe, { multiples: [1, 4], samples: 4, seed: 3, clock: () => 0 });
    const list = [...cells()];
    expect(list.map(({ length, position }) => [length, position])).toEqual([
      [24, 'start'],
      [24, 'middle'],
      [24, 'end'],
      [96, 'start'],
      [96, 'middle'],
      [96, 'end'],
    ]);
    // one layer, two heads of size 4: 2 · (4·4 + 4) numbers
    expect(new Set(list.map((c) => c.stateBytes))).toEqual(new Set([160]));
    expect([...cells()]).toEqual(list);
    const waitedFor = [];
    const options = { multiples: [1, 4], samples: 4, seed: 3, clock: () => 0 };
    for await (const cell of evaluatePasskeyAsync(model, recipe, options)) waitedFor.push(cell);
    expect(waitedFor).toEqual(list);
    expect(memoryBytes([null])).toBe(0);
  });
});
