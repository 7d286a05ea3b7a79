/** The run itself: train, checkpoint, evaluate, report. Says what happens through events; shows nothing. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { InfinigradError } from '@infinigrad/tensor';
import { evaluatePasskey, PasskeyTrainer, type StepReport } from '@infinigrad/zoo';
import type { CellLine, Emit } from './events.ts';
import { modelTitle } from './display/format.ts';
import { checkEvaluation } from './options.ts';
import { multiplesUpTo, RunError, type ModelName, type RunRequest, type SubjectName } from './plan.ts';
import { renderReport } from './report/report.ts';
import { naming, RunFolder, type Checkpoint } from './run-folder.ts';
import { formatTable, tableRows } from './table.ts';

const checkpointSteps = 50;
const checkpointMilliseconds = 30_000;
/** The same test sequences for every run, none of them training data. */
const evaluationSeed = 424_242;

/** Thrown inside where the user has asked to stop. */
class Stopped extends Error {}
/** Thrown where training cannot go on. */
class Diverged extends RunError {}

export async function runSession(
  request: RunRequest,
  emit: Emit,
  stopRequested: () => boolean,
): Promise<void> {
  const folder = await RunFolder.open(request);
  const { plan } = folder;
  try {
    checkEvaluation(plan.recipe, plan.evaluation);
    const checkpoint = await folder.loadCheckpoint();
    const session = new Session(folder, emit, stopRequested, checkpoint);
    try {
      await session.run();
    } catch (error) {
      if (error instanceof Stopped || error instanceof Diverged)
        await folder.writeReport(renderReport(plan, folder.metrics));
      if (!(error instanceof Stopped)) throw error;
      emit({ type: 'stopped', at: error.message });
    }
  } finally {
    folder.close();
  }
}

class Session {
  private readonly folder: RunFolder;
  private readonly emit: Emit;
  private readonly stopRequested: () => boolean;
  private readonly checkpoint: Checkpoint | null;
  /** What the checkpoint on the disk holds, in words; null where there is none. */
  private saved: string | null;

  constructor(folder: RunFolder, emit: Emit, stopRequested: () => boolean, checkpoint: Checkpoint | null) {
    this.folder = folder;
    this.emit = emit;
    this.stopRequested = stopRequested;
    this.checkpoint = checkpoint;
    this.saved = checkpoint && words(checkpoint.model, checkpoint.state.meta.step);
  }

  async run(): Promise<void> {
    const { folder, emit, checkpoint } = this;
    const { plan } = folder;
    const names: ModelName[] = plan.control ? ['model', 'control'] : ['model'];
    const trainers = names.map((name) => ({
      name,
      trainer: new PasskeyTrainer(plan.recipe, { control: name === 'control' }),
    }));
    // Before anything on the disk changes, everything on it must prove readable.
    const at = checkpoint ? names.indexOf(checkpoint.model) : -1;
    if (checkpoint)
      naming(folder.checkpointPath, () => trainers[at]!.trainer.loadStateDict(checkpoint.state));
    for (const { name, trainer } of trainers.slice(0, Math.max(0, at)))
      await folder.loadWeights(name, trainer.model);
    const step = checkpoint?.state.meta.step ?? 0;
    await folder.begin((line) => {
      if (line.kind === 'done') return false;
      if (line.kind === 'cell')
        return (
          line.samples === plan.evaluation.samples &&
          names.indexOf(line.subject === 'zeroed' ? 'model' : line.subject) <= at
        );
      const i = names.indexOf(line.model);
      return i < at || (i === at && line.step <= step);
    });
    const parameters = trainers[0]!.trainer.model.numParameters();
    emit({ type: 'started', plan, parameters, resumedAt: this.saved });
    for (const [i, { name, trainer }] of trainers.entries()) {
      if (i >= at) await this.train(name, trainer);
      await folder.writeReport(renderReport(plan, folder.metrics));
      for (const subject of name === 'model' ? (['model', 'zeroed'] as const) : (['control'] as const))
        await this.evaluate(subject, trainer);
      await folder.writeReport(renderReport(plan, folder.metrics));
    }
    folder.append({ kind: 'done' });
    emit({ type: 'finished', table: formatTable(plan, tableRows(plan, folder.metrics)) });
  }

  private async train(name: ModelName, trainer: PasskeyTrainer): Promise<void> {
    const { folder, emit, stopRequested } = this;
    const { steps } = trainer.recipe;
    emit({ type: 'training', model: name, step: trainer.step, steps });
    let savedStep = -1;
    let savedAt = performance.now();
    const save = async (): Promise<void> => {
      if (savedStep !== trainer.step)
        await folder.saveCheckpoint({ model: name, state: trainer.stateDict() });
      savedStep = trainer.step;
      this.saved = words(name, savedStep);
      savedAt = performance.now();
      emit({ type: 'saved', model: name, step: savedStep });
    };
    const run = trainer.run();
    while (trainer.step < steps) {
      const began = performance.now();
      const report = this.step(run, name, trainer);
      const seconds = (performance.now() - began) / 1000;
      folder.append({ kind: 'step', model: name, seconds, ...report });
      emit({ type: 'step', model: name, report, seconds });
      const due =
        trainer.step % checkpointSteps === 0 || performance.now() - savedAt > checkpointMilliseconds;
      if (due || trainer.step === steps || stopRequested()) await save();
      if (stopRequested() && trainer.step < steps) throw new Stopped(words(name, trainer.step, steps));
      await nextTurn();
    }
    await folder.saveWeights(name, trainer.model);
  }

  private step(run: Generator<StepReport>, name: ModelName, trainer: PasskeyTrainer): StepReport {
    try {
      return run.next().value as StepReport;
    } catch (error) {
      if (!(error instanceof InfinigradError)) throw error;
      const { saved, folder } = this;
      const kept = saved
        ? `the last good checkpoint, ${saved}, is kept in ${folder.checkpointPath}`
        : 'there is no checkpoint yet';
      const problem = error.message.replace(/\. Hint:.*/, '');
      throw new Diverged(
        `training stopped at ${words(name, trainer.step + 1)}: ${problem}; ${kept}. Try a smaller --learning-rate with another --out`,
        { cause: error },
      );
    }
  }

  private async evaluate(subject: SubjectName, { model, recipe }: PasskeyTrainer): Promise<void> {
    const { folder, emit, stopRequested } = this;
    const { maxLength, controlMaxLength, samples } = folder.plan.evaluation;
    const known = folder.metrics.filter(
      (line): line is CellLine => line.kind === 'cell' && line.subject === subject,
    );
    for (const multiple of multiplesUpTo(recipe, subject === 'model' ? maxLength : controlMaxLength)) {
      // A length that was evaluated whole before stays as it is.
      if (known.filter((cell) => cell.multiple === multiple).length === 3) continue;
      await folder.keepMetrics(
        (line) => line.kind !== 'cell' || line.subject !== subject || line.multiple !== multiple,
      );
      const length = multiple * recipe.segmentLength * recipe.maxSegments;
      emit({ type: 'evaluating', subject, length, multiple });
      await nextTurn();
      const options = {
        multiples: [multiple],
        samples,
        seed: evaluationSeed,
        zeroMemory: subject === 'zeroed',
      };
      for (const cell of evaluatePasskey(model, recipe, options)) {
        folder.append({ kind: 'cell', subject, ...cell });
        emit({ type: 'cell', subject, cell });
        await nextTurn();
        if (stopRequested()) throw new Stopped(`the evaluation at ${length} tokens`);
      }
    }
  }
}

function words(name: ModelName, step: number, steps?: number): string {
  return `step ${step}${steps === undefined ? '' : ` of ${steps}`} of the ${modelTitle[name]}`;
}
