/** The Infini-Transformer of the passkey recipe: training, and streaming evaluation far beyond the training length. */
import { evaluatePasskey, PasskeyTrainer, passkeyRecipe } from '@infinigrad/zoo';
import { say } from '../run/lines.ts';
import type { Work } from '../workload/folder.ts';
import { breathe, median, withCpu } from './sample.ts';

export async function infini(work: Work): Promise<void> {
  const { steps, multiple, samples } = work.file.settings.infini;
  const { untimed } = work.file.settings.steps;
  // Without the curriculum: lengths of 2 to 4 segments from the start.
  const recipe = passkeyRecipe('gated', { steps, curriculum: 0 });
  const trainer = new PasskeyTrainer(recipe);
  const times: number[] = [];
  const tokens: number[] = [];
  const { cpu } = await withCpu(async () => {
    const reports = trainer.run();
    for (;;) {
      const before = performance.now();
      const next = reports.next();
      if (next.done) return;
      times.push(performance.now() - before);
      tokens.push(next.value.tokens);
      await breathe();
    }
  });
  const timed = times.map((ms, i) => ({ ms, perToken: ms / tokens[i]! })).slice(untimed);
  const perToken = median(timed.map((step) => step.perToken));
  const shape = `batch ${recipe.batchSize}, 2–${recipe.maxSegments} segments of ${recipe.segmentLength}`;
  say({ name: `infini/training step, ${shape}`, value: median(timed.map(({ ms }) => ms)), unit: 'ms', cpu });
  say({ name: 'infini/training', value: 1e3 / perToken, unit: 'tokens/s', cpu });
  const length = multiple * recipe.maxSegments * recipe.segmentLength;
  const evaluation = await withCpu(() => [
    ...evaluatePasskey(trainer.model, recipe, {
      multiples: [multiple],
      positions: ['any'],
      samples,
      seed: 1,
      clock: () => performance.now(),
    }),
  ]);
  say({
    name: `infini/streaming evaluation, ${samples} × ${length} tokens`,
    value: evaluation.result[0]!.tokensPerSecond,
    unit: 'tokens/s',
    cpu: evaluation.cpu,
  });
}
